"""Finds and ends what commands leave behind outside of their process groups.

A process that leaves its session escapes the kill of its command's group. As this process is a
*subreaper*, such a process becomes its child once its own parent has ended: a child that is no
command is left over. Nothing else is touched: neither children that share our own session (a
plugin's), nor what a command that still runs may be using.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

_PR_SET_CHILD_SUBREAPER = 36
_INIT = 1


class Children(Protocol):
    """The children of this process. None of their numbers is given away before it is reaped."""

    def pids(self) -> Iterable[int]:
        """All of them, or nearly: one may be missing while others come and go."""

    def session(self, pid: int) -> int | None:
        """Its session, unless it is one that this process is in."""

    def group(self, pid: int) -> int | None:
        """Its process group."""

    def kill(self, pid: int) -> None:
        """SIGKILL it."""

    def reap(self, pid: int) -> bool:
        """Reap it if it has ended; whether it was."""


class LeftOvers:
    """Of `children`, those that no command needs any more. Pure but for these."""

    def __init__(self, children: Children) -> None:
        self._children = children
        self._users: dict[int, set[int]] = {}
        """By left-over: the commands that ran when it was first seen and still do. Which of them
        has started it is not known."""
        self._killed: set[int] = set()

    @property
    def any(self) -> bool:
        """Whether some are left that have not been reaped."""
        return bool(self._users)

    def end(self, running: Collection[int], ended: int = 0) -> tuple[int, ...]:
        """Kill and reap what no command of those that are `running`, all there are, may be using;
        returns which processes were killed that had not been before. What these have started
        shows up when they have ended: call again. `ended` is a command whose group has just been
        killed: what is left of that is no doing of the next command that ends."""
        users, self._users = self._users, {}
        killed: list[int] = []
        for pid in self.reap(running):
            group = self._children.group(pid)
            if group in running:
                continue  # It ends with its command.
            if group == ended:
                self._killed.add(pid)
            left = self._users[pid] = users.get(pid, set(running)).intersection(running)
            if not left:
                self._children.kill(pid)
                if pid not in self._killed:
                    killed.append(pid)
        self._killed = (self._killed | set(killed)) & self._users.keys()
        return tuple(killed)

    def reap(self, running: Collection[int]) -> list[int]:
        """Reap those that have ended, whatever they were started for; returns the others."""
        return [
            pid
            for pid in self._children.pids()
            if pid not in running
            and self._children.session(pid) is not None
            and not self._children.reap(pid)
        ]


class OwnChildren:
    """See Children: those that this process's main thread has started, or was left with."""

    def __init__(self) -> None:
        self._list = Path(f"/proc/self/task/{os.getpid()}/children")
        self._session = os.getsid(0)

    def pids(self) -> Iterable[int]:
        """See Children."""
        try:
            return [int(word) for word in self._list.read_bytes().split()]
        except OSError:
            return []

    def session(self, pid: int) -> int | None:
        """See Children."""
        with suppress(OSError):
            session = os.getsid(pid)
            return None if session == self._session else session
        return None

    def group(self, pid: int) -> int | None:
        """See Children."""
        with suppress(OSError):
            return os.getpgid(pid)
        return None

    def kill(self, pid: int) -> None:
        """See Children."""
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)

    def reap(self, pid: int) -> bool:
        """See Children."""
        try:
            return os.waitpid(pid, os.WNOHANG)[0] == pid
        except ChildProcessError:
            return True


def as_subreaper() -> LeftOvers | None:
    """Become one. None if that cannot be, or if this is the first process of a container, which
    has the orphans of all others for children."""
    if os.getpid() == _INIT or not Path(f"/proc/self/task/{os.getpid()}/children").exists():
        return None
    if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        return None
    return LeftOvers(OwnChildren())
