"""A deadline that moves with every message. Pure but for the clock that it is given."""

from __future__ import annotations

from collections.abc import Callable

from pybal.runtime.clock import Clock, DelayedCall


class DeadlineTimer:
    """Calls `fired` when the deadline has come, or before: who is called looks, and sets it again.
    One that has moved away is found when the old one comes, which is cheaper than a new timer with
    every message."""

    def __init__(self, clock: Clock, fired: Callable[[], None]) -> None:
        self._clock = clock
        self._fired = fired
        self._timer: DelayedCall | None = None
        self._fires_at = 0.0

    def set(self, deadline: float | None) -> None:
        """In the clock's seconds; None: there is none."""
        if self._timer is not None and self._timer.active():
            if deadline is not None and self._fires_at <= deadline:
                return
            self._timer.cancel()
        if deadline is not None:
            delay_s = max(0.0, deadline - self._clock.seconds())
            self._fires_at = self._clock.seconds() + delay_s
            self._timer = self._clock.callLater(delay_s, self._fired)
