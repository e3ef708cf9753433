"""So many at once, first come, first served."""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.internet.defer import Deferred


class Slots:
    """`limit` slots to be held for a while, also by `async with`. One that is given back goes to
    the next in the queue in another turn of the reactor: when all who hold or want one are stopped
    together, nobody begins on the way. Not Twisted's DeferredSemaphore, which hands it over at
    once."""

    def __init__(self, reactor: Any, limit: int) -> None:
        self.limit = limit
        self._reactor = reactor
        self._free = limit
        self._queue: deque[Deferred[None]] = deque()

    def acquire(self) -> Deferred[None]:
        """Fires once a slot is the caller's, who must release() it. Cancelling leaves the queue."""
        slot: Deferred[None] = Deferred(self._queue.remove)
        self._queue.append(slot)
        self._hand_out()
        return slot

    def resize(self, limit: int) -> None:
        """Another limit; slots that are held stay so."""
        self._free += limit - self.limit
        self.limit = limit
        self._hand_out()

    def release(self) -> None:
        """Give a slot back."""
        self._free += 1
        if self._queue:
            self._reactor.callLater(0, self._hand_out)

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(self, *_: object) -> None:
        self.release()

    def _hand_out(self) -> None:
        while self._free > 0 and self._queue:
            self._free -= 1
            self._queue.popleft().callback(None)
