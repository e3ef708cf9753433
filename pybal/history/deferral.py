"""What is noted in a storm is noted when there is time: the kernel comes first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from pybal.runtime.clock import Clock
from pybal.runtime.time_slices import LEISURE_WITHIN_S, SLICE_S, TimeSlices
from pybal.runtime.turn_clock import lately

AT_ONCE = 20
"""So many notes of a turn of the reactor are taken at once."""

MOST_WAITING = 20_000
"""Of more that wait, the oldest are taken at once."""

_PIECE = 10


class Deferral:
    """Takes notes in their order: at once, unless there are many. What a note brings, each decision
    that a list brought about, comes before what has happened since."""

    def __init__(self, clock: Clock, time_slices: TimeSlices, log: Logger) -> None:
        self._clock = clock
        self._lately = lately(clock)
        self._time_slices = time_slices
        self._log = log
        self._waiting: deque[tuple[float, Callable[..., object], tuple[object, ...]]] = deque()
        """Since when, and what."""
        self._brought: list[tuple[Callable[..., object], tuple[object, ...]]] = []
        """By the note that is being taken."""
        self._this_turn = 0
        self._counting = False
        self._working = False
        self._taking = False

    @property
    def defers(self) -> bool:
        """Whether what comes now has to wait."""
        return bool(self._waiting) or self._this_turn >= AT_ONCE

    def take(self, note: Callable[..., object], *arguments: object) -> None:
        """Call it, now or later."""
        if self._taking:
            self._brought.append((note, arguments))
            return
        if not self.defers:
            self._this_turn += 1
            if not self._counting:
                self._counting = True
                self._clock.callLater(0, self._next_turn)
            note(*arguments)
            return
        self._waiting.append((self._lately(), note, arguments))
        if len(self._waiting) > MOST_WAITING:
            self._take_some()
        if not self._working:
            self._working = True
            working = Deferred.fromCoroutine(self._work())
            working.addErrback(lambda f: self._log.failure("Cannot wait for leisure", failure=f))

    async def flush(self, within_s: float) -> int:
        """Take what waits, in time slices, for so long; returns how many notes are left out, for
        good. Cancelling ends the wait."""
        late_s = self._clock.seconds() + within_s
        with suppress(CancelledError):
            while self._waiting and self._clock.seconds() < late_s:
                self._take_some()
                await self._time_slices.pause()
        left = len(self._waiting)
        self._waiting.clear()
        return left

    def _next_turn(self) -> None:
        self._this_turn, self._counting = 0, False

    async def _work(self) -> None:
        while self._waiting:
            since_s, *_ = self._waiting[0]
            await self._time_slices.leisure(by_s=since_s + LEISURE_WITHIN_S)
            self._take_some()
        self._working = False

    def _take_some(self) -> None:
        self._taking = True
        # That of a list takes as long as hundreds of others.
        ends_at_s = self._clock.seconds() + SLICE_S
        for number in range(min(_PIECE, len(self._waiting))):
            if number and self._clock.seconds() >= ends_at_s:
                break
            since_s, note, arguments = self._waiting.popleft()
            try:
                note(*arguments)
            except Exception:  # noqa: BLE001 - the others are to be noted all the same
                self._log.failure("Could not take note of something that happened")
            if self._brought:
                # That of a long list brings thousands: those are for another turn.
                self._waiting.extendleft((since_s, *each) for each in reversed(self._brought))
                self._brought.clear()
                break
        self._taking = False
