"""Work that many want at the same time, done once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

_T = TypeVar("_T")


class SharedWork(Generic[_T]):
    """Who asks for what is under way gets the outcome of that."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, list[Deferred[_T]]] = {}

    def get(self, key: Hashable, begin: Callable[[], Deferred[_T]]) -> Deferred[_T]:
        """What comes of `begin`, which is called unless the work of that key is under way. Fails as
        that does. Cancelling ends the wait of this one alone."""
        waiter: Deferred[_T] = Deferred()
        waiting = self._waiting.setdefault(key, [])
        waiting.append(waiter)
        if len(waiting) == 1:
            maybeDeferred(begin).addBoth(self._ended, key)
        return waiter

    def _ended(self, outcome: _T | Failure, key: Hashable) -> None:
        for waiter in self._waiting.pop(key):
            if not waiter.called:
                waiter.callback(outcome)
