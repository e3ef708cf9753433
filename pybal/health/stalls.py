"""Stall detection: adds up by how much a heartbeat comes late. Pure.

A check that fails while this process is stopped, swapped out, starved of the processor or
suspended says nothing about the server: its answer may be there, unread. So each late beat adds to
a sum of lost time. The failure of a check is discarded if more than TOLERANCE_S and more than a
quarter of its time was lost. A jump of the wall clock counts as lost time: it may be the only trace
of a paused machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

BEAT_S = 0.05
"""The heartbeat's period: shorter stalls may go unseen."""

IGNORED_S = 0.1
"""A beat that is late by less is due to work, and no stall."""

TOLERANCE_S = 0.5
"""The result of a check that lost less time counts: a tenth of the usual timeouts."""

_TOLERATED_PART = 0.25

RECENT_S = 2.0
"""A stall makes doubtful what happens unasked, like the end of a connection, for so long."""

WALL_JUMP_S = 1.0
"""The wall clock may gain or lose so much within a beat, say by NTP's slewing."""

STALL_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)


class Mark(NamedTuple):
    """A moment, and the sum of lost time at that moment."""

    at_s: float
    lost_s: float


class StallMeter(Protocol):
    """What a monitor asks: `mark()` as a check begins, `stalled(mark)` as it fails."""

    def mark(self) -> Mark:
        """This moment, for stalled()."""
        ...

    def stalled(self, mark: Mark) -> bool:
        """Whether so much time was lost since then that a failure must be discarded."""
        ...

    def recent(self) -> Mark:
        """The moment RECENT_S ago, or a bit more, for events that no check has begun."""
        ...


class StallDetector:
    """Adds up lost time. `steady_s()` never jumps and goes on while the machine is suspended
    (CLOCK_BOOTTIME), `lately_s()` is as good as that for when a check begins or has failed;
    `wall_s()` is Unix seconds. Call beat() every BEAT_S."""

    def __init__(
        self,
        steady_s: Callable[[], float],
        wall_s: Callable[[], float],
        lately_s: Callable[[], float] | None = None,
    ) -> None:
        self._steady_s = steady_s
        self._lately_s = lately_s or steady_s
        self._wall_s = wall_s
        self._beat_at = steady_s()
        self._wall_at = wall_s()
        self._lost_s = 0.0
        # One and two turns of RECENT_S ago.
        self._then = self._before = Mark(self._beat_at, 0.0)
        self.longest_stall_s = 0.0
        self.gaps = 0
        """How often more than TOLERANCE_S was lost at once."""
        self.stalls = [0] * (len(STALL_BUCKETS_S) + 1)
        """Beats by lateness: up to each of STALL_BUCKETS_S, and the rest."""
        self.stalls_sum_s = 0.0

    def beat(self) -> float:
        """The heartbeat. Returns the seconds that were lost since the last one."""
        now_s = self._steady_s()
        late_s = self._late_s(now_s)
        self._count_stall(late_s)
        wall_s = self._wall_s()
        jump_s = abs((wall_s - self._wall_at) - (now_s - self._beat_at))
        lost_s = late_s if late_s > IGNORED_S else 0.0
        lost_s += jump_s if jump_s > WALL_JUMP_S else 0.0
        if lost_s > TOLERANCE_S:
            self.gaps += 1
        if now_s - self._then.at_s >= RECENT_S:
            self._before, self._then = self._then, Mark(now_s, self._lost_s)
        self._lost_s += lost_s
        self._beat_at, self._wall_at = now_s, wall_s
        return lost_s

    def mark(self) -> Mark:
        """See StallMeter."""
        return Mark(self._lately_s(), self._lost_s)

    def stalled(self, mark: Mark) -> bool:
        """See StallMeter."""
        # After a stall sockets are read before any timer runs, so the beat that is due now counts,
        # too. What failed was known when this turn last read the clock.
        now_s = self._lately_s()
        lost_s = self._lost_s + self._late_s(now_s) - mark.lost_s
        return lost_s > max(TOLERANCE_S, (now_s - mark.at_s) * _TOLERATED_PART)

    def recent(self) -> Mark:
        """See StallMeter."""
        return self._before

    def _late_s(self, now_s: float) -> float:
        return max(0.0, now_s - self._beat_at - BEAT_S)

    def _count_stall(self, late_s: float) -> None:
        self.longest_stall_s = max(self.longest_stall_s, late_s)
        self.stalls_sum_s += late_s
        for index, bound_s in enumerate(STALL_BUCKETS_S):
            if late_s <= bound_s:
                self.stalls[index] += 1
                return
        self.stalls[-1] += 1
