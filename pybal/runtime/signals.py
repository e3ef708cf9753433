"""What signals do to the running daemon."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

TakeSignal = Callable[[int, Callable[[int, object], None]], object]
"""signal.signal"""


class Stoppable(Protocol):
    """The daemon. Cancelling what stop() awaits makes it skip that and go on."""

    async def stop(self, *, for_restart: bool = False) -> None: ...


class SignalHandling:
    """Stops the daemon, then the reactor.

    SIGTERM and SIGINT stop it in order; a second one does not wait for anything any more. SIGUSR2
    stops it for a restart: that is what `systemctl restart` sends (debian/pybal.service). SIGHUP,
    whose default is to kill, does nothing: a changed pybal.conf takes a restart.
    """

    def __init__(
        self, reactor: Any, daemon: Stoppable, log: Logger, take_signal: TakeSignal
    ) -> None:
        self._reactor = reactor
        self._daemon = daemon
        self._log = log
        self._take_signal = take_signal
        self._for_restart = False
        self._stopping: Deferred[None] | None = None

    def arrange(self) -> None:
        """Call before the reactor runs; signals count from then on."""
        self._reactor.addSystemEventTrigger("before", "shutdown", self._stop)
        self._on(signal.SIGHUP, self._no_reload)
        self._on(signal.SIGUSR2, self._restart)
        # The reactor sets its own for these as it begins to run.
        self._reactor.callWhenRunning(self._on, signal.SIGTERM, self._end)
        self._reactor.callWhenRunning(self._on, signal.SIGINT, self._end)

    def _on(self, number: int, act: Callable[[], None]) -> None:
        self._take_signal(number, lambda *_: self._reactor.callFromThread(act))

    def _no_reload(self) -> None:
        self._log.warn("SIGHUP does nothing: a changed pybal.conf takes a restart")

    def _restart(self) -> None:
        self._for_restart = self._stopping is None
        self._end()

    def _end(self) -> None:
        if self._stopping is None:
            self._reactor.stop()
        elif not self._stopping.called:
            self._log.warn("Told so twice: exiting without waiting")
            self._stopping.cancel()

    def _stop(self) -> Deferred[None]:
        self._log.info("Exiting, for a restart..." if self._for_restart else "Exiting...")
        self._stopping = Deferred.fromCoroutine(self._daemon.stop(for_restart=self._for_restart))
        return self._stopping
