"""The group that may use the control socket, by its name."""

from __future__ import annotations

import grp
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from pybal.runtime.threads import OwnThread, in_own_thread

_GROUPS = Path("/etc/group")


def _id_of(name: str) -> int:
    return grp.getgrnam(name).gr_gid


class GroupIds:
    """Numbers of groups: those of this host's own file are known at once. Others may be those of a
    directory on the network (nsswitch.conf), which is asked in a thread, since it may hang; a start
    waits for nobody. `id_of` asks it, and may raise KeyError; `reactor` provides
    IReactorFromThreads."""

    def __init__(
        self,
        reactor: Any,
        own_thread: OwnThread,
        read: Callable[[], str] = lambda: _GROUPS.read_text("utf-8", "replace"),
        id_of: Callable[[str], int] = _id_of,
    ) -> None:
        self._reactor = reactor
        self._own_thread = own_thread
        self._read = read
        self._id_of = id_of

    def own(self, name: str) -> int | None:
        """That of a group of this host; None if it has none of that name (group(5))."""
        try:
            lines = self._read().splitlines()
        except OSError:
            return None
        for line in lines:
            group, *fields = line.split(":")
            if group == name and len(fields) > 1 and fields[1].isascii() and fields[1].isdigit():
                return int(fields[1])
        return None

    def ask(self, name: str) -> Deferred[int]:
        """That of a group of the directory. Fails with KeyError, OSError or NoThreadError."""
        return in_own_thread(self._reactor, self._own_thread, partial(self._id_of, name))
