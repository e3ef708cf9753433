"""How fast first checks are begun, and in which order. Pure.

As fast as this process can bear: faster and faster while the turns of its event loop are short,
slower as soon as one takes long, as slowly as may be where this host lacks descriptors, ports or
room for neighbours. What counts is the processor time of a turn: one that others have kept from
running is no shorter if fewer checks are begun. One host with many services is not asked for all of
them at once.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from math import inf
from typing import Generic, NamedTuple, TypeVar

BEGIN_PER_S, LEAST_PER_S, MOST_PER_S = 1000.0, 200.0, 2500.0
"""First checks a second."""

BUSY_S = 0.02
"""A turn of more processor time than this has too much to do."""

HOST_GAP_S = 0.005
"""Between the first checks of one host."""

_MADE_UP_S = 0.1
"""So much of a host's time is not lost if nobody came for it."""

_FASTER_PER_S = 4.0
_SLOWER = 0.7
_MOST_AT_ONCE_S = 0.025
_FIRST_AT_ONCE = 4.0

T = TypeVar("T")


class Pace(NamedTuple):
    """So many a second, and so many now."""

    per_s: float = BEGIN_PER_S
    allowance: float = _FIRST_AT_ONCE

    def took_one(self) -> Pace:
        """A first check was begun."""
        return self._replace(allowance=self.allowance - 1)

    def out_of_time(self) -> Pace:
        """More was allowed than there was time for: it is not owed."""
        return self._replace(allowance=0.0)


def step(pace: Pace, passed_s: float, busy_s: float, faults: int) -> Pace:
    """The pace after `passed_s`, in which the loop used `busy_s` of processor time and checks met
    so many local faults."""
    if faults:
        per_s = LEAST_PER_S
    elif busy_s > BUSY_S:
        per_s = pace.per_s * _SLOWER
    else:
        per_s = pace.per_s * (1 + _FASTER_PER_S * min(passed_s, _MOST_AT_ONCE_S))
    per_s = min(MOST_PER_S, max(LEAST_PER_S, per_s))
    more = per_s * min(max(0.0, passed_s), _MOST_AT_ONCE_S)
    at_most = max(_FIRST_AT_ONCE, per_s * _MOST_AT_ONCE_S)
    return Pace(per_s, min(pace.allowance + more, at_most))


class HostQueue(Generic[T]):
    """What waits, of each host in the order in which it came. Hosts take turns, and each rests for
    HOST_GAP_S after its own; who comes late makes up for some of it."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[T]] = {}
        """Of the hosts that are ready or rest."""
        self._ready: deque[tuple[float, str]] = deque()
        """With the moment from which on each was."""
        self._resting: list[tuple[float, int, str]] = []
        """A heap: until when, then in which order they began."""
        self._taken = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, host: str, item: T) -> None:
        """It waits now."""
        self._count += 1
        waiting = self._waiting.get(host)
        if waiting is None:
            self._waiting[host] = deque([item])
            self._ready.append((inf, host))
        else:
            waiting.append(item)

    def take(self, now_s: float) -> T | None:
        """The next one, if a host is ready."""
        while self._resting and self._resting[0][0] <= now_s:
            until_s, _, host = heappop(self._resting)
            if self._waiting[host]:
                self._ready.append((until_s, host))
            else:
                del self._waiting[host]
        if not self._ready:
            return None
        since_s, host = self._ready.popleft()
        rested_s = min(now_s, max(since_s, now_s - _MADE_UP_S))
        self._taken += 1
        heappush(self._resting, (rested_s + HOST_GAP_S, self._taken, host))
        self._count -= 1
        return self._waiting[host].popleft()
