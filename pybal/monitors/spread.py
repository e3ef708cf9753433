"""When each monitor makes its first check: evenly spread, however many there are.

Those who start together must not check together, then or ever after: twelve thousand checks in one
second would stall this process and be a storm to the servers. How many there will be need not be
known.
"""

from __future__ import annotations

import random

STARTS_PER_S = 500
"""So many first checks begin in a second, if more are waiting: 12,000 take 24 s."""

LONGEST_S = 60.0
"""No first check is put off longer; it bounds what a clock set back can do."""

_GOLDEN = (5**0.5 - 1) / 2


class Spread:
    """Shared by all monitors. Both methods give the seconds to wait."""

    def __init__(self, source: random.Random) -> None:
        self._random = source
        self._free_at_s = 0.0
        self._phases: dict[float, tuple[float, int]] = {}

    def soon(self, now_s: float) -> float:
        """For checks that keep no beat: the next free moment, STARTS_PER_S of them a second."""
        waiting_s = min(max(0.0, self._free_at_s - now_s), LONGEST_S)
        self._free_at_s = now_s + waiting_s + 1 / STARTS_PER_S
        return waiting_s + self._random.random() / STARTS_PER_S

    def within(self, interval_s: float) -> float:
        """For checks that keep a beat: a place in the interval. Multiples of the golden ratio
        fill it evenly at any count; each place is jittered by at most the average gap."""
        offset, count = self._phases.get(interval_s) or (self._random.random(), 0)
        self._phases[interval_s] = offset, count + 1
        jitter = self._random.random() / (count + 1)
        return (offset + count * _GOLDEN + jitter) % 1.0 * interval_s
