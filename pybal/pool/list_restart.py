"""What a run of the daemon leaves of a pool list's guard to the next one. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from types import MappingProxyType
from zlib import crc32

from pybal.held_change import ListPast
from pybal.model import SourceList
from pybal.pool.arrivals import Standing, Use, use
from pybal.pool.list_guard import ListGuard, Standings, take_list
from pybal.pool.members import Members

_SAVED_AFTER_S = 5.0
_SPREAD_S = 3.0
_SAVED_EVERY_S = 30.0
_SERVERS_A_SECOND = 1000


def saved_after_s(service: str, servers: int, since_s: float) -> float:
    """How long after servers went up or down that is written for the next run; it was written
    `since_s` ago. What goes on flapping, and a list that is large, is written less often; and
    services do not all do it in the same moment, as after an outage."""
    phase = crc32(service.encode("utf-8", "replace")) / 2**32
    after_s = max(_SAVED_AFTER_S, _SAVED_EVERY_S - since_s)
    return after_s + phase * _SPREAD_S + servers / _SERVERS_A_SECOND


class DownServers:
    """Those that are down, found anew at the cost of what has changed."""

    def __init__(self) -> None:
        self._members = Members()
        self._down: dict[str, None] = {}

    def of(self, members: Members) -> tuple[str, ...]:
        """Their hosts."""
        if not members.same_list(self._members):
            self._down = {m.spec.host: None for m in members.in_order() if not m.up}
        else:
            for member in members.differing(self._members):
                if member.up:
                    self._down.pop(member.spec.host, None)
                else:
                    self._down[member.spec.host] = None
        self._members = members
        return tuple(self._down)


def left_behind(guard: ListGuard, down: Iterable[str], standings: Standings, at: float) -> ListPast:
    """For the next run; `standings` are those of the guard's arrivals, of the first list aside."""
    unproven = dict.fromkeys((*down, *guard.doubted))
    for host, arrival in guard.arrivals.items():
        if not arrival.first:
            known = standings.get(host, Standing.NO_ADDRESS)
            if use(known, arrival, at) is not Use.WORKS:
                unproven[host] = None
    kept = {host: change.at for change in guard.kept for host in change.hosts}
    past = guard.window.past(at, guard.reference)
    return replace(
        past, kept=tuple({**guard.kept_before, **kept}.items()), unproven=tuple(sorted(unproven))
    )


def begun(guard: ListGuard, found: SourceList, standings: Standings, at: float) -> ListGuard:
    """A new guard goes on where that of the last run ended, with the list that was in force then;
    the list that was `found` is to be taken next."""
    past = found.past
    if past is None or not past.counts:
        return take_list(guard, found.last_run, standings, at)[0]
    doubting = replace(guard, doubted=frozenset(past.unproven))
    # If the source itself wants that very list, none of it is taken away.
    same = not found.from_disk and found.servers == found.last_run
    return replace(
        take_list(doubting, found.last_run, standings, at)[0],
        window=guard.window.after(past),
        reference=past.reference,
        kept_before=MappingProxyType({} if same else dict(past.kept)),
    )
