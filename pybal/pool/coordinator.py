"""The Coordinator of one service: handles one event after another with the pooling policy.

Pool lists, addresses and reports of monitors come in; what should stand in IPVS goes out. The
policy is pybal/pool/policy.py, its log lines are in pybal/pool/log_lines.py.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from random import Random
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.logger import Logger, LogLevel

from pybal.config.settings import (
    MonitorSettings,
    ServiceSettings,
)
from pybal.health.isolation_guard import ProbeTarget
from pybal.ipvs.model import DestinationKey, ServiceEntry
from pybal.model import (
    HealthReport,
    IPAddress,
    L4Protocol,
    ServerSpec,
    ServiceSnapshot,
    SourceSnapshot,
)
from pybal.monitors.base import Monitor
from pybal.monitors.target import Target
from pybal.pool.desired import destination_key, service_entry
from pybal.pool.events import (
    AddressChanged,
    Candidate,
    CouldNotDepool,
    Event,
    ListChanged,
    MonitorReported,
    Notice,
    PooledChanged,
    ReportRetracted,
    SettingsChanged,
)
from pybal.pool.log_lines import log_line
from pybal.pool.policy import PoolState, step
from pybal.pool.server import AddressWatcher, Server
from pybal.pool.snapshots import ServerSnapshots
from pybal.pool.withdrawal import Health, health, is_of_interest
from pybal.runtime.time_slices import TimeSlices

FIRST_ANSWER_WAIT_S = 6.0
"""A new pool list waits so long for the addresses of its new servers, then is applied without
those that are not known. A little more than the resolver's own limit for one look-up."""

MonitorFactory = Callable[[MonitorSettings, Target], Monitor]


class DesiredTable(Protocol):
    """The IPVS table as all services want it."""

    def set_desired(self, entry: ServiceEntry, drain_timeout_s: float | None) -> None:
        """From now on the service should stand so. A server that leaves it keeps its connections
        for so long; None: it leaves at once."""


@dataclass(frozen=True, slots=True)
class CoordinatorPorts:
    """What a Coordinator touches outside of itself. `clock` provides IReactorTime, `now()` is Unix
    seconds; lists of hundreds of servers are applied in `time_slices`; `table` is told what
    should stand in IPVS, each time that it changes."""

    clock: Any
    time_slices: TimeSlices
    now: Callable[[], float]
    addresses: AddressWatcher
    create_monitor: MonitorFactory
    table: DesiredTable
    servers_changed: Callable[[str, Health], None]
    """Told the health of a service whose announcement depends on it after each of its events."""


