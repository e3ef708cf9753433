"""A clock that turns as a reactor does."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock

from pybal.runtime.clock import DelayedCall

TURN_S = 2**-20


class TurningClock(Clock):
    """As in a real reactor, what is called later never runs in the turn that asked for it."""

    def callLater(  # type: ignore[override]
        self, when: float, what: Callable[..., object], *args: object
    ) -> DelayedCall:
        return super().callLater(max(when, TURN_S), what, *args)

    def turn(self, count: int = 1) -> None:
        """Let the reactor turn so often."""
        for _ in range(count):
            self.advance(TURN_S)
