"""Lets depooled servers keep their connections: stands between the Coordinators and the manager."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from twisted.logger import Logger

from pybal.errors import KernelError
from pybal.ipvs.drain import Draining, counted, depool, merged
from pybal.ipvs.kernel import Kernel
from pybal.ipvs.managed_service import DelayedCall, Timer
from pybal.ipvs.model import ServiceEntry, ServiceKey
from pybal.ipvs.slices import SlicedWork, Slices
from pybal.model import DrainSnapshot

SERVERS_COUNTED_PER_TURN = 100

COUNT_EVERY_S = 1.0
COUNT_GAP_S = 0.1
"""The connections of each service that drains are counted every COUNT_EVERY_S, or as often as it
comes to pass with one service each COUNT_GAP_S: a reading takes some milliseconds."""

Connections = Mapping[str, int]
"""Of each server, by its name."""


class Drainer:
    """`publish` takes the entry that should stand in the kernel, servers that drain included;
    `standing` tells what the kernel holds of a service. `seconds()` must not jump."""

    def __init__(
        self,
        clock: Timer,
        kernel: Kernel,
        seconds: Callable[[], float],
        publish: Callable[[ServiceEntry], None],
        standing: Callable[[ServiceKey], ServiceEntry | None],
    ) -> None:
        self._clock = clock
        self._kernel = kernel
        self._seconds = seconds
        self._publish = publish
        self._standing = standing
        self._log = Logger(namespace="ipvs")
        self._wanted: dict[ServiceKey, ServiceEntry] = {}
        self._draining: dict[ServiceKey, Draining] = {}
        self._round: deque[ServiceKey] = deque()
        self._call: DelayedCall | None = None
        self._stopped = False

    def publish(self, entry: ServiceEntry, drain_timeout_s: float | None) -> None:
        """Say what a service should be; without a time limit nothing drains."""
        key = entry.service.key
        if drain_timeout_s is None:
            draining: Draining = {}
        else:
            earlier = self._draining.get(key, {})
            wanted = self._wanted.get(key)
            # What stood before the first word counts as pooled, be it that its weight is 0.
            before = self._standing(key) if wanted is None else merged(wanted, earlier)
            draining = depool(before, entry, earlier, self._seconds() + drain_timeout_s)
            for server in draining.keys() - earlier.keys():
                self._log.info(
                    "{key}: server {server} drains, for up to {timeout} s",
                    key=str(key),
                    server=str(server),
                    timeout=f"{drain_timeout_s:g}",
                )
        self._wanted[key] = entry
        self._drain(key, draining)

    def withdraw(self, key: ServiceKey) -> None:
        """The service goes as a whole."""
        self._wanted.pop(key, None)
        self._draining.pop(key, None)

    def stop(self) -> None:
        """Count no more; what drains stays with weight 0. Idempotent."""
        self._stopped = True
        if self._call is not None and self._call.active():
            self._call.cancel()

    def snapshot(self) -> tuple[DrainSnapshot, ...]:
        """What drains."""
        now = self._seconds()
        return tuple(
            DrainSnapshot(str(key), str(server), max(0.0, drain.until - now), drain.connections)
            for key, draining in self._draining.items()
            for server, drain in draining.items()
        )

    def _drain(self, key: ServiceKey, draining: Draining) -> None:
        if draining:
            self._draining[key] = draining
            if key not in self._round:
                self._round.append(key)
        else:
            self._draining.pop(key, None)
        self._publish(merged(self._wanted[key], draining))
        self._schedule()

    def _schedule(self) -> None:
        if self._call is None and self._draining and not self._stopped:
            delay_s = max(COUNT_GAP_S, COUNT_EVERY_S / len(self._draining))
            self._call = self._clock.callLater(delay_s, self._count_next)

    def _count_next(self) -> None:
        key = self._round.popleft()
        if key in self._draining:
            self._round.append(key)
            self._go_on(key, SlicedWork(self._count(key)))
        else:
            self._call = None
            self._schedule()

    def _go_on(self, key: ServiceKey, work: SlicedWork[Connections | None]) -> None:
        self._call = None
        work.go_on(SERVERS_COUNTED_PER_TURN)
        if not work.done:
            self._call = self._clock.callLater(0, self._go_on, key, work)
            return
        if key in self._draining:
            self._counted(key, work.result)
        self._schedule()

    def _count(self, key: ServiceKey) -> Slices[Connections | None]:
        """The connections of each server of a service; None if they could not be counted. As
        pybal.ipvs.reading.look does, a server that is missing is looked for twice."""
        for _ in range(2):
            try:
                found = yield from self._kernel.counting(key)
            except KernelError as error:
                self._log.error("Could not {error}", error=str(error))
                return None
            destinations = () if found is None else found.destinations
            connections = {each.server: each.active + each.inactive for each in destinations}
            if all(str(server) in connections for server in self._draining.get(key, ())):
                break
        return connections

    def _counted(self, key: ServiceKey, connections: Connections | None) -> None:
        before = self._draining[key]
        known = None
        if connections is not None:
            known = {server: connections.get(str(server), 0) for server in before}
        draining = counted(before, known, self._seconds())
        for server in before.keys() - draining.keys():
            left = None if known is None else known[server]
            self._log.info(
                "{key}: server {server} has drained{rest}",
                key=str(key),
                server=str(server),
                rest=f": time is up, {left} connections are left" if left else "",
            )
        if draining.keys() == before.keys():
            self._draining[key] = draining
        else:
            self._drain(key, draining)
