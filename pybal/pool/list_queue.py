"""When the lists of one pool are applied: one after another, and again after a failure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybal.errors import said_by
from pybal.model import SourceList
from pybal.runtime.clock import Timer
from pybal.runtime.retry import Retry
from pybal.runtime.time_slices import TimeSlices

TRY_AGAIN_S = 5.0
TRY_AGAIN_MAX_S = 300.0
"""A list that could not be put in force is tried again: its source will not say it again."""


class ListQueue:
    """Of several lists that come while one is being applied, the newest counts.

    `apply` puts a list in force; if it fails, `give_up` drops what was begun for that list.
    """

    def __init__(
        self,
        clock: Timer,
        time_slices: TimeSlices,
        apply: Callable[[SourceList], Awaitable[None]],
        give_up: Callable[[], None],
        log: Logger,
    ) -> None:
        self._time_slices = time_slices
        self._apply = apply
        self._give_up = give_up
        self._log = log
        self._next: SourceList | None = None
        self._newest: SourceList | None = None
        """The last one that was begun."""
        self._applying: Deferred[None] | None = None
        self._retry = Retry(clock, self._apply_again, TRY_AGAIN_S, TRY_AGAIN_MAX_S)
        self._faults = 0
        """How many times `try_again` was called."""
        self.error = ""
        """Why what should be in force is not, or not as a whole; empty: nothing is wrong."""
        self._stopped = False

    def take(self, found: SourceList) -> None:
        """A list has come."""
        failed = self._newest if self.error else None
        self._next = _in_place_of(self._next or failed, found)
        self._begin()

    def stop(self) -> None:
        """Apply nothing any more; what is under way ends. Idempotent."""
        self._stopped = True
        self._retry.cancel()
        if self._applying is not None:
            self._applying.cancel()

    def try_again(self, failure: Failure) -> None:
        """What should be in force is not: the newest list is applied once more, after a delay that
        grows."""
        if self._stopped:
            return
        self._faults += 1
        self.error = said_by(failure.value)
        self._retry.failed()

    def forget_last_run(self) -> None:
        """The list that is being applied is in force, though some of it may yet fail: whenever it
        or another is applied, what the last run left is long ago."""
        self._newest, self._next = _later(self._newest), _later(self._next)

    def _begin(self) -> None:
        if self._applying is None:
            applying = Deferred.fromCoroutine(self._apply_all())
            self._applying = None if applying.called else applying
            applying.addErrback(self._failed)

    async def _apply_all(self) -> None:
        while self._next is not None:
            await self._time_slices.pause()
            found, self._next = self._next, None
            self._newest, faults_before = found, self._faults
            await self._apply(found)
            if self._stopped:
                return
            if self._faults == faults_before:  # Else something else has failed meanwhile.
                self.error = ""
                self._retry.succeeded()
        self._applying = None

    def _failed(self, failure: Failure) -> None:
        self._applying = None
        if self._stopped:
            if not failure.check(CancelledError):
                self._log.failure("A pool list could not be applied", failure)
            return
        self._log.failure("A pool list could not be applied", failure)
        self._give_up()
        self.try_again(failure)
        if self._next is not None:
            self._next = _in_place_of(self._newest, self._next)
            self._begin()

    def _apply_again(self) -> None:
        self._next = self._next or self._newest
        self._begin()


def _later(found: SourceList | None) -> SourceList | None:
    """As a list is that comes when one is in force already."""
    if found is None:
        return None
    return replace(found, last_run=(), past=None, other_source=False)


def _in_place_of(waiting: SourceList | None, found: SourceList) -> SourceList:
    """What the last run left behind comes with the first list alone, which may not be begun yet."""
    if waiting is None or not (waiting.last_run or waiting.past):
        return found
    last_run, past, other_source = waiting.last_run, waiting.past, waiting.other_source
    return replace(found, last_run=last_run, past=past, other_source=other_source)
