"""Reads what the kernel counts, for whoever asks, in bounded pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from pybal.errors import KernelError
from pybal.ipvs.kernel import Kernel
from pybal.ipvs.managed import DelayedCall, Timer
from pybal.ipvs.model import ServiceKey
from pybal.model import ServiceStatistics

MAX_AGE_S = 5.0
DESTINATIONS_READ_PER_TURN = 100


class StatisticsReader:
    """One reading at a time, some destinations a turn of the reactor; all who ask meanwhile wait
    for it. What is younger than MAX_AGE_S is not read again. `now()` is Unix seconds."""

    def __init__(
        self,
        clock: Timer,
        kernel: Kernel,
        now: Callable[[], float],
        services: Callable[[], Iterable[ServiceKey]],
    ) -> None:
        self._clock = clock
        self._kernel = kernel
        self._now = now
        self._services = services
        self._log = Logger(namespace="ipvs")
        self._waiting: list[Deferred[None]] = []
        self._call: DelayedCall | None = None
        self._failed = False
        self.latest: tuple[ServiceStatistics, ...] = ()
        self.read_at: float | None = None

    def refresh(self) -> Deferred[None]:
        """Fires, and never fails, when `latest` is young."""
        if self.read_at is not None and 0 <= self._now() - self.read_at < MAX_AGE_S:
            return succeed(None)
        waiter: Deferred[None] = Deferred()
        self._waiting.append(waiter)
        if len(self._waiting) == 1:
            self._call = self._clock.callLater(0, self._read, iter(tuple(self._services())), [])
        return waiter

    def stop(self) -> None:
        """End the reading; who waits gets what there is. Idempotent."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._tell()

    def _read(self, services: Iterator[ServiceKey], found: list[ServiceStatistics]) -> None:
        read = 0
        try:
            for key in services:
                statistics = self._kernel.statistics(key)
                if statistics is None:
                    continue
                found.append(statistics)
                read += 1 + len(statistics.destinations)
                if read >= DESTINATIONS_READ_PER_TURN:
                    self._call = self._clock.callLater(0, self._read, services, found)
                    return
            self._failed = False
        except KernelError as error:
            if not self._failed:
                self._log.error("Could not {error}", error=str(error))
            self._failed = True
        self.latest, self.read_at = tuple(found), self._now()
        self._tell()

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.callback(None)
