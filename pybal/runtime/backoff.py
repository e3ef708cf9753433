"""How long to wait before trying again."""

from __future__ import annotations

import random

_MOST_DOUBLINGS = 30


def doubling_s(attempt: int, initial_s: float, maximum_s: float) -> float:
    """Seconds to wait after failure number `attempt` (from 0): doubling up to `maximum_s`."""
    return min(maximum_s, initial_s * 2.0 ** min(attempt, _MOST_DOUBLINGS))


def backoff_s(attempt: int, initial_s: float, maximum_s: float, source: random.Random) -> float:
    """The same, less up to half of it at random, so that those who failed together do not return
    together."""
    return doubling_s(attempt, initial_s, maximum_s) * source.uniform(0.5, 1.0)
