"""The running daemon: builds the parts from the settings, starts and stops them in order."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger

import pybal
from pybal.announce.announcer import Announcer
from pybal.announce.failover import BGPFailover
from pybal.announce.maintenance import Maintenance
from pybal.announce.maintenance_file import MaintenanceKeeper
from pybal.announce.settings import failover_settings
from pybal.bgp.bfd.detector import BFDNetwork
from pybal.bgp.network import BGPNetwork
from pybal.bgp.peering import BGPPorts
from pybal.config.settings import ControlSettings, MonitorSettings, ServiceSettings, Settings
from pybal.errors import ControlError, NoSuchThingError
from pybal.health.director_health import DirectorHealth
from pybal.http.port import HostLookUp, HTTPClient
from pybal.instrumentation.control_server import ControlServer, user_of
from pybal.instrumentation.metrics import process_collector
from pybal.instrumentation.server import Accepting, InstrumentationServer
from pybal.instrumentation.site import ControlAccess, StatusPages
from pybal.ipvs.controller import IPVSController, IPVSPorts
from pybal.ipvs.kernel import Kernel
from pybal.ipvs.ownership import Place, record_file
from pybal.model import (
    BGPSnapshot,
    DaemonSnapshot,
    HealthReport,
    IPAddress,
    IPVSSnapshot,
    ServiceSnapshot,
    SourceList,
)
from pybal.monitors.base import Monitor
from pybal.monitors.processes import Processes
from pybal.monitors.registry import MonitorTypes, create_monitor, metric_families
from pybal.monitors.target import MonitorPorts, Target
from pybal.net.descriptor_reserve import DescriptorReserve
from pybal.net.port import Network
from pybal.pool.coordinator import CoordinatorPorts
from pybal.pool.desired import service_key
from pybal.pool.server import AddressWatcher
from pybal.pool.service import LVSService
from pybal.pool.withdrawal import Health
from pybal.runtime.time_slices import TimeSlices
from pybal.sources.base import Source, SourcePorts
from pybal.sources.create import create_source

RESERVED_DESCRIPTORS = 32
"""For requests, when all others are in use."""


@dataclass(frozen=True, slots=True)
class DaemonPorts:
    """All that the daemon touches outside of itself. main gives it; nothing has a default.

    `reactor` provides Twisted's reactor interfaces, its clock must not jump; `now()` is Unix
    seconds; `in_thread` runs a function off the reactor's thread and fires with what it returns.
    `source_address` tells from which of our addresses the kernel would reach another one, None
    if from none.
    """

    reactor: Any
    now: Callable[[], float]
    random: random.Random
    in_thread: Callable[[Callable[[], Any]], Deferred[Any]]
    http: HTTPClient
    names: HostLookUp
    addresses: AddressWatcher
    network: Network
    processes: Processes
    kernel: Kernel
    place: Place | None
    """Which table the kernel's is; without that, none of its services is known to be ours."""
    bgp_network: BGPNetwork
    bfd_network: BFDNetwork
    source_address: Callable[[IPAddress], IPAddress | None]
    monitors: MonitorTypes
    """By name; all that the settings name must be among them."""


class ReportRouter:
    """Gives each report to its service by the name: the ReportDelivery of the isolation guard.
    `services` is a live view; a report of a service that is gone is void."""

    def __init__(self, services: Mapping[str, LVSService]) -> None:
        self._services = services

    def deliver(self, report: HealthReport) -> None:
        """See ReportDelivery."""
        service = self._services.get(report.service)
        if service is not None:
            service.deliver(report)

    def retract(self, report: HealthReport) -> None:
        """See ReportDelivery."""
        service = self._services.get(report.service)
        if service is not None:
            service.retract(report)


def _ipvs_ports(ports: DaemonPorts, state_directory: Path | None) -> IPVSPorts:
    record = None
    if state_directory is not None and ports.place is not None:
        record = record_file(state_directory, ports.place)
    return IPVSPorts(ports.reactor, ports.kernel, ports.now, ports.in_thread, record)


