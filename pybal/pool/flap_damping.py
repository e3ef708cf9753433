"""Damping of servers that flap: one that goes down again and again is depooled at once each time,
and pooled again the later the more often it was down lately. Pure.

A server *flaps* each time that it goes from up, all monitors having said so, to down. The first
FREE_FLAPS within WINDOW_S cost nothing: ordinary outages, deployments and restarts look like that.
From the next one on the report that would make the server up waits, HOLD_S after it went down last,
at most; a server that keeps going down meanwhile waits anew. A pool that cannot spare the server
does not wait for it (`can_spare`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

from pybal.pool.pool_state import PoolState

WINDOW_S = 300.0
"""Who has not gone down for so long has a clean slate."""

FREE_FLAPS = 3

HOLD_S = (5.0, 10.0, 20.0, 40.0, 60.0)
"""From going down to being pooled at the earliest: of the first flap that is not free, the second,
and so on. The last is the bound."""

_REMEMBERED = FREE_FLAPS + len(HOLD_S)


@dataclass(frozen=True, slots=True)
class Flaps:
    """When a server went down lately, on a clock that does not jump, and the monitors (of its
    present set, `incarnation`) that call it down."""

    incarnation: int
    downs_at_s: tuple[float, ...] = ()
    down: frozenset[str] = field(default_factory=frozenset)

    def went_down(self, monitor: str, incarnation: int, now_s: float) -> Flaps:
        """A monitor reports down; only the first of several that do is a flap."""
        before = self.down if incarnation == self.incarnation else frozenset()
        lately = self.downs_at_s
        if not before:
            lately = tuple(at for at in lately if now_s - at < WINDOW_S)[1 - _REMEMBERED :]
            lately += (now_s,)
        return Flaps(incarnation, lately, _with(before, monitor))

    def came_up(self, monitor: str) -> Flaps:
        """A monitor reports up."""
        return replace(self, down=self.down - {monitor})

    def retracted(self, monitor: str) -> Flaps:
        """A report of down was no evidence against the server, so it was no flap either."""
        down = self.down - {monitor}
        lately = self.downs_at_s if down or not self.down else self.downs_at_s[:-1]
        return replace(self, down=down, downs_at_s=lately)

    def only(self, monitors: frozenset[str]) -> Flaps:
        """The service has these monitors now."""
        return replace(self, down=self.down & monitors)

    def lately(self, now_s: float) -> int:
        """How often it went down within the window."""
        return sum(now_s - at < WINDOW_S for at in self.downs_at_s)

    def is_old(self, now_s: float) -> bool:
        """Nothing of it counts any more."""
        return not self.lately(now_s)

    def held_until_s(self, now_s: float) -> float:
        """When it may be pooled again; a time that is past if it may be now."""
        flaps = self.lately(now_s) - FREE_FLAPS
        if flaps <= 0:
            return now_s
        return self.downs_at_s[-1] + HOLD_S[min(flaps, len(HOLD_S)) - 1]


@lru_cache(maxsize=256)
def _with(monitors: frozenset[str], monitor: str) -> frozenset[str]:
    """Shared: of thousands of servers they are the same few."""
    return monitors | {monitor}


def can_spare(state: PoolState) -> bool:
    """Whether the pool does without a server that is up: as many are up as the threshold requires,
    and one of them serves."""
    return state.can_depool and state.members.counts.weight_up > 0
