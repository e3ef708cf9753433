"""What is known of a server that a list brought, and when it stands in for others."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from pybal.model import ServerSpec
from pybal.pool.arrivals import Arrival, Evidence, Use, evidence_of, noted, use
from pybal.pool.member import Member


def member(
    *results: bool | None, ready: bool = True, up: bool = True, refused: bool = False
) -> Member:
    said = MappingProxyType({f"m{number}": each for number, each in enumerate(results)})
    return Member(ServerSpec("a"), ready, up, up, said, refused=refused)


@pytest.mark.parametrize(
    ("one", "what"),
    [
        (member(True, ready=False), Evidence.NO_ADDRESS),
        (member(False, ready=False), Evidence.NO_ADDRESS),
        (member(True, False), Evidence.DOWN),
        (member(None, False, up=False), Evidence.DOWN),
        (member(True, refused=True), Evidence.DOWN),
        (member(refused=True), Evidence.DOWN),
        (member(None, up=False), Evidence.TAKEN_FOR_DOWN),
        (member(True, None, up=False), Evidence.TAKEN_FOR_DOWN),
        (member(None), Evidence.TAKEN_FOR_UP),
        (member(True, None), Evidence.TAKEN_FOR_UP),
        (member(True, True), Evidence.UP),
        (member(), Evidence.UP),
    ],
)
def test_what_the_policy_knows_of_a_server(one: Member, what: Evidence) -> None:
    assert evidence_of(one) is what


LATER = Arrival(at=100.0, first=False)
FIRST = Arrival(at=100.0, first=True)
ADDRESSED = Arrival(at=100.0, first=False, addressed_at=110.0)


@pytest.mark.parametrize(
    ("what", "arrival", "at", "good_for"),
    [
        (Evidence.UP, LATER, 100.0, Use.WORKS),
        (Evidence.DOWN, FIRST, 100.0, Use.NONE),
        # It has been seen to work before.
        (Evidence.TAKEN_FOR_UP, None, 100.0, Use.WORKS),
        (Evidence.TAKEN_FOR_DOWN, None, 100.0, Use.NONE),
        (Evidence.NO_ADDRESS, None, 100.0, Use.NONE),
        (Evidence.DOUBTED, None, 100.0, Use.NONE),
        # It has 30 s, from when it had an address.
        (Evidence.TAKEN_FOR_UP, LATER, 129.9, Use.PENDING),
        (Evidence.TAKEN_FOR_UP, LATER, 130.0, Use.WORKS),
        (Evidence.TAKEN_FOR_DOWN, LATER, 129.9, Use.PENDING),
        (Evidence.TAKEN_FOR_DOWN, LATER, 130.0, Use.NONE),
        (Evidence.TAKEN_FOR_UP, ADDRESSED, 139.9, Use.PENDING),
        (Evidence.TAKEN_FOR_UP, ADDRESSED, 140.0, Use.WORKS),
        # The first list brings nobody new.
        (Evidence.TAKEN_FOR_UP, FIRST, 100.0, Use.WORKS),
        (Evidence.TAKEN_FOR_DOWN, FIRST, 129.9, Use.PENDING),
        (Evidence.NO_ADDRESS, FIRST, 130.0, Use.NONE),
    ],
)
def test_what_a_server_is_good_for(
    what: Evidence, arrival: Arrival | None, at: float, good_for: Use
) -> None:
    assert use(what, arrival, at) is good_for


def test_the_time_counts_from_the_first_address_on() -> None:
    assert noted(Evidence.NO_ADDRESS, LATER, 110.0) is LATER
    assert noted(Evidence.TAKEN_FOR_UP, LATER, 110.0) == ADDRESSED
    assert noted(Evidence.UP, ADDRESSED, 120.0) is ADDRESSED
    assert noted(Evidence.NO_ADDRESS, ADDRESSED, 120.0) is ADDRESSED
