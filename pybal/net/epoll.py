"""Watches the sockets of thousands of short connections for a reactor.

Twisted's own watching costs a connection four system calls and, each time, a context for its log.
Here one epoll instance, which the reactor watches as a single descriptor, has all sockets: each is
added once, with all that it will be watched for, and removed once.

A turn of the reactor tells sockets for a few milliseconds; those that are left have the next turns.
Those that are broken take turns with all others: when a whole pool dies, the first server that
refuses a connection must not wait until thousands of losses have been told of, nor an answer.
Sockets that have ended are closed a little later then: three system calls of each, which nobody
waits for.
"""

from __future__ import annotations

import math
import select
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any, Protocol

from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from pybal.runtime.clock import DelayedCall, cancel
from pybal.runtime.turn_clock import lately

READABLE = select.EPOLLIN
WRITABLE = select.EPOLLOUT
AT_END = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
"""No more will come after what is there to be read."""
BROKEN = select.EPOLLHUP | select.EPOLLERR
CONNECTED = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
UNTIL_CONNECTED = CONNECTED | WRITABLE
"""Each change is told once: what is left unread is asked for with `watch_anew`."""

_AT_ONCE = 8
"""So many of each kind are told before it is looked what time it is: half a millisecond's work."""
_MANY = 16
"""More than these are a storm."""
_MOST_NEW = 4096
"""So many that are new are looked at in a turn: it takes two milliseconds. The first refusal comes
after the losses of the whole pool."""
_TURN_S = 0.003

CLOSED_AFTER_S = 0.5
"""Among many, a socket that has ended is closed when there were no longer many for this time, or
sooner if descriptors are needed."""
CLOSED_WITHIN_S = 3.0
"""Then that begins in any case."""
MOST_TO_CLOSE = 4096
_CLOSED_PER_TURN = 32

_Seen = tuple[int, float]
"""Events, and when the first of them was seen."""

_log = Logger(namespace="network")


class Watched(Protocol):
    """A socket in an EpollSet."""

    is_open: bool

    def fileno(self) -> int: ...

    def ready(self, events: int) -> None:
        """Something of what is watched for, or BROKEN."""

    def failed(self) -> None:
        """ready() has raised, or the reactor has ended: it is no longer watched well."""


