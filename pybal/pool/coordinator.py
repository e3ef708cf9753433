"""The Coordinator of one service: one event after another through the pooling policy.

Pool lists, addresses and monitor results come in; what should stand in IPVS goes out. The
decisions are made in pybal/pool/policy.py, the log lines in pybal/pool/log_lines.py.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.logger import Logger, LogLevel

from pybal.config.settings import (
    MonitorSettings,
    ServiceSettings,
)
from pybal.health.isolation import SLOW_S, Report
from pybal.health.isolation_guard import ProbeTarget
from pybal.ipvs.model import DestinationKey, ServiceEntry
from pybal.model import (
    CheckResult,
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
)
from pybal.pool.log_lines import log_line
from pybal.pool.policy import PoolState, step
from pybal.pool.server import AddressWatcher, Server
from pybal.pool.snapshots import ServerSnapshots
from pybal.pool.withdrawal import Health, health
from pybal.runtime.time_slices import TimeSlices

FIRST_ANSWER_WAIT_S = 6.0
"""A new pool list waits so long for the names of its new servers, then goes without those
that have not answered; a little more than the resolver's own limit for one look-up."""

MonitorFactory = Callable[[MonitorSettings, Target, Callable[[CheckResult], None]], Monitor]


@dataclass(frozen=True, slots=True)
class CoordinatorPorts:
    """What a Coordinator touches. `clock` provides IReactorTime, `now()` is Unix seconds;
    lists of hundreds of servers are applied in `time_slices`; `publish` takes what should stand
    in IPVS, each time that it changes."""

    clock: Any
    time_slices: TimeSlices
    now: Callable[[], float]
    addresses: AddressWatcher
    create_monitor: MonitorFactory
    publish: Callable[[ServiceEntry], None]
    servers_changed: Callable[[str, Health], None]
    """Told the health of a service with bgp-withdraw-on-down after each of its events."""
    weigh: Callable[[Report], None]
    """Takes each report of a monitor, and has it acted on now, later or never."""


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
        self._stopped = False
        self._published: ServiceEntry | None = None
        self._stood = 0 if adopted is None else len(adopted.destinations)
        """How many servers stand in the kernel, until the first publication."""
        self._could_not_depool_total = 0
        self._shown = ServerSnapshots()

    # -- what comes in --------------------------------------------------------------------

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
            self._arriving = {host: self._new_server(host) for host in hosts}
            for server in self._arriving.values():
                await self._ports.time_slices.pause()
                server.start(self._ports.addresses, self._settings.server_version)
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

    def _new_server(self, host: str) -> Server:
        def make_monitors(address: IPAddress) -> list[Monitor]:
            self._shown.touch()
            target = Target(
                self._settings.name,
                host,
                address,
                self._settings.port,
                lambda: self._name(host),
                self._shown.touch,
            )
            return [m for each in self._settings.monitors if (m := self._made(each, target))]

        def on_address() -> None:
            self._handle(AddressChanged(host, ready=self._servers[host].address is not None))

        return Server(host, make_monitors, on_address)

    def _made(self, settings: MonitorSettings, target: Target) -> Monitor | None:
        try:
            return self._new_monitor(settings, target)
        except Exception:  # noqa: BLE001 - a plugin's mistake must not leave the others unmade
            self._log.failure(
                "{host}: its {monitor} could not be made, so it is not checked by that",
                host=target.host,
                monitor=settings.monitor,
            )
            return None

    def _new_monitor(self, settings: MonitorSettings, target: Target) -> Monitor:
        name = settings.monitor

        def report(result: CheckResult) -> None:
            server = self._servers.get(target.host)
            before: list[ReportRetracted] = []

            def handle(event: Event) -> None:
                # It may come late: the server, or its address, may be another one by then.
                current = self._servers.get(target.host)
                if current is server and server is not None and server.address == target.address:
                    self._handle(event)

            def act() -> None:
                member = self._state.members.get(target.host)
                if member is not None:
                    said = member.results.get(name)
                    before[:] = [ReportRetracted(target.host, name, said, member.up)]
                handle(MonitorReported(target.host, name, result.up, result.reason))

            def retract() -> None:
                for event in before:
                    handle(event)

            key = (target.service, target.host, name)
            slow = result.duration_s >= SLOW_S
            self._ports.weigh(Report(key, result.up, slow, act, retract))

        return self._ports.create_monitor(settings, target, report)

    def probe_target(self, source: Random) -> ProbeTarget | None:
        """A server picked at random, if it takes TCP connections and was up when last heard of;
        it is asked at the port, and from the address, of its checks."""
        if self._settings.protocol is not L4Protocol.TCP or not self._servers:
            return None
        host = source.choice(list(self._servers))
        member, address = self._state.members.get(host), self._servers[host].address
        if member is None or address is None or not member.up or not self._settings.monitors:
            return None
        monitors = self._settings.monitors
        asked_as = next((m for m in monitors if m.checks_by_tcp), monitors[0])
        port = asked_as.port or self._settings.port
        return ProbeTarget(host, address, port, asked_as.source_address)

    @property
    def hosts(self) -> Iterable[str]:
        """All servers' names."""
        return self._servers.keys()

    def _name(self, host: str) -> str:
        member = self._state.members.get(host)
        return f"{host} ({member.status})" if member is not None else host

    # -- one event after another ----------------------------------------------------------

    def _handle(self, event: Event) -> None:
        """Take the event's step; one that arrives within a step waits for that to end."""
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
                self._publish()
            if self._settings.bgp_withdraw_below is not None:
                self._ports.servers_changed(self._settings.name, health(self._state))
        except Exception:  # noqa: BLE001 - one bad event must not end the service's care
            self._log.failure("An event could not be handled: {event}", event=event)
            return
        for notice in notices:
            if isinstance(notice, CouldNotDepool):
                self._could_not_depool_total += 1
            level, text = log_line(notice)
            self._log.emit(LogLevel.levelWithName(level), "{text}", text=text)

    def _publish(self) -> None:
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
            self._ports.publish(entry)

    def _enough_names(self) -> bool:
        """Whether as many addresses are known as must be pooled, or as stand there, for some
        names may have none: while DNS is away, and was so at the start, whatever stands in the
        kernel is better than nothing."""
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


def _pooling_changed(notices: Iterable[Notice]) -> bool:
    return any(isinstance(notice, PooledChanged) for notice in notices)
