"""What has failed is tried again, later each time."""

from __future__ import annotations

from collections.abc import Callable

from pybal.runtime.backoff import doubling_s
from pybal.runtime.clock import DelayedCall, Timer, cancel


class Retry:
    """Calls `again` after `first_s`, then twice as late each time, up to `most_s`."""

    def __init__(
        self, clock: Timer, again: Callable[[], object], first_s: float, most_s: float
    ) -> None:
        self._clock = clock
        self._again = again
        self._first_s, self._most_s = first_s, most_s
        self._next: DelayedCall | None = None
        self.failures = 0
        """How many tries have failed since the last that has not."""

    def failed(self) -> None:
        """It is to be tried again, and no later for having failed once more before that."""
        if self._next is None or not self._next.active():
            delay_s = doubling_s(self.failures, self._first_s, self._most_s)
            self.failures += 1
            self._next = self._clock.callLater(delay_s, self._again)

    def succeeded(self) -> None:
        """The next failure is the first."""
        self.failures = 0
        self.cancel()

    def cancel(self) -> None:
        """Do not try again by itself. Idempotent."""
        cancel(self._next)
        self._next = None
