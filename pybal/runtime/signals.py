"""What signals do to the running daemon."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybal.errors import said_by
from pybal.runtime.held_signals import HARMLESS, let_signals_in

TakeSignal = Callable[[int, Callable[[int, object], None]], object]
"""signal.signal"""


class SignalledDaemon(Protocol):
    """The daemon. Cancelling what stop() awaits makes it skip that and go on."""

    async def stop(self, *, for_restart: bool = False) -> None: ...

    def reload(self) -> object: ...


class SignalHandling:
    """Stops the daemon, then the reactor; or has it read its configuration again.

    SIGTERM and SIGINT stop it in order; a second one does not wait for anything any more. SIGUSR2
    stops it for a restart: that is what `systemctl restart` sends (debian/pybal.service). SIGHUP,
    sent by `systemctl reload`, has pybal.conf read again. No other signal that can be handled ends
    it.

    `objections`, where nobody else would start the next process, finds out whether it can start
    before SIGUSR2 stops this one: the reasons, if not. `ended` is called once the daemon has
    stopped; it may end the process there and then.
    """

    def __init__(
        self,
        reactor: Any,
        daemon: SignalledDaemon,
        log: Logger,
        take_signal: TakeSignal,
        objections: Callable[[], Deferred[tuple[str, ...]]] | None,
        ended: Callable[[], object],
    ) -> None:
        self._reactor = reactor
        self._daemon = daemon
        self._log = log
        self._take_signal = take_signal
        self._objections = objections
        self._ended = ended
        self._asking = False
        self._for_restart = False
        self._stopping: Deferred[None] | None = None
        self.left_to_the_next: tuple[int, ...] = ()
        """SIGTERM, if an end was wanted once the restart had begun: the next one ends in order."""

    @property
    def for_restart(self) -> bool:
        """Whether the process has ended so that the next one can go on."""
        return self._for_restart

    def arrange(self) -> None:
        """Call before the reactor runs; signals count from then on."""
        self._reactor.addSystemEventTrigger("before", "shutdown", self._stop)
        self._on(signal.SIGHUP, self._reload)
        self._on(signal.SIGUSR2, self._restart)
        for number in HARMLESS:
            self._on(number, partial(self._say_nothing_is_done, number))
        # The reactor sets its own for these as it begins to run.
        for number in (signal.SIGTERM, signal.SIGINT):
            self._reactor.callWhenRunning(self._take_signal, number, self._end_for_good)
        self._reactor.callWhenRunning(let_signals_in)

    def _on(self, number: int, act: Callable[[], None]) -> None:
        self._take_signal(number, lambda *_: self._reactor.callFromThread(act))

    def _reload(self) -> None:
        if self._stopping is None:
            self._daemon.reload()

    def _say_nothing_is_done(self, number: int) -> None:
        name = signal.Signals(number).name if number < signal.SIGRTMIN else f"SIGRT {number}"
        self._log.info("{name} does nothing", name=name)

    def _restart(self) -> None:
        if self._objections is None or self._stopping is not None:
            self._end_for_restart()
        elif not self._asking:
            self._asking = True
            self._log.info("SIGUSR2: looking whether the next one can start")
            asked = self._objections()
            asked.addErrback(lambda failure: (f"it cannot be asked: {said_by(failure.value)}",))
            asked.addCallback(self._asked)

    def _asked(self, objections: tuple[str, ...]) -> None:
        self._asking = False
        if self._stopping is not None:
            return
        for each in objections:
            self._log.error("{reason}", reason=each)
        if objections:
            self._log.critical("No restart, as the next one could not start (see above)")
        else:
            self._end_for_restart()

    def _end_for_restart(self) -> None:
        self._for_restart = self._for_restart or self._stopping is None
        self._end()

    def _end_for_good(self, *_: object) -> None:
        # Noted at once: a reactor that is about to end calls nobody any more.
        becomes_the_next = self._for_restart and self._objections is not None
        waits = becomes_the_next and not self.left_to_the_next
        self.left_to_the_next = (signal.SIGTERM,) if self._for_restart else ()
        if not waits:
            self._reactor.callFromThread(self._end)

    def _end(self) -> None:
        if self._stopping is None:
            self._reactor.stop()
        elif not self._stopping.called:
            self._log.warn("Told so twice: exiting without waiting")
            self._stopping.cancel()

    def _stop(self) -> Deferred[None]:
        self._log.info("Exiting, for a restart..." if self._for_restart else "Exiting...")
        self._stopping = Deferred.fromCoroutine(self._daemon.stop(for_restart=self._for_restart))
        self._stopping.addErrback(self._not_in_order)
        self._stopping.addCallback(lambda _: self._ended())
        return self._stopping

    def _not_in_order(self, failure: Failure) -> None:
        if not failure.check(CancelledError):  # Told so twice.
            self._log.failure("Could not stop in order", failure)
