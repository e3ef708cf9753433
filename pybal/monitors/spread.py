"""At which place in the interval each monitor checks: evenly spread, however many there are.

Those who start together must not check together ever after: twelve thousand checks in one second
would stall this process and be a storm to the servers. How many there will be need not be known.
"""

from __future__ import annotations

import random

_GOLDEN = (5**0.5 - 1) / 2


class Spread:
    """Shared by all monitors."""

    def __init__(self, source: random.Random) -> None:
        self._random = source
        self._phases: dict[float, tuple[float, int]] = {}

    def within(self, interval_s: float) -> float:
        """A place in the interval, in seconds. Multiples of the golden ratio fill it evenly at any
        count; each place is jittered by at most the average gap."""
        offset, count = self._phases.get(interval_s) or (self._random.random(), 0)
        self._phases[interval_s] = offset, count + 1
        jitter = self._random.random() / (count + 1)
        return (offset + count * _GOLDEN + jitter) % 1.0 * interval_s
