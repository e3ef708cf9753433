"""The user whose process asks over the control socket."""

from __future__ import annotations

import pwd
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from twisted.web.http import Request

from pybal.net.unix_socket import peer_uid
from pybal.runtime.shared_work import SharedWork
from pybal.runtime.threads import NoThreadError, OwnThread, in_own_thread

DEADLINE_S = 2.0
"""Then a user is a number."""


def _name_of(uid: int) -> str:
    return pwd.getpwuid(uid).pw_name


class AskingUsers:
    """Names of users, who may be those of a directory on the network (nsswitch.conf): that is asked
    in a thread, since it may hang, most likely when somebody asks because the network is down.

    `reactor` provides IReactorTime and IReactorFromThreads; `name_of` may raise KeyError."""

    def __init__(
        self, reactor: Any, own_thread: OwnThread, name_of: Callable[[int], str] = _name_of
    ) -> None:
        self._reactor = reactor
        self._own_thread = own_thread
        self._name_of = name_of
        self._asked: SharedWork[str] = SharedWork()
        """One thread at each user; while it hangs, no other begins."""

    def who(self, request: Request) -> Deferred[str]:
        """The user whose process sent it."""
        transport: Any = request.channel.transport
        return self.name(peer_uid(transport.socket))

    def name(self, uid: int) -> Deferred[str]:
        """Of the user of this number, within DEADLINE_S; without one `user NUMBER`."""
        if uid == 0:
            return succeed("root")
        asked = self._asked.get(uid, partial(self._ask, uid))
        return asked.addTimeout(DEADLINE_S, self._reactor, lambda *_: _number(uid))

    def _ask(self, uid: int) -> Deferred[str]:
        asked = in_own_thread(self._reactor, self._own_thread, partial(self._name_of, uid))
        return asked.addErrback(partial(_unknown, uid))


def _unknown(uid: int, failure: Failure) -> str:
    failure.trap(KeyError, OSError, NoThreadError)
    return _number(uid)


def _number(uid: int) -> str:
    return f"user {uid}"
