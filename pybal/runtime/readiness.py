"""Keeps the service manager informed: that the daemon is ready, how it is, and that it is alive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from pybal.runtime.clock import Clock, DelayedCall, cancel
from pybal.runtime.naming import named

READY_WAIT_S = 60.0
"""READY is said after this time, too, with what is missing: a pool list that cannot be had must not
make the start of all others a failure."""

_LOOK_EVERY_S = 0.2
_STATUS_EVERY_S = 5.0
_SHOWN = 3


class Manager(Protocol):
    """The part of ServiceManager that is needed."""

    watchdog_s: float

    def ready(self) -> None: ...

    def reloading(self, monotonic_s: float) -> None: ...

    def status(self, text: str) -> None: ...

    def alive(self) -> None: ...


class Readiness:
    """`missing()` names what is not there yet; `status()` is one line on how all is.

    The watchdog is fed by a timer of the event loop: if that does not turn, nothing is said.
    """

    def __init__(
        self,
        clock: Clock,
        manager: Manager,
        missing: Callable[[], Sequence[str]],
        status: Callable[[], str],
    ) -> None:
        self._clock = clock
        self._manager = manager
        self._missing = missing
        self._status = status
        self._since_s = 0.0
        self._calls: dict[str, DelayedCall] = {}
        self.is_ready = False

    def start(self) -> None:
        """Begin to tell."""
        self._since_s = self._clock.seconds()
        self._look()
        self._feed()

    def stop(self) -> None:
        """Idempotent."""
        for call in self._calls.values():
            cancel(call)

    def _look(self) -> None:
        missing = () if self.is_ready else tuple(self._missing())
        waited_s = self._clock.seconds() - self._since_s
        if not self.is_ready and (not missing or waited_s >= READY_WAIT_S):
            self.is_ready = True
            self._tell(missing)
            self._manager.ready()
        else:
            self._tell(missing)
        delay_s = _STATUS_EVERY_S if self.is_ready else _LOOK_EVERY_S
        self._calls["look"] = self._clock.callLater(delay_s, self._look)

    def reloading(self, monotonic_s: float) -> None:
        """A reload begins. During a start nothing is said of it: what ends is the start."""
        if self.is_ready:
            self._manager.reloading(monotonic_s)

    def ready(self) -> None:
        """It has ended; what came of it is not to wait for the next look."""
        self._tell(() if self.is_ready else tuple(self._missing()))
        if self.is_ready:
            self._manager.ready()

    def _tell(self, missing: Sequence[str]) -> None:
        status = self._status()
        if missing:
            status += f"; waiting for {named(missing, _SHOWN)}"
        self._manager.status(status)

    def _feed(self) -> None:
        if self._manager.watchdog_s > 0:
            self._manager.alive()
            self._calls["feed"] = self._clock.callLater(self._manager.watchdog_s / 4, self._feed)