class Daemon:
    """All services of one pybal.conf; also the StatusView that the instrumentation reads."""

    def __init__(self, settings: Settings, config_path: Path, ports: DaemonPorts) -> None:
        self._settings = settings
        self._config_path = config_path
        self._ports = ports
        self._log = Logger(namespace="pybal")
        self._time_slices = TimeSlices(ports.reactor)
        self._started_at = ports.now()
        self._services: dict[str, LVSService] = {}
        self._ipvs = IPVSController(
            settings.ipvs, _ipvs_ports(ports, settings.state_directory), dry_run=settings.dry_run
        )
        self._director_health = DirectorHealth(
            ports.reactor,
            ports.now,
            ports.random,
            ports.network,
            settings.isolation,
            self._services,
            ReportRouter(self._services),
            self._log,
        )
        self._monitor_ports = MonitorPorts(
            ports.reactor,
            ports.now,
            ports.random,
            ports.network,
            ports.processes,
            ports.http,
            self._director_health.stall_detector,
            self._director_health.recoveries,
            self._director_health.faults,
            commands_at_once=settings.runcommand_concurrency,
        )
        self._source_ports = SourcePorts(
            ports.reactor,
            ports.now,
            ports.random,
            ports.http,
            ports.names,
            ports.in_thread,
            settings.state_directory,
            read_only=settings.dry_run,
        )
        self._instrumentation: InstrumentationServer | None = None
        self._control: ControlServer | None = None
        self._failover: BGPFailover | None = None
        self._announcer: Announcer | None = None
        self._starting: Deferred[None] = succeed(None)

    def start(self) -> None:
        """Read the kernel, then start the instrumentation and, in the coming turns of the reactor,
        all services.

        Raises KernelError if the kernel's IPVS table cannot be read.
        """
        self._ipvs.start()
        self._start_instrumentation()
        self._start_bgp()
        for settings in self._settings.services:
            self._services[settings.name] = self._new_service(settings)
            self._log.info("Created LVS service '{name}'", name=settings.name)
        self._director_health.start()
        self._starting = Deferred.fromCoroutine(self._start_services())
        self._starting.addErrback(lambda failure: failure.trap(CancelledError) and None)

    async def stop(self, *, for_restart: bool = False) -> None:
        """Stop everything that was started; the kernel's table stays as it is. Idempotent.

        Announcements are withdrawn first, while the table is still looked after. `for_restart`:
        routers with graceful restart keep them, as the kernel goes on forwarding.
        """
        if self._announcer is not None:
            self._announcer.stop()
        if self._failover is not None:
            with suppress(CancelledError):  # a second signal cancels this, to stop at once
                if for_restart:
                    await self._failover.stop_for_restart()
                else:
                    await self._failover.stop("PyBal is stopping")
        self._starting.cancel()
        self._director_health.stop()
        for service in self._services.values():
            service.stop()
        self._ipvs.stop()
        for server in (self._instrumentation, self._control):
            if server is not None:
                await server.stop()

    async def _start_services(self) -> None:
        for service in self._services.values():
            await self._time_slices.pause()
            try:
                service.start()
            except Exception:  # noqa: BLE001 - the others must not miss their start
                self._log.failure("Service {name} could not be started", name=service.name)

    def _start_bgp(self) -> None:
        settings, ports = self._settings.bgp, self._ports
        if settings is None:
            return
        self._failover = BGPFailover(
            failover_settings(settings, ports.source_address),
            BGPPorts(
                clock=ports.reactor,
                network=ports.bgp_network,
                random=ports.random,
                now=ports.now,
                log=Logger(namespace="bgp"),
                bfd_network=ports.bfd_network,
            ),
            *self._maintenance(),
        )
        self._announcer = Announcer(
            self._failover, self._settings.services, ports.reactor, Logger(namespace="bgp")
        )
        self._ipvs.subscribe(self._announcer.service_stands)
        # What stands in the kernel has been forwarding while no PyBal ran. Routers that still have
        # the routes may keep them until we tell which ones are left.
        keys = (service_key(service) for service in self._settings.services if service.bgp)
        self._failover.start(restarting=any(map(self._ipvs.adopted, keys)))
        self._announcer.start()

    def _maintenance(self) -> tuple[Maintenance, Callable[[Maintenance], object]]:
        """That of our former life, and who keeps it for the next."""
        directory, log = self._settings.state_directory, Logger(namespace="bgp")
        if directory is None or self._settings.dry_run:
            return Maintenance(), lambda _: None
        keeper = MaintenanceKeeper(directory, self._ports.in_thread, log)
        return keeper.load(), keeper.save

    def _start_instrumentation(self) -> None:
        settings, control = self._settings.instrumentation, self._control_settings()
        reactor, log = self._ports.reactor, Logger(namespace="instrumentation")
        families = metric_families(self._ports.monitors)
        pages = StatusPages(
            reactor,
            self,
            self._ports.in_thread,
            self._time_slices,
            log,
            families,
            process_collector(),
            control_socket="" if control is None else str(control.path),
        )
        accepting = Accepting(
            reactor, DescriptorReserve(RESERVED_DESCRIPTORS), log, self._out_of_descriptors
        )
        if settings is not None:
            self._instrumentation = InstrumentationServer(
                accepting, settings.addresses, settings.port, pages.site()
            )
            self._instrumentation.start()
        if control is not None:
            site = pages.site(ControlAccess(self, user_of))
            self._control = ControlServer(accepting, control, site)
            self._control.start()

    def _control_settings(self) -> ControlSettings | None:
        """None if there is to be no control socket: a dry run has none unless it is asked for."""
        control = self._settings.control
        if control is None or (self._settings.dry_run and not control.asked_for):
            return None
        return control

    def _out_of_descriptors(self) -> None:
        self._director_health.faults.note(OSError(errno.EMFILE, os.strerror(errno.EMFILE)))

    def _new_service(self, settings: ServiceSettings) -> LVSService:
        ports = CoordinatorPorts(
            clock=self._ports.reactor,
            time_slices=self._time_slices,
            now=self._ports.now,
            addresses=self._ports.addresses,
            create_monitor=self._create_monitor,
            table=self._ipvs,
            servers_changed=self._servers_changed,
        )
        return LVSService(
            settings, ports, self._create_source, self._ipvs.adopted(service_key(settings))
        )

    def _servers_changed(self, service: str, health: Health) -> None:
        if self._announcer is not None:
            self._announcer.servers_changed(service, health)

    def _create_monitor(self, settings: MonitorSettings, target: Target) -> Monitor:
        reports = self._director_health.reports
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

    # -- Controls -------------------------------------------------------------------------

    def confirm(self, service: str, by: str) -> Mapping[str, Any]:  # noqa: ARG002
        """Apply what a service's list wants and its floor holds back."""
        if service not in self._services:
            raise NoSuchThingError(
                f"There is no service {service}", "/api/v1/services lists those that there are"
            )
        raise ControlError(f"Nothing of {service} is held back", "There is nothing to confirm")

    # -- StatusView -----------------------------------------------------------------------

    def services(self) -> Iterable[ServiceSnapshot]:
        """All services, in the order of the configuration."""
        return (service.snapshot() for service in tuple(self._services.values()))

    def service(self, name: str) -> ServiceSnapshot | None:
        """One service, or None if there is none of that name."""
        service = self._services.get(name)
        return service.snapshot() if service is not None else None

    def bgp(self) -> BGPSnapshot:
        """The BGP side."""
        if self._failover is None:
            return BGPSnapshot(enabled=False, local_asn=None, peers=())
        return self._failover.snapshot()

    def ipvs(self) -> IPVSSnapshot:
        """The IPVS table and its maintenance."""
        services = self._settings.services
        names = tuple((str(service_key(service)), service.name) for service in services)
        return replace(self._ipvs.snapshot(), names=names)

    def refresh(self) -> Deferred[None]:
        """Refresh the statistics before the next snapshot."""
        return self._ipvs.refresh()

    def daemon(self) -> DaemonSnapshot:
        """The process."""
        return DaemonSnapshot(
            version=pybal.__version__,
            started_at=self._started_at,
            config_path=str(self._config_path),
            dry_run=self._settings.dry_run,
            health=self._director_health.snapshot(),
        )
