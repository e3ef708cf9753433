"""Things that end by themselves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from typing import Generic, TypeVar

from pybal.runtime.clock import Clock, DelayedCall, cancel

K = TypeVar("K", bound=Hashable)


class TimedEntries(Generic[K]):
    """Calls `ended` with all whose time is over, on a clock that does not jump. One timer for
    all."""

    def __init__(self, clock: Clock, ended: Callable[[Collection[K]], None]) -> None:
        self._clock = clock
        self._ended = ended
        self._ends: dict[K, float] = {}
        self._call: DelayedCall | None = None
        self._wakes_at = 0.0

    def put(self, key: K, after_s: float) -> None:
        """It ends then, whatever was said before."""
        self._ends[key] = end_s = self._clock.seconds() + after_s
        if self._call is None or end_s < self._wakes_at:
            self._schedule(end_s)

    def left_s(self, key: K) -> float:
        """How long until it ends; 0 if it is not there."""
        return max(0.0, self._ends.get(key, 0.0) - self._clock.seconds())

    def forget(self, key: K) -> None:
        """It has ended otherwise. Idempotent."""
        if self._ends.pop(key, None) is not None and not self._ends:
            self._cancel()

    def stop(self) -> None:
        """Call nobody any more. Idempotent."""
        self._ends = {}
        self._cancel()

    def _schedule(self, at_s: float) -> None:
        self._cancel()
        self._wakes_at = at_s
        self._call = self._clock.callLater(max(0.0, at_s - self._clock.seconds()), self._look)

    def _cancel(self) -> None:
        cancel(self._call)
        self._call = None

    def _look(self) -> None:
        self._call = None
        now_s = self._clock.seconds()
        over = [key for key, end_s in self._ends.items() if end_s <= now_s]
        for key in over:
            del self._ends[key]
        if self._ends:
            self._schedule(min(self._ends.values()))
        if over:
            self._ended(over)
