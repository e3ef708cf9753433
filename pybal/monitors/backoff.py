"""How long to wait before trying again."""

from __future__ import annotations

import random

_MOST_DOUBLINGS = 30


def backoff_s(attempt: int, initial_s: float, maximum_s: float, source: random.Random) -> float:
    """Seconds to wait after failure number `attempt` (from 0): doubling up to `maximum_s`, less
    up to half of it at random, so that those who failed together do not return together."""
    ceiling_s = min(maximum_s, initial_s * 2.0 ** min(attempt, _MOST_DOUBLINGS))
    return ceiling_s * source.uniform(0.5, 1.0)
