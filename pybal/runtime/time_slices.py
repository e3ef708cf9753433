"""Long work in pieces: all of it together takes a few milliseconds of each turn of the reactor."""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred, succeed

from pybal.runtime.clock import Clock

SLICE_S = 0.005
"""So much of a turn may long work take before sockets and timers have theirs."""


class TimeSlices:
    """Shared by all who have long work to do. They do it in pieces, each of less than a slice, and
    await a pause() before each. `clock` is IReactorTime."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: deque[Deferred[None]] = deque()
        self._ends_at: float | None = None
        """When the slice of this turn is over; None while nobody has asked in it."""

    def pause(self) -> Deferred[None]:
        """Fires at once if there is time left in this turn, else in a later one, first come, first
        served. May be cancelled."""
        if not self._waiting and self._has_time():
            return succeed(None)
        turn: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(turn)
        return turn

    def _has_time(self) -> bool:
        now_s = self._clock.seconds()
        if self._ends_at is None:
            self._ends_at = now_s + SLICE_S
            self._clock.callLater(0, self._next_turn)
        return now_s < self._ends_at

    def _next_turn(self) -> None:
        self._ends_at = None
        while self._waiting and self._has_time():
            self._waiting.popleft().callback(None)