@implementer(IReadDescriptor)
class EpollSet:
    """The sockets of one network. `reactor` provides IReactorFDSet and IReactorTime."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._lately = lately(reactor)
        self._epoll: select.epoll | None = None
        self._watched: dict[int, Watched] = {}
        self._broken: dict[Watched, _Seen] = {}
        self._others: dict[Watched, _Seen] = {}
        """Who is to be told of what, in order."""
        self._seen_at_s: float | None = None
        """When that was seen of which somebody is being told."""
        self._looked_at_all_s = -math.inf
        """When all that was new was last looked at for one that timed out."""
        self._next_turn: DelayedCall | None = None
        self._is_busy = False
        """Whether this turn has many to tell."""
        self._busy_at_s = 0.0
        """When the last such turn began."""
        self._to_close: deque[Callable[[], None]] = deque()
        self._close_by_s = 0.0
        self._closing: DelayedCall | None = None

    def watch(self, watched: Watched, events: int) -> None:
        """Tell it of these events until remove(); OSError if the kernel has no room."""
        epoll = self._epoll or self._begin()
        number = watched.fileno()
        epoll.register(number, events)
        self._watched[number] = watched

    def _begin(self) -> select.epoll:
        self._epoll = epoll = select.epoll()
        try:
            self._reactor.addReader(self)
        except OSError:
            self._epoll = None
            epoll.close()
            raise
        return epoll

    def watch_anew(self, watched: Watched, events: int) -> None:
        """Of these from now on, and of what there is already."""
        if self._epoll is not None:
            self._epoll.modify(watched.fileno(), events)

    def remove(self, watched: Watched) -> None:
        """No more; before it is closed, as others may have the same socket open."""
        number = watched.fileno()
        if self._watched.pop(number, None) is not None and self._epoll is not None:
            self._epoll.unregister(number)

    def forget(self, watched: Watched) -> None:
        """The same, for one that is BROKEN, was told so, and is about to be closed by the only
        process that has it: the kernel has nothing more to tell of it, and a system call is
        spared."""
        self._watched.pop(watched.fileno(), None)

    def close(self, close: Callable[[], None]) -> None:
        """Have a socket closed that has ended, and of which the kernel tells nothing more: at once,
        unless there are many."""
        if not self._is_busy:
            close()
            return
        self._to_close.append(close)
        if len(self._to_close) > MOST_TO_CLOSE:
            self._to_close.popleft()()
        if self._closing is None:
            self._close_by_s = self._busy_at_s + CLOSED_WITHIN_S
            self._closing = self._reactor.callLater(CLOSED_AFTER_S, self._close_in_turn)

    def close_some(self) -> bool:
        """Some that wait to be closed are closed now; False if there are none."""
        some = min(len(self._to_close), _CLOSED_PER_TURN)
        for _ in range(some):
            self._to_close.popleft()()
        return some > 0

    def _close_in_turn(self) -> None:
        self._closing = None
        now_s = self._reactor.seconds()
        wait_s = min(self._busy_at_s + CLOSED_AFTER_S, self._close_by_s) - now_s
        try:
            if wait_s <= 0:
                self.close_some()
        finally:
            if self._to_close:
                self._closing = self._reactor.callLater(max(0.0, wait_s), self._close_in_turn)

    def fileno(self) -> int:
        """Of the epoll instance; -1 once closed."""
        return -1 if self._epoll is None else self._epoll.fileno()

    def logPrefix(self) -> str:  # noqa: N802
        """Twisted's name for this in a traceback."""
        return type(self).__name__

    def doRead(self) -> None:  # noqa: N802
        """Some are ready. Those for whom this turn has no time are told in the next one."""
        if self._next_turn is None:
            # What is called later is called in this turn, too: it would have twice its time.
            self._take_turn(goes_on=self._await_turn)

    def _await_turn(self) -> None:
        self._next_turn = self._reactor.callLater(0, self._take_turn)

    def _take_turn(self, goes_on: Callable[[], None] | None = None) -> None:
        self._next_turn = None
        now_s = self._reactor.seconds()
        ends_at_s = now_s + _TURN_S
        if self._epoll is not None:
            self._look(self._epoll, now_s)
        if len(self._broken) + len(self._others) > _MANY:
            self._is_busy, self._busy_at_s = True, now_s
        while self._broken or self._others:
            for kind in (self._broken, self._others):
                for watched in tuple(islice(kind, _AT_ONCE)):
                    if watched in kind:
                        self._tell(watched, kind.pop(watched))
            if self._reactor.seconds() >= ends_at_s and (self._broken or self._others):
                self._next_turn = self._reactor.callLater(0, goes_on or self._take_turn)
                break
        self._is_busy = False

    def catch_up(self, watched: Watched) -> None:
        """Tell it at once of what has come and waits for its turn, or has not been looked at."""
        if self._lately() - self._looked_at_all_s >= _TURN_S:
            self._look_at_all()
        for kind in (self._broken, self._others):
            if watched in kind:
                self._tell(watched, kind.pop(watched))
        if self._next_turn is None and (self._broken or self._others):
            self._next_turn = self._reactor.callLater(0, self._take_turn)

    def _look_at_all(self) -> None:
        # So often that all are looked at: some are told again and again until they are read.
        for _ in range(0, len(self._watched), _MOST_NEW):
            if self._epoll is None or self._look(self._epoll, self._lately()) < _MOST_NEW:
                break
        # Not for each of thousands that time out together: what comes now is too late for them.
        self._looked_at_all_s = self._reactor.seconds()

    def waited_s(self) -> float:
        """While somebody is told of something: how long that has waited for its turn."""
        seen_at_s = self._seen_at_s
        return 0.0 if seen_at_s is None else max(0.0, self._lately() - seen_at_s)

    def _look(self, epoll: select.epoll, now_s: float) -> int:
        """What is new, and how much. By name, not by number: a socket that one of them closes may
        leave its number to another one before that is told."""
        new = epoll.poll(0, _MOST_NEW)
        for number, flags in new:
            watched = self._watched.get(number)
            if watched is None:
                # Closed without remove(), while somebody has a copy: that must not end all others.
                continue
            kind = self._broken if flags & BROKEN else self._others
            before, since_s = kind.get(watched, (0, now_s))
            kind[watched] = before | flags, since_s
        return len(new)

    def _tell(self, watched: Watched, seen: _Seen) -> None:
        flags, self._seen_at_s = seen
        try:
            if watched.is_open:
                watched.ready(flags)
        except Exception:  # noqa: BLE001 - the mistake of one must not end all others
            _log.failure("A connection is given up")
            _give_up(watched)
        finally:
            self._seen_at_s = None

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002
        """The reactor has ended, or can watch this no longer: who connects anew begins anew."""
        watched, self._watched = self._watched, {}
        epoll, self._epoll = self._epoll, None
        next_turn, self._next_turn = self._next_turn, None
        self._broken.clear()
        self._others.clear()
        closing, self._closing = self._closing, None
        for call in (next_turn, closing):
            cancel(call)
        if epoll is not None:
            epoll.close()
        while self.close_some():
            pass
        for each in watched.values():
            if each.is_open:
                _give_up(each)


def _give_up(watched: Watched) -> None:
    try:
        watched.failed()
    except Exception:  # noqa: BLE001 - see above
        _log.failure("Who had a connection cannot be told of its end")
