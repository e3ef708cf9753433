"""Reads what the kernel counts, for whoever asks, in bounded pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from pybal.errors import KernelError
from pybal.ipvs.kernel import Kernel
from pybal.ipvs.model import ServiceKey
from pybal.ipvs.slices import SlicedWork, Slices
from pybal.ipvs.snapshot import ServiceStatistics
from pybal.runtime.clock import DelayedCall, Timer, cancel

MAX_AGE_S = 5.0
SERVERS_READ_PER_TURN = 100


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
            self._later(SlicedWork(self._read_all()))
        return waiter

    def stop(self) -> None:
        """End the reading; who waits gets what there is. Idempotent."""
        cancel(self._call)
        self._tell()

    def _later(self, work: SlicedWork[tuple[ServiceStatistics, ...]]) -> None:
        self._call = self._clock.callLater(0, self._go_on, work)

    def _go_on(self, work: SlicedWork[tuple[ServiceStatistics, ...]]) -> None:
        try:
            work.go_on(SERVERS_READ_PER_TURN)
            if not work.done:
                self._later(work)
                return
            self.latest, self.read_at = work.result, self._now()
        except Exception:  # noqa: BLE001 - all of /metrics waits for this
            self._log.failure("Reading what the kernel counts failed unexpectedly")
        self._tell()

    def _read_all(self) -> Slices[tuple[ServiceStatistics, ...]]:
        """What could be read, if the kernel fails."""
        found: list[ServiceStatistics] = []
        try:
            for key in tuple(self._services()):
                statistics = yield from self._kernel.counting(key)
                if statistics is not None:
                    found.append(statistics)
            self._failed = False
        except KernelError as error:
            if not self._failed:
                self._log.error("Could not {error}", error=str(error))
            self._failed = True
        return tuple(found)

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.callback(None)
