"""The Coordinator of one service: handles one event after another with the pooling policy.

Pool lists, addresses and reports of monitors come in; what should stand in IPVS goes out. The
policy is pybal/pool/policy.py; pybal/pool/policy_steps.py has its state and takes its steps,
pybal/pool/publication.py tells what should stand.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import nullcontext
from random import Random

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybal.config.settings import ServiceSettings
from pybal.health.probe_round import ProbeTarget
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
    Event,
    MonitorReported,
    ReportRetracted,
    SettingsChanged,
)
from pybal.pool.guarded_list import GuardedList
from pybal.pool.list_queue import ListQueue
from pybal.pool.list_record import ListRecord
from pybal.pool.list_steps import ListParts, ListSteps
from pybal.pool.monitor_sets import changed_monitors
from pybal.pool.new_servers import NewServers
from pybal.pool.overlay import Overlay
from pybal.pool.policy_steps import PolicySteps
from pybal.pool.pool_servers import PoolServers
from pybal.pool.pool_state import PoolState
from pybal.pool.ports import CoordinatorPorts, ListStore
from pybal.pool.probing import picked_probe
from pybal.pool.publication import Publication
from pybal.pool.refusals import Refusals
from pybal.pool.server import Server, answered, stop_in_portions
from pybal.pool.snapshots import ServerSnapshots
from pybal.runtime.pieces import Pieces, between
from pybal.runtime.stopping import end_each

FIRST_ANSWER_WAIT_S = 6.0
"""Then a list is applied without the addresses that are not known. More than a look-up takes."""


class Coordinator:
    """Owns the parts of one service that decide on its Servers, and these, which come and go by
    its ListSteps alone.

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
            settings,
            clock=ports.clock,
            now=ports.now,
            wake=lambda: self._steps.reconsider(),
            log=self._log,
            told=ports.list_kept,
        )
        self._servers: dict[str, Server] = {}
        self._overlay = Overlay(settings.name, ports.overrides)
        self._publication = Publication(settings, ports.table, self._servers, adopted, self._log)
        self._policy = PolicySteps(
            settings, ports, self._publication, self._not_handed_on, self._log
        )
        self._record = ListRecord(
            ports, list_store, self._list, lambda: self._policy.state, self._new_servers, self._log
        )
        self._reconsideration = BoundedWork(ports.clock, self._reconsider)
        self._arriving: dict[str, Server] = {}
        self._queue = ListQueue(
            ports.clock, ports.time_slices, self._apply_list, self._stop_arriving, self._log
        )
        self._stopped = False
        self._shown = ServerSnapshots(
            lambda: self._policy.state, self._servers, ports.time_slices, self._log
        )
        self._pool_servers = PoolServers(
            settings,
            ports,
            servers=self._servers,
            policy=self._policy,
            new_servers=self._new_servers,
            record=self._record,
            touched=self._shown.touch,
            handle=self._handle,
            cannot_be_checked=lambda server, by: self._steps.cannot_be_checked(server, by),
            log=self._log,
        )
        self._addresses, self._crowding = self._pool_servers.addresses, self._pool_servers.crowding
        self._steps = ListSteps(
            settings,
            ListParts(
                ports=ports,
                servers=self._servers,
                list=self._list,
                overlay=self._overlay,
                policy=self._policy,
                publication=self._publication,
                new_servers=self._new_servers,
                pool_servers=self._pool_servers,
                record=self._record,
                handle=self._handle,
                failed=self._queue.try_again,
                log=self._log,
            ),
        )
        self._refusals = Refusals(
            ports.clock, self._addresses, lambda: self._policy.state, self._handle
        )

    # -- pool lists -----------------------------------------------------------------------

    def pool_list(self, found: SourceList) -> None:
        """A new pool list; one without servers is none. Lists are applied one after another; of
        several that arrive while one waits for its names, the newest counts."""
        if not self._stopped and found.servers:
            self._queue.take(found)

    def stop(self) -> Deferred[None]:
        """Decide nothing from now on, and stop all servers with their monitors, in time slices; the
        kernel is left as it is. Fires when all have stopped. Idempotent."""
        self._stopped = True
        parts = (self._record, self._policy, self._reconsideration, self._list, self._refusals)
        end_each(self._log, *(part.stop for part in parts), self._steps.stop, self._queue.stop)
        servers = (*self._servers.values(), *self._arriving.values(), *self._steps.leaving)
        return Deferred.fromCoroutine(stop_in_portions(servers, self._ports.time_slices, self._log))

    async def _apply_list(self, found: SourceList) -> None:
        self._arriving = {}
        if self._settings.list_floor:
            self._list.begin_with(found, self._policy.state)
        listed = dict.fromkeys((*self._list.in_force, *(s.host for s in found.servers)))
        hosts = [host for host in listed if host not in self._servers]
        former = self._new_servers.former_addresses(hosts, found.past)
        self._publication.list_came(self._new_servers.begin_with(found, listed), found.past)
        await self._ports.time_slices.finish(between(listed))
        place = nullcontext() if self._policy.state.members else self._ports.first_lists
        async with place:
            for host in hosts:
                await self._ports.time_slices.pause()
                self._arriving[host] = self._watch(host, former.get(host))
        await self._apply_known_part(found.servers)
        await answered(self._arriving.values(), self._ports.clock, FIRST_ANSWER_WAIT_S)
        async with place:
            await self._ports.time_slices.pause()
            if not self._stopped:
                await self._steps.take(found.servers, self._arriving, self._watch)
        if not self._stopped:
            self._arriving = {}
            self._queue.forget_last_run()

    def _stop_arriving(self) -> None:
        """Their list could not be applied."""
        arrived, self._arriving = self._arriving, {}
        gone = (each for host, each in arrived.items() if self._servers.get(host) is not each)
        end_each(self._log, *(server.stop for server in gone))

    def _watch(self, host: str, former: IPAddress | None = None) -> Server:
        server = Server(host, self._pool_servers, former)
        family, service = self._settings.server_version, self._settings.name
        server.start(self._ports.addresses, family, service)
        return server

    async def _apply_known_part(self, specs: tuple[ServerSpec, ...]) -> None:
        """What a list says of known servers does not wait for the names of new ones. Who it leaves
        out may have to wait for those. (With a floor of 0 a list is applied as one, as ever.)"""
        waits = not all(server.answered.called for server in self._arriving.values())
        if self._settings.list_floor and self._policy.state.members and waits:
            listed, kept = {spec.host: spec for spec in specs}, self._list.kept_hosts
            before = self._list.in_force
            part = {h: listed.get(h, s) for h, s in before.items() if h in listed or h not in kept}
            if any(part.get(host) != spec for host, spec in before.items() if host not in kept):
                await self._steps.take(tuple(part.values()), {}, self._watch)

    def confirm_list(self) -> tuple[str, ...]:
        """An operator wants the list in force as it is. Gives the servers that had been kept, and
        the addresses of those that stayed as they stood in the kernel."""
        hosts = self._list.confirm(self._policy.state)
        if hosts:
            self._steps.put_soon()
        addresses = self._publication.end_standing()
        self._policy.tell_health()
        return hosts + addresses

    def override_objection(self, override: Override) -> str:
        """Why an override of a server of the list in force must not be; empty if it may."""
        return self._overlay.objection(override, self._list.in_force, self._policy.state)

    def overrides_changed(self) -> Deferred[None]:
        """Operators want something else of the servers. Fires when that is in force."""
        return self._steps.put()

    def _not_handed_on(self, failure: Failure) -> None:
        """Before its first list a service hands nothing on, and there is none to try again."""
        if self._policy.state.members:
            self._queue.try_again(failure)

    async def reconfigure(self, settings: ServiceSettings) -> None:
        """Go over to other settings of the same virtual service: what has not changed goes on,
        monitors with equal settings keep their state. Fires when all servers have."""
        before, self._settings = self._settings, settings
        self._publication.reconfigure(settings)
        self._policy.reconfigure(settings)
        changed = changed_monitors(before, settings)
        self._pool_servers.reconfigure(settings)
        self._list.reconfigure(settings)
        self._steps.reconfigure(settings)
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
            self._steps.reconsider()
        if self._overlay.may_change(self._list.in_force, self._policy.state):
            self._steps.put_soon()
        self._crowding.look_again()

    # -- what can be seen -----------------------------------------------------------------

    def preparing(self) -> Pieces[None]:
        """What a snapshot shows is made in pieces, so that it is cheap."""
        return self._shown.preparing()

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
            held=self._list.kept(),
            held_total=self._list.held_total,
            standing=self._publication.standing,
            list_error=self._queue.error,
        )
