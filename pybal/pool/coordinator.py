"""The Coordinator of one service: handles one event after another with the pooling policy.

Pool lists, addresses and reports of monitors come in; what should stand in IPVS goes out. The
policy is pybal/pool/policy.py; pybal/pool/policy_steps.py has its state and takes its steps,
pybal/pool/publication.py tells what should stand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from random import Random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.logger import Logger

from pybal.config.settings import ServiceSettings
from pybal.health.isolation_guard import ProbeTarget
from pybal.ipvs.model import DestinationKey, ServiceEntry
from pybal.model import (
    HealthReport,
    IPAddress,
    ServerSpec,
    ServiceSnapshot,
    SourceList,
    SourceSnapshot,
)
from pybal.override import Override
from pybal.pool.bounded import BoundedWork
from pybal.pool.events import (
    Candidate,
    Event,
    ListChanged,
    ListPart,
    MonitorReported,
    ReportRetracted,
    SettingsChanged,
)
from pybal.pool.guarded_list import GuardedList
from pybal.pool.list_portions import Portions
from pybal.pool.list_record import ListRecord
from pybal.pool.monitor_sets import changed_monitors
from pybal.pool.new_servers import NewServers
from pybal.pool.overlay import Laid, Overlay
from pybal.pool.policy_steps import PolicySteps
from pybal.pool.pool_servers import PoolServers
from pybal.pool.pool_state import PoolState
from pybal.pool.ports import CoordinatorPorts, ListStore
from pybal.pool.probing import picked_probe
from pybal.pool.publication import Publication
from pybal.pool.refusals import Refusals
from pybal.pool.server import Server, stop_in_portions
from pybal.pool.snapshots import ServerSnapshots

FIRST_ANSWER_WAIT_S = 6.0
"""Then a list is applied without the addresses that are not known. More than a look-up takes."""


class Coordinator:
    """Owns the Servers of one service, and the parts that decide on them.

    `adopted` is what stood in the kernel for this service before the daemon started. Nothing
    is published before the first pool list has been applied.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        ports: CoordinatorPorts,
        adopted: ServiceEntry | None,
        list_store: ListStore,
    ) -> None:
        self._settings = settings
        self._ports = ports
        self._new_servers = NewServers(settings, adopted, ports.addresses.remembered)
        self._log = Logger(namespace=settings.name)
        self._list = GuardedList(
            settings, ports.clock, ports.now, self._reconsider_list, self._log, ports.list_kept
        )
        self._servers: dict[str, Server] = {}
        self._overlay = Overlay(settings.name, ports.overrides)
        self._publication = Publication(settings, ports.table, self._servers, adopted, self._log)
        self._policy = PolicySteps(settings, ports, self._publication, self._log)
        self._record = ListRecord(
            ports, list_store, self._list, lambda: self._policy.state, self._new_servers
        )
        self._reconsideration = BoundedWork(ports.clock, self._reconsider)
        self._arriving: dict[str, Server] = {}
        self._next_list: SourceList | None = None
        self._applying: Deferred[None] | None = None
        self._stopped = False
        self._shown = ServerSnapshots(lambda: self._policy.state, self._servers, ports.time_slices)
        self._owner = PoolServers(
            settings,
            ports,
            self._servers,
            self._policy,
            self._new_servers,
            self._record,
            self._shown.touch,
            self._handle,
            self._log,
        )
        self._addresses, self._crowding = self._owner.addresses, self._owner.crowding
        self._refusals = Refusals(
            ports.clock, self._addresses, lambda: self._policy.state, self._handle
        )

    # -- pool lists -----------------------------------------------------------------------

    def pool_list(self, found: SourceList) -> None:
        """A new pool list; one without servers is none. Lists are applied one after another; of
        several that arrive while one waits for its names, the newest counts."""
        if self._stopped or not found.servers:
            return
        self._next_list = found
        if self._applying is None:
            applying = Deferred.fromCoroutine(self._apply_lists())
            applying.addErrback(self._applying_failed)
            self._applying = None if applying.called else applying

    def stop(self) -> Deferred[None]:
        """Decide nothing from now on, and stop all servers with their monitors, in time slices; the
        kernel is left as it is. Fires when all have stopped. Idempotent."""
        self._stopped = True
        self._record.stop()
        self._policy.stop()
        self._reconsideration.stop()
        self._list.stop()
        self._refusals.stop()
        if self._applying is not None:
            self._applying.cancel()
        servers = (*self._servers.values(), *self._arriving.values())
        return Deferred.fromCoroutine(stop_in_portions(servers, self._ports.time_slices))

    async def _apply_lists(self) -> None:
        while self._next_list is not None:
            await self._ports.time_slices.pause()
            found, self._next_list, self._arriving = self._next_list, None, {}
            if self._settings.list_floor:
                self._list.begin_with(found, self._policy.state)
            listed = dict.fromkeys((*self._list.in_force, *(s.host for s in found.servers)))
            hosts = [host for host in listed if host not in self._servers]
            former = self._new_servers.former_addresses(hosts, found.past)
            self._publication.list_came(self._new_servers.begin_with(found, listed), found.past)
            family, service = self._settings.server_version, self._settings.name
            for host in hosts:
                await self._ports.time_slices.pause()
                server = self._arriving[host] = Server(host, self._owner, former.get(host))
                server.start(self._ports.addresses, family, service)
            self._apply_known_part(found.servers)
            await self._wait_for_names()
            await self._ports.time_slices.pause()
            if self._stopped:
                return
            for server in await self._apply_list(found.servers):
                await self._ports.time_slices.pause()
                server.start_monitors(at_once=self._list.keeps or self._is_in_doubt(server.host))
        self._applying = None

    def _applying_failed(self, failure: Any) -> None:
        self._applying = None
        if not failure.check(CancelledError):
            self._log.failure("A pool list could not be applied", failure)

    def _apply_known_part(self, specs: tuple[ServerSpec, ...]) -> None:
        """What a list says of known servers does not wait for the names of new ones. Who it leaves
        out may have to wait for those. (With a floor of 0 a list is applied as one, as ever.)"""
        waits = not all(server.answered.called for server in self._arriving.values())
        if self._settings.list_floor and self._policy.state.members and waits:
            listed, kept = {spec.host: spec for spec in specs}, self._list.kept_hosts
            before = self._list.in_force
            part = {h: listed.get(h, s) for h, s in before.items() if h in listed or h not in kept}
            if any(part.get(host) != spec for host, spec in before.items() if host not in kept):
                self._list.take(tuple(part.values()), self._policy.state)
                self._put_list_in_force()

    async def _wait_for_names(self) -> None:
        waiting = [s.answered for s in self._arriving.values() if not s.answered.called]
        if not waiting:
            return
        all_answered = DeferredList(waiting, consumeErrors=True)
        all_answered.addTimeout(FIRST_ANSWER_WAIT_S, self._ports.clock, lambda *_: None)
        await all_answered

    async def _apply_list(self, specs: tuple[ServerSpec, ...]) -> Iterable[Server]:
        """The list is in force, as far as its guard allows; gives the servers that are new."""
        arrived, self._arriving = self._arriving, {}
        self._servers |= arrived
        self._list.take(specs, self._policy.state)
        with self._publication.first_held():
            await self._admit_in_portions()
        if self._stopped:
            return ()
        self._put_list_in_force()
        self._new_servers.first_list_is_in_force(self._list.in_force, self._ports.clock.seconds())
        arrived = {host: server for host, server in arrived.items() if host in self._servers}
        for server in arrived.values():
            server.admit()
        return arrived.values()

    async def _admit_in_portions(self) -> None:
        """If there are many. (Which overrides are in effect depends on the whole list.)"""
        portions = Portions()
        await self._ports.time_slices.pause()
        while not self._ports.overrides(self._settings.name) and not self._stopped:
            members = self._policy.state.members
            if not (specs := portions.next(self._list.in_force, members)):
                return
            self._handle(ListPart(tuple(self._candidate(Laid(spec)) for spec in specs)))
            if self._policy.state.members is members:
                return
            for spec in specs:
                self._servers[spec.host].admit()
            await self._ports.time_slices.pause()

    def _put_list_in_force(self) -> None:
        in_force = self._list.in_force
        laid = self._overlay.lay(in_force, self._policy.state, self._worked)
        for text in self._overlay.news:
            self._log.warn("{text}", text=text)
        candidates = tuple(self._candidate(each) for each in laid.values())
        for host in [host for host in self._servers if host not in in_force]:
            self._remove(host)
        self._handle(ListChanged(candidates))
        self._addresses.look_at((host, each.address) for host, each in self._servers.items())
        self._record.keep()

    def _worked(self, spec: ServerSpec) -> bool:
        """Whether a new server is taken for one that works, as the policy will take it."""
        stood = self._new_servers.stood_pooled(spec, self._servers[spec.host].address)
        return stood is not False or not self._settings.monitors

    def _remove(self, host: str) -> None:
        server = self._servers.pop(host)
        server.stop()
        self._publication.were_removed([server.address])
        at, down = self._ports.clock.seconds(), self._owner.is_down(host)
        self._new_servers.left(host, server.address, at, down=down)

    def _is_in_doubt(self, host: str) -> bool:
        return self._owner.is_down(host) or self._new_servers.may_have_stood(host)

    def _reconsider_list(self) -> None:
        """What the list takes away and what stays all the same may go now."""
        before = self._list.in_force
        self._list.reconsider(self._policy.state)
        if self._list.in_force != before:
            self._put_list_in_force()

    def confirm_list(self) -> tuple[str, ...]:
        """An operator wants the list in force as it is. Gives the servers that had been kept, and
        the addresses of those that stayed as they stood in the kernel."""
        hosts = self._list.confirm(self._policy.state)
        if hosts:
            self._put_list_in_force()
        return hosts + self._publication.end_standing()

    def override_objection(self, override: Override) -> str:
        """Why an override of a server of the list in force must not be; empty if it may."""
        return self._overlay.objection(override, self._list.in_force, self._policy.state)

    def overrides_changed(self) -> None:
        """Operators want something else of the servers."""
        if self._list.in_force and not self._stopped:
            self._put_list_in_force()

    def _candidate(self, laid: Laid) -> Candidate:
        host = laid.spec.host
        address = self._servers[host].address
        if host in self._policy.state.members:
            return Candidate(laid.spec, address is not None, over=laid.over)
        objection = self._addresses.objection(host, address, None)
        at = self._ports.clock.seconds()
        candidate = self._new_servers.candidate(laid.spec, address, objection, at)
        return candidate if laid.over is None else replace(candidate, over=laid.over)

    async def reconfigure(self, settings: ServiceSettings) -> None:
        """Go over to other settings of the same virtual service: what has not changed goes on,
        monitors with equal settings keep their state. Fires when all servers have."""
        before, self._settings = self._settings, settings
        self._publication.reconfigure(settings)
        self._policy.reconfigure(settings)
        changed = changed_monitors(before, settings)
        self._owner.reconfigure(settings)
        self._list.reconfigure(settings)
        names = tuple(each.monitor for each in settings.monitors)
        self._handle(SettingsChanged(settings.depool_threshold, names))
        if changed:
            for server in tuple(self._servers.values()):
                await self._ports.time_slices.pause()
                server.change_monitors(changed, self._policy.state.monitors)

    def servers_down(self) -> Mapping[str, IPAddress | None]:
        """The servers that are down, with their addresses: for the service that takes over."""
        down = [host for host, member in self._policy.state.members.items() if not member.up]
        return {host: self._servers[host].address for host in down}

    def know_down(self, servers: Mapping[str, IPAddress | None]) -> None:
        """These were down in the service that this one replaces."""
        self._new_servers.left_down(servers, self._ports.clock.seconds())

    def addresses_refused(self, refused: Collection[DestinationKey]) -> None:
        """The kernel does not take these servers."""
        self._refusals.refused(refused, self._settings)

    # -- reports of monitors --------------------------------------------------------------

    def deliver(self, report: HealthReport) -> None:
        """A report counts. It may come late: then the server, or its address, may be another one
        by now, and the report is void."""
        server = self._server_of(report)
        if server is None:
            return
        host, monitor = report.host, report.monitor
        member = self._policy.state.members.get(host)
        if member is not None:
            before = member.results.get(monitor)
            server.retractions[monitor] = ReportRetracted(host, monitor, before, member.up)
        self._handle(MonitorReported(host, monitor, report.result.up, report.result.reason))

    def gather(self) -> None:
        """The reports that come from now on have their consequences together, at `act`."""
        self._policy.gather()

    def act(self) -> None:
        """See `gather`. Idempotent."""
        self._policy.act()

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
        """A server picked at random, if it takes TCP connections and was up when last heard of."""
        return picked_probe(self._settings, self._servers, self._policy.state.members, source)

    @property
    def hosts(self) -> Collection[str]:
        """All servers' names."""
        return self._servers.keys()

    @property
    def state(self) -> PoolState:
        """The pool as the policy has it."""
        return self._policy.state

    # -- one event after another ----------------------------------------------------------

    def _handle(self, event: Event) -> None:
        """Handle an event; one that arrives meanwhile is handled next."""
        if self._policy.handle(event):
            self._record.keep_soon()
            if self._list.keeps or self._overlay.suspends or self._crowding.waits:
                self._reconsideration.ask(len(self._servers))

    def _reconsider(self) -> None:
        if self._stopped:
            return
        if self._list.keeps:
            self._reconsider_list()
        if self._overlay.may_change(self._list.in_force, self._policy.state):
            self._put_list_in_force()
        self._crowding.look_again()

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
            can_depool=self._policy.state.can_depool,
            could_not_depool_total=self._policy.could_not_depool_total,
            source=source,
            servers=self._publication.as_they_stand(self._shown.all()),
            held=self._list.held(),
            held_total=self._list.held_total,
            standing=self._publication.standing,
        )
