"""Timers that keep step, so that many small tasks are done together. Pure.

To wake up for each of hundreds of timers a second, and again for each answer, costs more than what
is then done: alone, a check takes twice the processor's time that it takes among a dozen.
"""

from __future__ import annotations

STEP_S = 0.2

_LEAST_S = 4 * STEP_S
"""Shorter delays are kept as they are."""

_ERROR_S = 1e-6
"""Of reckoning: what is just short of a step is on it."""


def coalesced(now_s: float, delay_s: float) -> float:
    """The delay, shortened by less than a step, so that it ends on one as all others do."""
    if delay_s < _LEAST_S:
        return delay_s
    return delay_s - max(0.0, (now_s + delay_s + _ERROR_S) % STEP_S - _ERROR_S)
