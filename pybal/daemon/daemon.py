"""The running daemon: builds its parts from the settings, starts and stops them in order."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybal.announce.announcer import Announcer
from pybal.bgp.snapshot import AnnouncedPrefix
from pybal.config.settings import MonitorSettings, ServiceSettings, Settings
from pybal.config.snapshot import ReloadSnapshot
from pybal.daemon.acknowledgements_part import AcknowledgementsPart
from pybal.daemon.bgp_part import BGPPart
from pybal.daemon.history_part import HistoryPart
from pybal.daemon.http_part import HTTPPart
from pybal.daemon.operator_controls import OperatorControls
from pybal.daemon.overrides_part import OverridesPart
from pybal.daemon.part_ports import (
    history_ports,
    ipvs_ports,
    kept_in,
    monitor_ports,
    reload_ports,
    source_ports,
)
from pybal.daemon.ports import DaemonPorts
from pybal.daemon.running_view import RunningView
from pybal.daemon.server_checks import ServerChecks
from pybal.health.descriptor_need import DescriptorNeed
from pybal.health.director_health import DirectorHealth
from pybal.instrumentation.instants import iso_time
from pybal.instrumentation.pending_alert import Dated
from pybal.instrumentation.status_line import status_line
from pybal.ipvs.controller import IPVSController
from pybal.ipvs.model import DestinationKey, ServiceKey
from pybal.model import IPAddress, SourceList
from pybal.monitors.base import Monitor, ReportReceiver
from pybal.monitors.by_hand import ChecksByHand
from pybal.monitors.registry import create_monitor, kinds_of
from pybal.monitors.target import MonitorPorts, Target
from pybal.pool.desired import service_key
from pybal.pool.events import ListChanged, ListPart
from pybal.pool.ports import FIRST_LISTS_AT_ONCE, CoordinatorPorts, PolicyStep
from pybal.pool.report_router import ReportRouter
from pybal.pool.service import LVSService
from pybal.reload.last_good_config import LastGoodConfig, last_good_file
from pybal.reload.reloader import Reloader
from pybal.reload.running import Running
from pybal.reload.service_names import ServiceNames
from pybal.reload.service_set import ServiceSet, ServiceSetPorts
from pybal.reload.steps import ReloadStep, lines
from pybal.runtime.readiness import Readiness
from pybal.runtime.slots import Slots
from pybal.runtime.stopping import end_each, end_in_turn
from pybal.runtime.time_slices import TimeSlices
from pybal.sources.create import create_source, rename_lists
from pybal.sources.source import Source
from pybal.state.state_file import WriteBehind

_STOP_S = 30.0
"""A stop is over by then, besides the wait that is configured."""

# Once BGP has ended a stop goes on for so long at most: whoever waits for a restart has no time for
# all that is under way.
_SERVICES_BY_S = 0.4
_KERNEL_BY_S = 0.8
_HISTORY_BY_S = 1.4
_AT_LEAST_S = 0.1


def _names(settings: Settings) -> dict[ServiceKey, str]:
    return {service_key(service): service.name for service in settings.services}


class Daemon:
    """All services of one pybal.conf. `view` is what can be told about them, `controls` what an
    operator can have done."""

    def __init__(self, running: Running, ports: DaemonPorts) -> None:
        settings = self._settings = running.settings
        self._ports = ports
        self._log = Logger(namespace="pybal")
        self._time_slices = TimeSlices(ports.reactor)
        self._first_lists = Slots(ports.reactor, FIRST_LISTS_AT_ONCE)
        self._history = HistoryPart(
            history_ports(ports, settings, self._time_slices), lambda key: self._names.get(key)
        )
        self._names = _names(settings)
        self._ipvs = IPVSController(
            settings.ipvs, ipvs_ports(ports, settings), dry_run=settings.dry_run
        )
        self._announcer = Announcer(settings.services, ports.reactor, Logger(namespace="bgp"))
        self._service_set = ServiceSet(
            ServiceSetPorts(
                new_service=self._new_service,
                table=self._ipvs,
                announcer=self._announcer,
                clock=ports.reactor,
                time_slices=self._time_slices,
            ),
            self._log,
        )
        self._services = self._service_set.running
        self._director_health = self._new_health(settings)
        self._descriptor_need = DescriptorNeed(ports.descriptor_limit)
        self._monitor_ports = monitor_ports(ports, settings, self._director_health)
        self._source_ports = source_ports(ports, settings, self._time_slices)
        self._readiness = Readiness(
            ports.reactor, ports.service_manager, self._missing_services, self._status
        )
        self._reloader = Reloader(
            running,
            kinds_of(ports.monitors),
            self,
            reload_ports(ports, self._readiness, self._history.reloaded),
            self._log,
        )
        silent = settings.dry_run and not settings.dry_run_bgp
        kept = kept_in(settings)
        self._service_names = ServiceNames(kept, ports.state_writing, self._log)
        self._bgp = BGPPart(ports, self._announcer, kept, silent=silent, history=self._history)
        self._acknowledgements = AcknowledgementsPart(ports, self._alerts, kept)
        self._overrides = OverridesPart(
            ports, self._services, self._time_slices, kept, self._history.overridden
        )
        self.view = RunningView(
            settings=lambda: self._settings,
            services=self._services,
            ipvs=self._ipvs,
            bgp=self._bgp,
            overrides=self._overrides,
            history=self._history,
            reloader=self._reloader,
            health=self._director_health,
            started_at=ports.now(),
            host=ports.host_name,
            unwritten=lambda: ports.state_writing.unwritten,
        )
        self.controls = OperatorControls(
            services=self._services,
            reloader=self._reloader,
            bgp=self._bgp,
            overrides=self._overrides,
            acknowledgements=self._acknowledgements,
            history=self._history,
            checks=self._server_checks(),
        )
        self._http = self._new_http(settings)
        self._starting: Deferred[None] = succeed(None)
        self._stopping = False

    def _new_health(self, settings: Settings) -> DirectorHealth:
        ports, router = self._ports, ReportRouter(self._services)
        return DirectorHealth(
            reactor=ports.reactor,
            now=ports.now,
            random=ports.random,
            network=ports.probing,
            isolation=settings.isolation,
            services=self._services,
            router=router,
            log=self._log,
            phase_changed=self._history.isolation,
            time_lost=lambda lost_s: self._bgp.time_lost(lost_s),
            together=router.together,
        )

    def _new_http(self, settings: Settings) -> HTTPPart:
        return HTTPPart(
            ports=self._ports,
            view=self.view,
            controls=self.controls,
            time_slices=self._time_slices,
            faults=self._director_health.faults,
            must_be_local=self._must_be_local,
            acknowledgement_of=self._acknowledgements.book.of,
            state_directory=kept_in(settings),
            dry_run=settings.dry_run,
        )

    def start(self) -> None:
        """Read the kernel, then start the instrumentation and, in the coming turns of the reactor,
        all services.

        Raises KernelError if the kernel's IPVS table cannot be read.
        """
        self._ipvs.start()
        self._history.start(self._settings.history, dry_run=self._settings.dry_run)
        self._ipvs.subscribe(self._history.stands)
        self._ipvs.subscribe_refusals(self._history.refused)
        self._ipvs.subscribe_drift(self._history.drifted)
        self._ports.memory.start()
        self._ipvs.subscribe(self._announcer.service_stands)
        self._ipvs.subscribe_losses(self._history.lost)
        self._ipvs.subscribe_losses(self._announcer.service_lost)
        self._ipvs.subscribe_refusals(self._servers_refused)
        renames = self._service_names.start(self._settings.services)
        rename_lists(kept_in(self._settings), renames, self._service_names.kept)
        self._acknowledgements.start(renames)
        self._http.start(self._settings.instrumentation, self._settings.control, renames)
        # What stands in the kernel has been forwarding while no PyBal ran. Routers that still have
        # the routes may keep them until we tell which ones are left.
        keys = (service_key(each) for each in self._settings.services if each.bgp.announced)
        restarting = any(map(self._ipvs.adopted, keys))
        self._bgp.start(self._settings.bgp, restarting=restarting, renames=renames)
        names = [service.name for service in self._settings.services]
        self._overrides.start(names, renames, self._service_names.taken)
        self._service_set.create(self._settings.services)
        self._director_health.start()
        self._starting = Deferred.fromCoroutine(self._service_set.start())
        self._starting.addErrback(self._not_started)
        self._reloader.start(self._last_good())
        self._readiness.start()
        self._ports.listeners.drop_left()

    def _not_started(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("Not all services were started", failure)

    def reload(self) -> Deferred[ReloadSnapshot]:
        """See Reloader."""
        return self._reloader.reload()

    def stand_still(self, work: Callable[[], None]) -> None:
        """Do what stops this process for a while, a search for garbage, now or soon."""
        search = partial(self._director_health.stand_still, work)
        standing = Deferred.fromCoroutine(self._bgp.stand_still(search))
        standing.addErrback(lambda failure: self._log.failure("It did not stand still", failure))

    def _last_good(self) -> WriteBehind[LastGoodConfig] | None:
        """Where what is good is kept."""
        directory = kept_in(self._settings)
        if directory is None:
            return None
        return WriteBehind(
            last_good_file(directory),
            self._reloader.good,
            self._ports.state_writing,
            self._good_not_kept,
        )

    def _good_not_kept(self, error: str) -> None:
        self._log.warn(
            "The configuration cannot be kept for a start with a wrong one: {error}", error=error
        )

    def _missing_services(self) -> tuple[str, ...]:
        """Those that the kernel does not hold yet with their first pool list."""
        services = self._settings.services
        return tuple(s.name for s in services if not self._ipvs.stands(service_key(s)))

    def _status(self) -> str:
        services = [each.tally for each in self._services.values()]
        return status_line(services, self.view.bgp(), self.view.config())

    async def stop(self, *, for_restart: bool = False) -> None:
        """Stop everything that was started; the kernel's table stays as it is. Idempotent.

        Announcements are withdrawn first, while the table is still looked after. `for_restart`:
        routers with graceful restart keep them, as the kernel goes on forwarding.
        """
        self._stopping = True
        self._ports.service_manager.stopping()
        try:
            await self._stop_parts(for_restart=for_restart)
        finally:
            self._ports.processes.end()

    async def _stop_parts(self, *, for_restart: bool) -> None:
        log, memory = self._log, self._ports.memory
        end_each(log, self._announce_long_stop, self._readiness.stop, self._reloader.stop)
        if for_restart:
            end_each(log, self._ports.listeners.leave)
        await end_in_turn(log, partial(self._bgp.stop, for_restart=for_restart))
        if for_restart:
            end_each(log, memory.leave)
        clock = self._ports.reactor
        ended_s: float = clock.seconds()

        def left_s(by_s: float) -> float:
            return max(_AT_LEAST_S, ended_s + by_s - float(clock.seconds()))

        self._starting.cancel()
        await end_in_turn(log, partial(self._service_set.stop, _SERVICES_BY_S))
        end_each(log, self._director_health.stop, self._monitor_ports.logs.stop)
        end_each(log, self._overrides.stop, self._acknowledgements.stop, memory.end)
        await end_in_turn(log, partial(self._ipvs.settle, left_s(_KERNEL_BY_S)))
        end_each(log, self._ipvs.stop)
        history_ends = partial(self._history.stop, left_s(_HISTORY_BY_S), for_restart=for_restart)
        await end_in_turn(log, history_ends, self._http.stop)

    def _announce_long_stop(self) -> None:
        """The service manager would kill us in the midst of bgp-shutdown-delay."""
        bgp = self._settings.bgp
        if bgp is not None and bgp.shutdown_delay_s > 0:
            self._ports.service_manager.extend_timeout(bgp.shutdown_delay_s + _STOP_S)

    async def go_over_to(self, settings: Settings, steps: tuple[ReloadStep, ...]) -> None:
        """See Reconfigurable."""
        self._settings = settings
        self._names = _names(settings)
        self._history.reloading(lines(steps))
        await self._history.reconfigure(settings.history)
        self._ipvs.reconfigure(settings.ipvs)
        self._director_health.reconfigure(settings.isolation)
        self._monitor_ports.command_slots.resize(settings.runcommand_concurrency)
        self._ports.processes.run_as(settings.runcommand_user)
        self._ports.set_log_level(settings.log_level)
        await self._http.go_over_to(settings.instrumentation, settings.control)
        self._end_if_stopping()
        await self._bgp.go_over_to(settings.bgp)
        self._end_if_stopping()
        self._history.peers([peer.address for peer in self._bgp.snapshot().peers])
        names = [service.name for service in settings.services]
        renames = self._service_names.go_over_to(settings.services)
        self._bgp.follow_maintenance(renames)
        self._acknowledgements.rename(renames)
        self._http.rename(renames)
        self._history.go_over_to(names)
        # A service that leaves decides until it has ended: by its overrides.
        taken = self._service_names.taken
        go_over_overrides = partial(self._overrides.go_over_to, renames, taken)
        await self._service_set.go_over(settings.services, go_over_overrides)
        self._descriptor_need.forget()
        self._bgp.forget_maintenance(former for former, _ in renames)
        self._overrides.gone_over_to(names)
        self._service_names.gone_over_to(settings.services)

    def _end_if_stopping(self) -> None:
        """Parts that end in turn do so though the reload is cancelled, and say nothing of that."""
        if self._stopping:
            raise CancelledError

    def _new_service(self, settings: ServiceSettings, *, adopts: bool) -> LVSService:
        ports = CoordinatorPorts(
            clock=self._ports.reactor,
            time_slices=self._time_slices,
            first_lists=self._first_lists,
            now=self._ports.now,
            addresses=self._ports.addresses,
            create_monitor=self._create_monitor,
            table=self._ipvs,
            is_own_address=self._is_own_address,
            servers_changed=self._announcer.servers_changed,
            overrides=self._overrides.of,
            stepped=self._stepped,
            list_kept=self._history.kept,
            cause=self._history.cause,
        )
        self._history.begins(settings)
        standing = self._ipvs.adopted(service_key(settings))
        adopted = standing if adopts else None
        return LVSService(settings, ports, self._create_source, adopted)

    def _is_own_address(self, address: IPAddress) -> bool:
        return self._ports.is_local(str(address)) is True

    def _servers_refused(self, key: ServiceKey, servers: Collection[DestinationKey]) -> None:
        for settings in self._settings.services:
            service = self._services.get(settings.name)
            if service is not None and service_key(settings) == key:
                service.addresses_refused(servers)

    def _create_monitor(
        self, settings: MonitorSettings, target: Target, receiver: ReportReceiver | None = None
    ) -> Monitor:
        reports = self._director_health.reports if receiver is None else receiver
        return create_monitor(settings, target, self._monitor_ports, reports, self._ports.monitors)

    def _create_source(
        self, settings: ServiceSettings, publish: Callable[[SourceList], None]
    ) -> Source:
        return create_source(
            settings.source,
            settings.name,
            publish,
            self._source_ports,
            Logger(namespace=settings.name),
        )

    def _server_checks(self) -> ServerChecks:
        def create(
            settings: MonitorSettings, target: Target, ports: MonitorPorts, receiver: ReportReceiver
        ) -> Monitor:
            return create_monitor(settings, target, ports, receiver, self._ports.monitors)

        checks = ChecksByHand(
            self._monitor_ports, self._ports.names, self._ports.certificates, create, iso_time
        )
        return ServerChecks(checks, self._settings_by_name, self.view.service)

    def _settings_by_name(self) -> dict[str, ServiceSettings]:
        return {service.name: service for service in self._settings.services}

    def _stepped(self, service: str, step: PolicyStep) -> None:
        self._history.stepped(service, step)
        is_longer = len(step.before.members) < len(step.after.members)
        if is_longer and isinstance(step.event, ListChanged | ListPart):
            grown = self._services.get(service)
            kept = 0 if grown is None else grown.kept_connections
            if text := self._descriptor_need.grown(service, kept, self._kept_connections):
                self._log.critical("{text}", text=text)

    def _kept_connections(self) -> dict[str, int]:
        return {name: service.kept_connections for name, service in self._services.items()}

    def _alerts(self) -> tuple[Dated, ...]:
        return self._http.alerts()

    def _must_be_local(self, prefix: AnnouncedPrefix) -> bool:
        """Packets for it reach IPVS only if it is; but marked ones may come by other ways."""
        marked = {each.name for each in self._settings.services if each.ipvs.fwmark}
        return not prefix.services or not marked.issuperset(prefix.services)
