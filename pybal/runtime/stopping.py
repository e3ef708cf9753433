"""The end of what has parts: each of them ends, whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure


def end_each(log: Logger, *stops: Callable[[], object]) -> None:
    """Call each, in this order. What one raises is logged, and keeps no other from ending."""
    for stop in stops:
        try:
            stop()
        except Exception:  # noqa: BLE001 - as said above
            _say(log, _name(stop), Failure())


async def end_in_turn(log: Logger, *stops: Callable[[], Awaitable[object]]) -> None:
    """The same for parts that take their time: each begins once the one before it has ended.
    Cancelling ends the wait for one of them."""
    for stop in stops:
        try:
            await stop()
        except CancelledError:
            pass
        except Exception:  # noqa: BLE001 - as said above
            _say(log, _name(stop), Failure())


def ending(log: Logger, what: str, stop: Callable[[], Deferred[Any]]) -> Deferred[None]:
    """The same for one that ends beside others, called `what`: fires when it has ended, and never
    fails."""
    stopping = maybeDeferred(stop)
    stopping.addErrback(lambda failure: _say(log, what, failure))
    return stopping.addCallback(lambda _: None)


def _say(log: Logger, what: str, failure: Failure) -> None:
    if not failure.check(CancelledError):
        log.failure("Not stopped in order: {what}", failure, what=what)


def _name(stop: Callable[[], object]) -> str:
    while isinstance(stop, partial):
        stop = stop.func
    return getattr(stop, "__qualname__", None) or repr(stop)
