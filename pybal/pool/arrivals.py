"""Make before break: is a server that a list brought of any use yet? Pure.

A new server is taken for up and pooled before its monitors have spoken, but it stands in for one
that a list takes away only once it has been seen to work. It has ARRIVAL_S for that.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple

from pybal.pool.member import Member

ARRIVAL_S = 30.0
"""So long servers that a list takes away wait for those that it brings. It takes a name's first
look-ups and a first check, which comes at once."""


class Evidence(enum.Enum):
    """What is known of a server."""

    UP = "it has an address and all its monitors found it up, or it has none"
    TAKEN_FOR_UP = "it has an address; nothing speaks against it"
    TAKEN_FOR_DOWN = "it has an address and waits for its monitors"
    DOUBTED = "it was down, or had never been seen to work, when the last run ended"
    DOWN = "a monitor found it down, or the kernel refuses its address"
    NO_ADDRESS = "its address is not known"


SPOKEN = (Evidence.UP, Evidence.DOWN)
"""The server's monitors have said so."""

EvidenceByHost = Mapping[str, Evidence]
"""What is known of servers, by host; those that are missing have no address yet."""


class Use(enum.Enum):
    """What a server is good for when others are taken away."""

    WORKS = "works"
    PENDING = "it is too early to say"
    NONE = "does not work"


class Arrival(NamedTuple):
    """A server has not been seen to work since it came `at`, and has had an address since
    `addressed_at` (None: it has none). The list that it came by was the `first` one: then it may
    have worked before."""

    at: float
    first: bool
    addressed_at: float | None = None

    @property
    def known_by(self) -> float:
        """When it is to be known what the server is good for."""
        return ARRIVAL_S + (self.at if self.addressed_at is None else self.addressed_at)


def evidence_of(member: Member) -> Evidence:
    """What the pooling policy knows of a server."""
    if not member.ready:
        return Evidence.NO_ADDRESS
    if False in member.results.values() or member.refused:
        return Evidence.DOWN
    if not member.up:
        return Evidence.TAKEN_FOR_DOWN
    return Evidence.TAKEN_FOR_UP if None in member.results.values() else Evidence.UP


def use(evidence: Evidence, arrival: Arrival | None, at: float) -> Use:
    """What a server is good for; `arrival` is None once it has been seen to work."""
    if evidence is Evidence.UP:
        return Use.WORKS
    if evidence is Evidence.DOWN:
        return Use.NONE
    believed = evidence is Evidence.TAKEN_FOR_UP
    # The servers of the first list are taken for what they seem to be, as there is nothing else.
    if arrival is not None and at < arrival.known_by and not (arrival.first and believed):
        return Use.PENDING
    return Use.WORKS if believed else Use.NONE


def noted(evidence: Evidence, arrival: Arrival, at: float) -> Arrival:
    """The arrival as it is known `at`: from its address on a server has time for its checks."""
    if arrival.addressed_at is not None or evidence is Evidence.NO_ADDRESS:
        return arrival
    return arrival._replace(addressed_at=at)


def still_doubted(doubted: frozenset[str], evidence: EvidenceByHost) -> frozenset[str]:
    """Those of whom monitors have not said yet that they are up, or down."""
    return frozenset(host for host in doubted if evidence.get(host) not in SPOKEN)
