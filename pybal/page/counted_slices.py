"""Time slices that count the time which work in them takes."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from pybal.runtime.time_slices import TimeSlices


class CountedSlices:
    """What one piece of long work after another takes of the reactor, in all: `spent_s`. `clock` is
    IReactorTime."""

    def __init__(self, clock: Any, time_slices: TimeSlices) -> None:
        self._clock = clock
        self._time_slices = time_slices
        self._since_s = 0.0
        self.spent_s = 0.0

    def begin(self) -> None:
        """Work begins."""
        self._since_s = self._clock.seconds()

    def end(self) -> None:
        """Work ends, for now."""
        self.spent_s += self._clock.seconds() - self._since_s

    def pause(self) -> Deferred[None]:
        """See TimeSlices."""
        self.end()
        turn = self._time_slices.pause()
        turn.addCallback(lambda _: self.begin())
        return turn
