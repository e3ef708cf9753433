"""As whom commands run: a user with all groups, of which a directory on the network may have to be
asked (nsswitch.conf)."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybal.config.settings import User
from pybal.errors import PyBalError, said_by
from pybal.runtime.threads import OwnThread, in_own_thread
from pybal.runtime.threads import own_thread as real_own_thread

_FIRST_ROOM = 64


class UserUnknownError(PyBalError):
    """No command can run yet, which says nothing of the server."""


def groups_of(user: User) -> tuple[int, ...]:
    """As os.getgrouplist(), which would hold the interpreter, and so all threads, until the
    directory answers."""
    libc, room = ctypes.CDLL(None), _FIRST_ROOM
    while True:
        groups, count = (ctypes.c_uint * room)(), ctypes.c_int(room)
        name = os.fsencode(user.name)
        if libc.getgrouplist(name, ctypes.c_uint(user.gid), groups, ctypes.byref(count)) >= 0:
            return tuple(sorted(groups[: count.value]))
        room = max(2 * room, count.value)


class CommandUser:
    """Asks for the groups of a user in a thread, since the directory may hang. `ask` raises
    OSError; `reactor` provides IReactorFromThreads."""

    def __init__(
        self,
        reactor: Any,
        own_thread: OwnThread = real_own_thread,
        ask: Callable[[User], tuple[int, ...]] = groups_of,
    ) -> None:
        self._reactor = reactor
        self._own_thread = own_thread
        self._ask_directory = ask
        self._log = Logger(namespace="runcommand")
        self._user: User | None = None
        self._groups: tuple[int, ...] | None = None
        self._asking: User | None = None

    def become(self, user: User | None) -> None:
        """From now on it is this one; None: the one of this process. The groups of the same are
        asked for again, and those that are known stay until they are there."""
        if user != self._user:
            self._user, self._groups = user, None
        self._ask()

    def identity(self) -> dict[str, Any]:
        """What subprocess.Popen is to be told. Raises UserUnknownError."""
        user = self._user
        if user is None:
            return {}
        if self._groups is None:
            self._ask()
            raise UserUnknownError(f"the directory of groups has not answered for {user}")
        return {"user": user.uid, "group": user.gid, "extra_groups": self._groups}

    def _ask(self) -> None:
        user = self._user
        if user is not None and user != self._asking:
            self._asking = user
            asked: Deferred[tuple[int, ...]] = in_own_thread(
                self._reactor, self._own_thread, partial(self._ask_directory, user)
            )
            asked.addBoth(self._answered, user)

    def _answered(self, answer: tuple[int, ...] | Failure, user: User) -> None:
        if self._asking == user:
            self._asking = None
        if isinstance(answer, Failure):
            why = said_by(answer.value)
            self._log.error("The groups of {user} are not known: {why}", user=str(user), why=why)
        elif user == self._user:
            self._groups = answer
