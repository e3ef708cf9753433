"""Reads files where they are: at once if that is a disk of this host, in a thread, within a
deadline, if it is a file system that may keep a reader waiting for ever."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from pybal.errors import SourceError
from pybal.runtime.clock import cancel
from pybal.runtime.threads import NoThreadError, OwnThread, in_own_thread
from pybal.state.mounts import is_below, remote_mounts

T = TypeVar("T")

_Job = tuple[Callable[[], object], "Deferred[Any]"]
"""What is to be run, and who waits for what comes of it."""

DEADLINE_S = 5.0
"""A file system that has not answered by then hangs."""

_MOUNTS = Path("/proc/self/mountinfo")
_LOOK_EVERY_S = 30.0


class FileAccessError(SourceError):
    """A file system does not answer, or no thread can look at it: nothing is known of the file."""


class FileAccess(Protocol):
    """Runs what reads a file."""

    async def run(self, path: Path, function: Callable[[], T]) -> T:
        """What the function returns or raises, or FileAccessError."""
        ...


class BoundedAccess:
    """See FileAccess. `reactor` provides IReactorTime and IReactorFromThreads; `own_thread` runs a
    function in a thread of its own, which nobody waits for. At most one thread a path: others who
    ask for it, as services that share a pool file do, have their turns after that; while it hangs,
    the path is not tried again."""

    def __init__(
        self,
        reactor: Any,
        own_thread: OwnThread,
        mountinfo: Callable[[], str] = lambda: _MOUNTS.read_text("utf-8", "surrogateescape"),
    ) -> None:
        self._reactor = reactor
        self._own_thread = own_thread
        self._mountinfo = mountinfo
        self._mounts: frozenset[str] = frozenset()
        self._looked_at_s: float | None = None
        self._remote: dict[Path, bool] = {}
        self._deadlines: dict[Path, Any] = {}
        """Of those that a thread is at, IDelayedCalls; one that is over hangs."""
        self._waiting: dict[Path, deque[_Job]] = {}

    async def run(self, path: Path, function: Callable[[], T]) -> T:
        """See FileAccess."""
        if self.is_local(path):
            return function()
        deadline = self._deadlines.get(path)
        if deadline is not None and not deadline.active():
            raise FileAccessError(_hangs(DEADLINE_S + self._reactor.seconds() - deadline.getTime()))
        done: Deferred[T] = Deferred()
        self._waiting.setdefault(path, deque()).append((function, done))
        if deadline is None:
            self._next(path)
        return await done

    def _next(self, path: Path) -> None:
        """Who has gone meanwhile needs no thread any more."""
        waiting = self._waiting.get(path)
        while waiting:
            function, done = waiting.popleft()
            if done.called:
                continue
            self._deadlines[path] = self._reactor.callLater(DEADLINE_S, self._hung, path, done)
            working = in_own_thread(self._reactor, self._own_thread, function)
            working.addBoth(self._worked, path, done)
            return
        self._waiting.pop(path, None)

    def _worked(self, outcome: Any, path: Path, done: Deferred[Any]) -> None:
        deadline = self._deadlines.pop(path)
        cancel(deadline)
        if isinstance(outcome, Failure) and outcome.check(NoThreadError):
            self._give_up(path, done, f"no thread can look at it: {outcome.value}")
            return
        self._next(path)
        if not done.called:
            done.callback(outcome)

    def _hung(self, path: Path, done: Deferred[Any]) -> None:
        self._give_up(path, done, _hangs(DEADLINE_S))

    def _give_up(self, path: Path, done: Deferred[Any], why: str) -> None:
        """Those who wait for their turns do, too."""
        for each in (done, *(waits for _, waits in self._waiting.pop(path, ()))):
            if not each.called:
                each.errback(FileAccessError(why))

    def is_local(self, path: Path) -> bool:
        """Whether it leads to a file system of this host, as far as the mounts tell."""
        now_s = self._reactor.seconds()
        if self._looked_at_s is None or now_s - self._looked_at_s >= _LOOK_EVERY_S:
            self._looked_at_s = now_s
            self._remote.clear()
            try:
                self._mounts = remote_mounts(self._mountinfo())
            except OSError:
                self._mounts = frozenset()
        if not self._mounts:
            return True
        if path not in self._remote:
            self._remote[path] = is_below(str(path), self._mounts, os.readlink)
        return not self._remote[path]


def _hangs(seconds: float) -> str:
    return f"its file system has not answered for {seconds:.0f} s"