class Coordinator:
    """Owns the pool state and the Servers of one service.

    `adopted` is what stood in the kernel for this service before the daemon started. Nothing
    is published before the first pool list has been applied and, if servers stood there, enough
    of the list's names are known.
    """

    def __init__(
        self, settings: ServiceSettings, ports: CoordinatorPorts, adopted: ServiceEntry | None
    ) -> None:
        self._settings = settings
        self._ports = ports
        self._adopted = adopted
        self._log = Logger(namespace=settings.name)
        self._state = PoolState(
            settings.depool_threshold, tuple(m.monitor for m in settings.monitors)
        )
        self._servers: dict[str, Server] = {}
        self._arriving: dict[str, Server] = {}
        self._next_list: tuple[ServerSpec, ...] | None = None
        self._applying: Deferred[None] | None = None
        self._events: deque[Event] = deque()
        self._stepping = False
        self._incarnations = count(1)
        self._stopped = False
        self._published: ServiceEntry | None = None
        self._stood = 0 if adopted is None else len(adopted.destinations)
        """How many servers stand in the kernel, until the first publication."""
        self._could_not_depool_total = 0
        self._shown = ServerSnapshots()

    # -- pool lists -----------------------------------------------------------------------

    def pool_list(self, servers: tuple[ServerSpec, ...]) -> None:
        """A new pool list (hosts unique). Lists are applied one after another; of several
        that arrive while one waits for its names, the newest counts."""
        if self._stopped:
            return
        self._next_list = servers
        if self._applying is None:
            self._applying = Deferred.fromCoroutine(self._apply_lists())
            self._applying.addErrback(self._applying_failed)
            if self._applying.called:
                self._applying = None

    def stop(self) -> None:
        """Stop all servers and their monitors; the kernel is left as it is. Idempotent."""
        self._stopped = True
        if self._applying is not None:
            self._applying.cancel()
        for server in (*self._servers.values(), *self._arriving.values()):
            server.stop()

    async def _apply_lists(self) -> None:
        while self._next_list is not None:
            specs, self._next_list = self._next_list, None
            hosts = [spec.host for spec in specs if spec.host not in self._servers]
            self._arriving = {host: Server(host, self) for host in hosts}
            for server in self._arriving.values():
                await self._ports.time_slices.pause()
                server.start(
                    self._ports.addresses, self._settings.server_version, self._settings.name
                )
            await self._wait_for_names()
            await self._ports.time_slices.pause()
            if self._stopped:
                return
            for server in self._apply_list(specs):
                await self._ports.time_slices.pause()
                server.start_monitors()
        self._applying = None

    def _applying_failed(self, failure: Any) -> None:
        self._applying = None
        if not failure.check(CancelledError):
            self._log.failure("A pool list could not be applied", failure)

    async def _wait_for_names(self) -> None:
        waiting = [s.answered for s in self._arriving.values() if not s.answered.called]
        if not waiting:
            return
        all_answered = DeferredList(waiting, consumeErrors=True)
        all_answered.addTimeout(FIRST_ANSWER_WAIT_S, self._ports.clock, lambda *_: None)
        await all_answered

    def _apply_list(self, specs: tuple[ServerSpec, ...]) -> Iterable[Server]:
        """The list is in force; returns the servers that are new in it."""
        arrived, self._arriving = self._arriving, {}
        self._servers |= arrived
        candidates = tuple(self._candidate(spec) for spec in specs)
        # How it stood in the kernel before the start matters for the first list alone.
        self._adopted = None
        listed = {spec.host for spec in specs}
        for host in [host for host in self._servers if host not in listed]:
            self._servers.pop(host).stop()
        self._handle(ListChanged(candidates))
        for server in arrived.values():
            server.admit()
        return arrived.values()

    def _candidate(self, spec: ServerSpec) -> Candidate:
        address = self._servers[spec.host].address
        stood_pooled = None
        if self._adopted is not None:
            stood_pooled = address is not None and _stood_pooled(
                self._adopted, destination_key(self._settings, address), spec.weight
            )
        return Candidate(spec, ready=address is not None, stood_pooled=stood_pooled)

    async def reconfigure(self, settings: ServiceSettings) -> None:
        """Go over to other settings of the same virtual service: what has not changed goes on,
        monitors with equal settings keep their state. Fires when all servers have."""
        before, self._settings = self._settings, settings
        changed = _changed_monitors(before, settings)
        self._handle(
            SettingsChanged(
                settings.depool_threshold, tuple(each.monitor for each in settings.monitors)
            )
        )
        if changed:
            for server in tuple(self._servers.values()):
                await self._ports.time_slices.pause()
                server.change_monitors(changed)
            self._shown.touch()

    # -- servers, as their owner ----------------------------------------------------------

    def make_monitors(self, server: Server, address: IPAddress) -> Sequence[Monitor]:
        """See ServerOwner."""
        server.incarnation = next(self._incarnations)
        names = frozenset(each.monitor for each in self._settings.monitors)
        return self.more_monitors(server, address, names)

    def more_monitors(
        self, server: Server, address: IPAddress, names: frozenset[str]
    ) -> Sequence[Monitor]:
        """See ServerOwner."""
        self._shown.touch()
        target = Target(
            self._settings.name,
            server.host,
            address,
            self._settings.port,
            partial(self._name, server.host),
            self._shown.touch,
            server.incarnation,
        )
        wanted = [each for each in self._settings.monitors if each.monitor in names]
        return [m for each in wanted if (m := self._made(each, target))]

    def _made(self, settings: MonitorSettings, target: Target) -> Monitor | None:
        try:
            return self._ports.create_monitor(settings, target)
        except Exception:  # noqa: BLE001 - a plugin's mistake must not leave the others unmade
            self._log.failure(
                "{host}: its {monitor} could not be made, so it is not checked by that",
                host=target.host,
                monitor=settings.monitor,
            )
            return None

    def address_changed(self, server: Server) -> None:
        """See ServerOwner."""
        self._handle(AddressChanged(server.host, ready=server.address is not None))

    # -- reports of monitors --------------------------------------------------------------

    def deliver(self, report: HealthReport) -> None:
        """A report counts. It may come late: then the server, or its address, may be another one
        by now, and the report is void."""
        server = self._server_of(report)
        if server is None:
            return
        host, monitor = report.host, report.monitor
        member = self._state.members.get(host)
        if member is not None:
            before = member.results.get(monitor)
            server.retractions[monitor] = ReportRetracted(host, monitor, before, member.up)
        self._handle(MonitorReported(host, monitor, report.result.up, report.result.reason))

    def retract(self, report: HealthReport) -> None:
        """A report of down that was delivered no longer counts: what the monitor had said before,
        and whether the server was up then, is restored."""
        server = self._server_of(report)
        if server is not None and report.monitor in server.retractions:
            self._handle(server.retractions[report.monitor])

    def _server_of(self, report: HealthReport) -> Server | None:
        """The server whose present monitors sent this report."""
        server = self._servers.get(report.host)
        return server if server and server.incarnation == report.incarnation else None

    # -- probes ---------------------------------------------------------------------------

    def probe_target(self, source: Random) -> ProbeTarget | None:
        """A server picked at random, if it takes TCP connections and was up when last heard of.
        The probe uses the port and the source address of its checks."""
        if self._settings.protocol is not L4Protocol.TCP or not self._servers:
            return None
        host = source.choice(list(self._servers))
        member, address = self._state.members.get(host), self._servers[host].address
        if member is None or address is None or not member.up or not self._settings.monitors:
            return None
        monitors = self._settings.monitors
        checked_by = next((m for m in monitors if m.checks_by_tcp), monitors[0])
        port = checked_by.port or self._settings.port
        return ProbeTarget(host, address, port, checked_by.source_address)

    @property
    def hosts(self) -> Iterable[str]:
        """All servers' names."""
        return self._servers.keys()

    def _name(self, host: str) -> str:
        member = self._state.members.get(host)
        return f"{host} ({member.status})" if member is not None else host

    # -- one event after another ----------------------------------------------------------

    def _handle(self, event: Event) -> None:
        """Handle an event; one that arrives meanwhile is handled next."""
        self._events.append(event)
        if self._stepping:
            return
        self._stepping = True
        try:
            while self._events and not self._stopped:
                self._step(self._events.popleft())
        finally:
            self._stepping = False

    def _step(self, event: Event) -> None:
        try:
            self._state, notices = step(self._state, event, self._ports.now())
            # Most reports, a first "up" above all, change nothing that the kernel should know.
            if not isinstance(event, MonitorReported) or _pooling_changed(notices):
                self._update_table()
            if is_of_interest(self._settings):
                self._ports.servers_changed(self._settings.name, health(self._state))
        except Exception:  # noqa: BLE001 - one bad event must not end the service's care
            self._log.failure("An event could not be handled: {event}", event=event)
            return
        for notice in notices:
            if isinstance(notice, CouldNotDepool):
                self._could_not_depool_total += 1
            level, text = log_line(notice)
            self._log.emit(LogLevel.levelWithName(level), "{text}", text=text)

    def _update_table(self) -> None:
        if self._stood and not self._enough_names():
            return
        self._stood = 0
        pooled: list[tuple[IPAddress, int]] = []
        for host, member in self._state.members.items():
            address = self._servers[host].address
            if member.pooled and address is not None:
                pooled.append((address, member.spec.weight))
        entry = service_entry(self._settings, pooled)
        if entry != self._published:
            self._published = entry
            self._ports.table.set_desired(entry, self._settings.drain_timeout_s)

    def _enough_names(self) -> bool:
        """Whether as many addresses are known as must be pooled, or as stand in the kernel. While
        DNS does not answer, what stands in the kernel is better than nothing."""
        known = sum(member.ready for member in self._state.members.values())
        return known > 0 and (known >= self._state.required or known >= self._stood)

    # -- what can be seen -----------------------------------------------------------------

    def snapshot(self, source: SourceSnapshot) -> ServiceSnapshot:
        """The service as it stands; `source` is its pool source's snapshot."""
        settings = self._settings
        return ServiceSnapshot(
            name=settings.name,
            protocol=settings.protocol,
            address=settings.address,
            port=settings.port,
            scheduler=settings.scheduler,
            depool_threshold=settings.depool_threshold,
            can_depool=self._state.can_depool,
            could_not_depool_total=self._could_not_depool_total,
            source=source,
            servers=self._shown.servers(self._state, self._servers),
        )


def _stood_pooled(adopted: ServiceEntry, key: DestinationKey, weight: int) -> bool:
    """Whether the kernel sent connections to a server: a weight of 0 that is not the server's own
    is left of a drain."""
    stood = adopted.destinations.get(key)
    return stood is not None and (stood.weight > 0 or weight == 0)


def _changed_monitors(before: ServiceSettings, after: ServiceSettings) -> frozenset[str]:
    """The names of the monitors that only one of both has, or that have other settings."""
    old = {each.monitor: each for each in before.monitors}
    new = {each.monitor: each for each in after.monitors}
    return frozenset(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def _pooling_changed(notices: Iterable[Notice]) -> bool:
    return any(isinstance(notice, PooledChanged) for notice in notices)
