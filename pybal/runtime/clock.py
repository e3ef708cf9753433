"""The parts of Twisted's IReactorTime and IDelayedCall that are needed, as types. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class DelayedCall(Protocol):
    """A call that callLater() has arranged."""

    def active(self) -> bool:
        """Whether it is still to be called."""

    def cancel(self) -> None:
        """Raises AlreadyCalled or AlreadyCancelled where it is not."""


class Timer(Protocol):
    """Arranges calls for later."""

    def callLater(
        self, delay_s: float, call: Callable[..., object], /, *args: object
    ) -> DelayedCall: ...


class Clock(Timer, Protocol):
    """A Timer that tells the time, too: seconds that never jump."""

    def seconds(self) -> float:
        """Since some moment in the past."""


def cancel(call: DelayedCall | None) -> None:
    """Have it not called, if it was still to be."""
    if call is not None and call.active():
        call.cancel()
