"""How work leaves the reactor's thread: functions that the program's outermost shell gives."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from pybal.errors import PyBalError

InThread = Callable[[Callable[[], Any]], Deferred[Any]]
"""Runs a function in a thread; fires with what it returns, fails with what it raises, or with
NoThreadError."""

OwnThread = Callable[[Callable[[], None]], None]
"""Runs a function in a thread of its own, which nobody waits for: it may go on as long as the
process does. Raises NoThreadError."""


class NoThreadError(PyBalError):
    """This host has no thread left (a limit of tasks, no memory): the function was not run."""


def in_pool(reactor: Any, pool: Any, function: Callable[[], Any]) -> Deferred[Any]:
    """See InThread: in one of a pool's threads (twisted.python.threadpool)."""

    def of_the_pool(run: Callable[[], None]) -> None:
        try:
            if not (pool.started or pool.joined):
                # As the reactor would, once it runs: where that finds no thread for what waits for
                # it, nobody would be told, and it would wait for ever. Until it runs nobody ends
                # them, and a start that fails must not wait for them.
                pool.threadFactory = partial(pool.threadFactory, daemon=True)
                pool.start()
            pool.callInThread(run)
        except RuntimeError as error:
            raise NoThreadError(str(error)) from None

    return in_own_thread(reactor, of_the_pool, function)


def own_thread(function: Callable[[], None]) -> None:
    """See OwnThread."""
    try:
        threading.Thread(target=function, name="own", daemon=True).start()
    except RuntimeError as error:
        raise NoThreadError(str(error)) from None


def in_own_thread(
    reactor: Any, own_thread: OwnThread, function: Callable[[], Any]
) -> Deferred[Any]:
    """See InThread: in a thread of its own, as it may hang. `reactor` provides
    IReactorFromThreads."""
    done: Deferred[Any] = Deferred()

    def outcome() -> Any:
        try:
            return function()
        except BaseException:  # noqa: BLE001 - it is handed on to whoever waits
            return Failure()

    def run() -> None:
        # In no variable, neither here nor, as deferToThreadPool would have it, in who called us: a
        # Failure and the frames that it leads to would keep one another, and all that was read.
        reactor.callFromThread(tell, outcome())

    def tell(outcome: Any) -> None:
        if not done.called:
            done.callback(outcome)

    try:
        own_thread(run)
    except NoThreadError as error:
        return fail(error)
    return done


def close_in(own_thread: OwnThread, close: Callable[[], None]) -> None:
    """Close what the kernel takes long for; here, where there is no thread for it."""
    try:
        own_thread(close)
    except NoThreadError:
        close()
