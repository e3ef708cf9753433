"""Draining: a depooled server keeps its connections, with weight 0, until they end or for a limited
time. The Drainer adds such servers to what a service should be."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Protocol

from twisted.logger import Logger

from pybal.errors import KernelError
from pybal.ipvs.drain import DrainedEntry
from pybal.ipvs.kernel import Kernel
from pybal.ipvs.model import ServiceEntry, ServiceKey, Table
from pybal.ipvs.slices import SlicedWork, Slices
from pybal.ipvs.snapshot import DrainSnapshot
from pybal.runtime.clock import Clock, DelayedCall, cancel
from pybal.runtime.naming import counted

SERVERS_COUNTED_PER_TURN = 100

COUNT_EVERY_S = 1.0
COUNT_GAP_S = 0.1
"""The connections of each service that drains are counted every COUNT_EVERY_S, or as often as it
comes to pass with one service each COUNT_GAP_S: a reading takes some milliseconds."""

Connections = Mapping[str, int]
"""Of each server, by its name."""


class TableWriter(Protocol):
    """The part of IPVSManager that is needed."""

    @property
    def table(self) -> Table:
        """What the kernel is known to hold."""

    def publish(self, entry: ServiceEntry) -> None:
        """Say what a service should be, servers that drain included."""


class Drainer:
    """Knows which servers drain, and counts their connections. When one has drained, it publishes
    the service without it to `writer`."""

    def __init__(self, clock: Clock, kernel: Kernel, writer: TableWriter) -> None:
        self._clock = clock
        self._kernel = kernel
        self._writer = writer
        self._log = Logger(namespace="ipvs")
        self._services: dict[ServiceKey, DrainedEntry] = {}
        self._draining: dict[ServiceKey, DrainedEntry] = {}
        """Those of which a server drains, or has drained and is still published."""
        self._unpublished: set[ServiceKey] = set()
        """Those whose entry could not be published: that is tried again at their next count."""
        self._round: deque[ServiceKey] = deque()
        self._call: DelayedCall | None = None
        self._stopped = False

    def with_draining(self, entry: ServiceEntry, drain_timeout_s: float | None) -> ServiceEntry:
        """The entry with the servers that drain. Those that have just left it drain for so long;
        without a time limit nothing drains."""
        key = entry.service.key
        service = self._services.get(key)
        if drain_timeout_s is None or service is None:
            service = self._services[key] = DrainedEntry(entry)
            if drain_timeout_s is None:
                return self._drain(key, service)
            # What stood before the first entry counts as pooled, even with weight 0.
            new = service.leave(self._writer.table.get(key), self._until(drain_timeout_s))
        else:
            known = self._writer.table.get(key)
            stand = known.destinations if known is not None else ()
            new = service.want(entry, self._until(drain_timeout_s), stand)
        for server in new:
            self._log.info(
                "{key}: server {server} drains, for up to {timeout} s",
                key=str(key),
                server=str(server),
                timeout=f"{drain_timeout_s:g}",
            )
        return self._drain(key, service)

    def _until(self, drain_timeout_s: float) -> float:
        return self._clock.seconds() + drain_timeout_s

    def withdraw(self, key: ServiceKey) -> None:
        """The service goes as a whole."""
        self._services.pop(key, None)
        self._draining.pop(key, None)
        self._unpublished.discard(key)

    def stop(self) -> None:
        """Stop counting; what drains stays in the kernel with weight 0. Idempotent."""
        self._stopped = True
        cancel(self._call)

    def snapshot(self) -> tuple[DrainSnapshot, ...]:
        """What drains."""
        now = self._clock.seconds()
        return tuple(
            DrainSnapshot(str(key), str(server), max(0.0, drain.until - now), drain.connections)
            for key, service in self._draining.items()
            for server, drain in service.draining.items()
        )

    def _drain(self, key: ServiceKey, service: DrainedEntry) -> ServiceEntry:
        """Take note of whether anything drains; returns what is to be published."""
        self._unpublished.discard(key)
        if service.draining:
            self._draining[key] = service
            if key not in self._round:
                self._round.append(key)
        else:
            self._draining.pop(key, None)
        self._schedule()
        return service.entry

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
        try:
            work.go_on(SERVERS_COUNTED_PER_TURN)
            if not work.done:
                self._call = self._clock.callLater(0, self._go_on, key, work)
                return
            if key in self._draining:
                self._counted(key, work.result)
        except Exception:  # noqa: BLE001 - a fault here must not end the draining of the others
            self._log.failure("{key}: draining failed unexpectedly", key=str(key))
        self._schedule()

    def _count(self, key: ServiceKey) -> Slices[Connections | None]:
        """The connections of each server of a service; None if they could not be counted. A
        server that is missing is looked for twice, as in pybal.ipvs.reading.look."""
        for _ in range(2):
            try:
                found = yield from self._kernel.counting(key)
            except KernelError as error:
                self._log.error("Could not {error}", error=str(error))
                return None
            except Exception:  # noqa: BLE001 - what is not counted still ends by its time
                self._log.failure("{key}: counting failed unexpectedly", key=str(key))
                return None
            destinations = () if found is None else found.destinations
            connections = {each.server: each.active + each.inactive for each in destinations}
            service = self._draining.get(key)
            if service is None or all(str(server) in connections for server in service.draining):
                break
        return connections

    def _counted(self, key: ServiceKey, connections: Connections | None) -> None:
        service = self._draining[key]
        known = None
        if connections is not None:
            known = {server: connections.get(str(server), 0) for server in service.draining}
        gone = service.count(known, self._clock.seconds())
        for server in gone:
            left = None if known is None else known[server]
            self._log.info(
                "{key}: server {server} has drained{rest}",
                key=str(key),
                server=str(server),
                rest=f": time is up with {counted(left, 'connection')} left" if left else "",
            )
        if gone or key in self._unpublished:
            self._unpublished.add(key)
            self._writer.publish(service.entry)
            self._drain(key, service)
