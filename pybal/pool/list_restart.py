"""What a run of the daemon leaves of a pool list's guard to the next one. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from zlib import crc32

from pybal.kept_change import ListPast
from pybal.model import SourceList
from pybal.pool.arrivals import SPOKEN, Arrival, Evidence, EvidenceByHost, Use, use
from pybal.pool.list_guard import ListGuard, take_list
from pybal.pool.member import Member
from pybal.pool.members import Members
from pybal.runtime.pieces import Pieces, in_one_go

_SAVED_AFTER_S = 5.0
_SPREAD_S = 3.0
_SAVED_EVERY_S = 30.0
_SERVERS_A_SECOND = 1000

_PIECE = 100
"""So many servers are half a millisecond's work."""


def saved_after_s(service: str, servers: int, since_s: float) -> float:
    """How long after servers went up or down that is written for the next run; it was written
    `since_s` ago. What goes on flapping, and a list that is large, is written less often; and
    services do not all do it in the same moment, as after an outage."""
    phase = crc32(service.encode("utf-8", "replace")) / 2**32
    after_s = max(_SAVED_AFTER_S, _SAVED_EVERY_S - since_s)
    return after_s + phase * _SPREAD_S + servers / _SERVERS_A_SECOND


class UnprovenServers:
    """Those that are down, or have not been seen to work yet. To look for them costs what has
    changed since the last time: servers, their list, or what its guard knows of arrivals."""

    def __init__(self, evidence_of: Callable[[Member], Evidence]) -> None:
        self._evidence_of = evidence_of
        self._members = Members()
        self._arrivals: Mapping[str, Arrival] = {}
        self._doubted: set[str] = set()
        self._hosts: set[str] = set()
        self._news: set[str] = set()
        """Hosts whose unproven status has changed since the last `all()`."""
        self._due: dict[float, list[str]] = {}
        """When it is to be known what arrivals are good for."""
        self.doubted: frozenset[str] = frozenset()
        """Of those that were doubted: who still is."""

    def look_ahead(
        self, members: Members, guard: ListGuard, at: float, piece: int = _PIECE
    ) -> Pieces[None]:
        """The greater part of a `look` at servers of which many have changed, in pieces of so many.
        Between two, and before the look, anything may happen."""
        before = self._members
        if not self._same_but_members(members, guard):
            return
        for number, member in enumerate(members.differing(before), 1):
            self._judge(member.spec.host, member, at)
            if number % piece == 0:
                yield
                if self._members is not before:
                    return  # All has been looked at meanwhile.
        self._members = members

    def look(self, members: Members, guard: ListGuard, at: float) -> bool:
        """Whether others are unproven than when `all` was last called."""
        known = self._same_but_members(members, guard)
        before, self._members = self._members, members
        self._arrivals, self.doubted = guard.arrivals, guard.doubted
        if known:
            for member in members.differing(before):
                self._judge(member.spec.host, member, at)
        else:
            self._look_at_all(at)
        for when in [when for when in self._due if when <= at]:
            for host in self._due.pop(when):
                self._judge(host, members.get(host), at)
        if len(self._doubted) < len(self.doubted):
            self.doubted = frozenset(self._doubted)
        return bool(self._news)

    def _same_but_members(self, members: Members, guard: ListGuard) -> bool:
        """Whether nothing else has changed since the last look."""
        known = members.same_list(self._members) and guard.doubted == self.doubted
        return known and (guard.arrivals is self._arrivals or guard.arrivals == self._arrivals)

    def all(self) -> tuple[str, ...]:
        """Their hosts, sorted."""
        self._news.clear()
        return tuple(sorted(self._hosts))

    def _look_at_all(self, at: float) -> None:
        members = self._members
        self._doubted = set(self.doubted)
        self._due.clear()
        new = [host for host, arrival in self._arrivals.items() if not arrival.first]
        others = [h for h in (*new, *self.doubted) if self._is_unproven(h, members.get(h), at)]
        hosts = {each.spec.host for each in members.in_order() if not each.up}.union(others)
        self._news ^= self._hosts ^ hosts
        self._hosts = hosts

    def _judge(self, host: str, member: Member | None, at: float) -> None:
        if self._is_unproven(host, member, at) is not (host in self._hosts):
            self._hosts ^= {host}
            self._news ^= {host}

    def _is_unproven(self, host: str, member: Member | None, at: float) -> bool:
        known = Evidence.NO_ADDRESS if member is None else self._evidence_of(member)
        if known in SPOKEN:
            self._doubted.discard(host)
        unproven = host in self._doubted or (member is not None and not member.up)
        arrival = self._arrivals.get(host)
        if arrival is None or arrival.first:
            return unproven
        good_for = use(known, arrival, at)
        if good_for is Use.PENDING:
            self._due.setdefault(arrival.known_by, []).append(host)
        return unproven or good_for is not Use.WORKS


def left_behind(guard: ListGuard, unproven: tuple[str, ...], at: float) -> ListPast:
    """For the next run."""
    kept = {host: change.at for change in guard.kept for host in change.hosts}
    past = guard.window.past(at, guard.reference)
    return replace(past, kept=tuple({**guard.kept_before, **kept}.items()), unproven=unproven)


def begun(guard: ListGuard, found: SourceList, evidence: EvidenceByHost, at: float) -> ListGuard:
    """A new guard goes on where that of the last run ended, with the list that was in force then;
    the list that was `found` is to be taken next."""
    past = found.past
    if past is None or not past.counts:
        return in_one_go(take_list(guard, found.last_run, evidence, at))[0]
    doubting = replace(guard, doubted=frozenset(past.unproven))
    # If the source itself wants that very list, none of it is taken away.
    same = not found.from_disk and found.servers == found.last_run
    return replace(
        in_one_go(take_list(doubting, found.last_run, evidence, at))[0],
        window=guard.window.after(past),
        reference=past.reference,
        kept_before=MappingProxyType({} if same else dict(past.kept)),
    )
