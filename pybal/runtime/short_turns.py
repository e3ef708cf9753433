"""Bounds what one turn of the reactor does for its sockets.

Twisted's epoll reactor takes all events that there are: when a pool of thousands dies, a turn lasts
until each loss has been looked at, and neither a timer nor the kernel's table has its turn before.
Here a turn takes a few at a time, those first that have waited longest, until it has lasted long
enough. Now and then those that tell of a failure come first: the first servers that refuse a
connection are to be out of the table before thousands of lost connections have been looked at.
"""

from __future__ import annotations

import select
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.logger import Logger

EVENTS_S = 0.005
"""So long a turn goes on taking events."""

AT_ONCE = 64

FAILURES_FIRST_EVERY_S = 0.05
MOST_LOOKED_AT = 10_000
"""To find them, so many events are looked at: some milliseconds."""

_FAILED = select.EPOLLERR | select.EPOLLHUP

_log = Logger(namespace="pybal")


class ShortTurns:
    """The iterations of a Twisted epoll reactor."""

    def __init__(self, reactor: EPollReactor) -> None:
        self._reactor: Any = reactor
        self._failures_first_at = 0.0

    def iterate(self, timeout_s: float | None) -> None:
        """In the place of EPollReactor.doPoll."""
        if self._take(-1 if timeout_s is None else timeout_s) < AT_ONCE:
            return
        seconds = self._reactor.seconds
        now_s = seconds()
        ends_at = now_s + EVENTS_S
        if now_s >= self._failures_first_at:
            self._failures_first_at = now_s + FAILURES_FIRST_EVERY_S
            self._take(0, MOST_LOOKED_AT, _FAILED, ends_at)
        while seconds() < ends_at and self._take(0) == AT_ONCE:
            pass

    def _take(
        self, wait_s: float, most: int = AT_ONCE, kind: int = -1, ends_at: float | None = None
    ) -> int:
        """Events of a kind, until then; returns how many of all kinds there were."""
        watched, seconds = self._reactor._selectables, self._reactor.seconds
        try:
            found = self._reactor._poller.poll(wait_s, most)
        except InterruptedError:
            return 0
        # Who was watched when it happened: a descriptor may be another one's before it is its turn.
        for fd, event, one in [(fd, event, watched.get(fd)) for fd, event in found if event & kind]:
            if one is not None and watched.get(fd) is one:
                self._handle(one, fd, event)
            if ends_at is not None and seconds() >= ends_at:
                break
        return len(found)

    def _handle(self, one: Any, fd: int, event: int) -> None:
        try:
            self._reactor._doReadOrWrite(one, fd, event)
        except Exception:  # noqa: BLE001 - the fault of one must not end the others
            _log.failure("What happened at a socket could not be handled")


def take_short_turns(reactor: Any) -> None:
    """Before it runs. A reactor of another kind stays as it is."""
    if isinstance(reactor, EPollReactor):
        turns = ShortTurns(reactor)
        reactor.doIteration = turns.iterate  # type: ignore[method-assign]
