"""Does one thing again and again, never twice at once."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybal.runtime.backoff import doubling_s
from pybal.runtime.coalescing import coalesced

Poll = Callable[[], Coroutine[Deferred[Any], Any, bool]]


class Pauses(NamedTuple):
    """Between polls: after a good one, after a first failure, and at most."""

    interval_s: float
    retry_s: float
    max_retry_s: float


class Poller:
    """Calls `poll` at once, and again after a pause from each end of it.

    `poll` tells whether it went well; after failures in a row the pause is doubled each time.
    Pauses are shortened at random by up to a tenth, so that a hundred services do not poll in step.
    stop() cancels what is under way.
    """

    def __init__(
        self,
        clock: Any,
        random: random.Random,
        log: Logger,
        poll: Poll,
        pauses: Pauses,
    ) -> None:
        self._clock = clock
        self._random = random
        self._log = log
        self._poll = poll
        self._pauses = pauses
        self._running: Deferred[None] | None = None
        self._timer: Any = None
        self._stopped = False

    def start(self) -> None:
        """Begin; the first poll is under way, or even done, when this returns."""
        self._running = Deferred.fromCoroutine(self._run())
        self._running.addErrback(self._ended)

    def stop(self) -> None:
        """End; `poll` is cancelled at what it awaits. Idempotent."""
        self._stopped = True
        running, self._running = self._running, None
        if running is not None:
            running.cancel()

    def _ended(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("Polling has ended", failure)

    async def _run(self) -> None:
        failures = 0
        while not self._stopped:
            failures = 0 if await self._polled() else failures + 1
            if not self._stopped:
                await self._pause(self._pause_s(failures))

    async def _polled(self) -> bool:
        try:
            return await self._poll()
        except CancelledError:
            raise
        except Exception:  # noqa: BLE001 - one failed poll must not be the last
            self._log.failure("Polling failed unexpectedly; it goes on")
            return False

    def _pause_s(self, failures: int) -> float:
        pause_s = self._pauses.interval_s
        if failures:
            pause_s = doubling_s(failures - 1, self._pauses.retry_s, self._pauses.max_retry_s)
        return pause_s * self._random.uniform(0.9, 1.0)

    async def _pause(self, delay_s: float) -> None:
        # Not a closure on the timer, which holds `passed`: a hundred pauses a second would wait
        # for the garbage collector.
        passed: Deferred[None] = Deferred(self._cancel_pause)
        delay_s = coalesced(self._clock.seconds(), delay_s)
        self._timer = self._clock.callLater(delay_s, passed.callback, None)
        await passed

    def _cancel_pause(self, _: Deferred[None]) -> None:
        self._timer.cancel()
