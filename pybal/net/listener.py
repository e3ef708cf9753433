"""One address that is listened on, as soon as that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from pybal.errors import said_by
from pybal.runtime.clock import Timer
from pybal.runtime.retry import Retry

Port = TypeVar("Port")

_FIRST_RETRY_S = 1.0
_MAX_RETRY_S = 60.0


class Listener(Generic[Port]):
    """Listens, or waits to try again: an address that cannot be bound is an error in the log, not
    the end. `where` is what the log calls it. `opening` opens the port, or raises OSError or
    CannotListenError; `closing` closes it, and may return a Deferred; `port` is what was opened,
    while it is. Unless it `keeps_trying`, what fails at first is only a warning. `clock` is
    IReactorTime."""

    def __init__(
        self,
        clock: Timer,
        log: Logger,
        where: str,
        opening: Callable[[], Port],
        closing: Callable[[Port], object],
        *,
        keeps_trying: bool = True,
    ) -> None:
        self.port: Port | None = None
        self._log = log
        self._where = where
        self._opening = opening
        self._closing = closing
        self._keeps_trying = keeps_trying
        self._retry = Retry(clock, self.start, _FIRST_RETRY_S, _MAX_RETRY_S)
        self._last_error = ""

    def start(self) -> None:
        """Begin to listen; if that fails, try again with exponential back-off until it works."""
        try:
            self.port = self._opening()
        except (CannotListenError, OSError) as error:
            self._try_again(error)
        else:
            self._log.info("Listening on {where}", where=self._where)

    def _try_again(self, error: Exception) -> None:
        reason = said_by(getattr(error, "socketError", error))
        if not self._keeps_trying:
            self._log.warn("Not listening on {where}: {reason}", where=self._where, reason=reason)
            return
        # The same error again is no news.
        tell = self._log.debug if reason == self._last_error else self._log.error
        tell(
            "Cannot listen on {where}: {reason}; trying again until it works",
            where=self._where,
            reason=reason,
        )
        self._last_error = reason
        self._retry.failed()

    def stop(self) -> Deferred[None]:
        """Close the port, or give it up; fires when it is closed. Idempotent."""
        self._retry.cancel()
        port, self.port = self.port, None
        if port is None:
            return succeed(None)
        return maybeDeferred(self._closing, port).addCallback(lambda _: None)
