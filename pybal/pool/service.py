"""One LVS service as it runs: its Coordinator and the pool source that feeds it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from random import Random

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pybal.config.settings import ServiceSettings
from pybal.health.descriptor_need import kept_connections
from pybal.health.probe_round import ProbeTarget
from pybal.ipvs.model import DestinationKey, ServiceEntry, ServiceKey
from pybal.kept_change import ListPast
from pybal.model import HealthReport, IPAddress, ServerSpec, ServiceSnapshot, SourceList
from pybal.override import Override
from pybal.pool.coordinator import Coordinator
from pybal.pool.damped_reports import DampedReports
from pybal.pool.desired import service_key
from pybal.pool.flap_damping import can_spare
from pybal.pool.ports import CoordinatorPorts
from pybal.runtime.pieces import Pieces
from pybal.runtime.stopping import end_each
from pybal.sources.source import Source

SourceFactory = Callable[[ServiceSettings, Callable[[SourceList], None]], Source]


class LVSService:
    """Ties a source to a Coordinator; `adopted` is what stood in the kernel at the start."""

    def __init__(
        self,
        settings: ServiceSettings,
        ports: CoordinatorPorts,
        create_source: SourceFactory,
        adopted: ServiceEntry | None,
    ) -> None:
        self.name = settings.name
        self.key: ServiceKey = service_key(settings)
        """What identifies it in the kernel, whatever its other settings become."""
        self.settings = settings
        """Those that it has gone over to, wholly."""
        self._log = Logger(namespace=settings.name)
        self._stood = adopted is not None
        self._create_source = create_source
        self._coordinator = Coordinator(settings, ports, adopted, self)
        self._damped = DampedReports(
            self._coordinator,
            ports.clock,
            ports.now,
            lambda: can_spare(self._coordinator.state),
            self._log,
            enabled=settings.flap_damping,
        )
        self._source = create_source(settings, self._pool_list)
        self._in_force: tuple[tuple[ServerSpec, ...], ListPast] | None = None
        self._before_us: tuple[tuple[ServerSpec, ...], ListPast] | None = None
        """What was in force in the service that this one replaces, until a list is in force here;
        then it is `_in_force` that counts."""
        self._falls_back = False
        """On that, while its source is away."""
        self._down_before_us: Mapping[str, IPAddress | None] = {}
        self._has_list = False

    def start(self) -> None:
        """Begin to read the pool list; everything else follows from it."""
        self._source.start()

    async def reconfigure(self, settings: ServiceSettings) -> None:
        """Go over to other settings of the same virtual service. Another source is read from now
        on; the list in force stays until that has one."""
        if settings.source != self.settings.source:
            source = self._create_source(settings, self._pool_list)
            end_each(self._log, self._source.stop)
            former, self._source = self._source, source
            if (stays := self._in_force or self._before_us) is not None:
                falls_back = self._in_force is None and self._falls_back
                source.follow(stays[0], former.snapshot().last_good_at, falls_back=falls_back)
            self._source.start()
        await self._coordinator.reconfigure(settings)
        names = [each.monitor for each in settings.monitors]
        self._damped.reconfigure(enabled=settings.flap_damping, monitors=names)
        self.settings = settings

    def servers_down(self) -> Mapping[str, IPAddress | None]:
        """See Coordinator. With those that it was told of and has not come to itself."""
        members = self._coordinator.state.members
        told = {h: address for h, address in self._down_before_us.items() if h not in members}
        return {**told, **self._coordinator.servers_down()}

    def know_down(self, servers: Mapping[str, IPAddress | None]) -> None:
        """See Coordinator."""
        self._down_before_us = servers
        self._coordinator.know_down(servers)

    def follow(self, former: LVSService) -> None:
        """Go on with the list of a service, stopped by now, that this one replaces: what was held
        there is held here. If its own had not come yet, with that of the one before it. Another
        service of another source waits for its own, and goes on with nobody else's."""
        self._before_us = former._in_force or former._before_us
        if self._before_us is not None:
            source = self.settings.source
            is_same = former.key == self.key or former.settings.source == source
            self._falls_back = is_same and (former._in_force is not None or former._falls_back)
            good_at = former._source.snapshot().last_good_at if self._falls_back else None
            self._source.follow(self._before_us[0], good_at, falls_back=self._falls_back)

    def _pool_list(self, found: SourceList) -> None:
        first, self._has_list = not self._has_list, True
        if first and self._before_us is not None:
            servers, past = self._before_us
            found = replace(found, last_run=servers, past=past)
        elif found.other_source and not self._stood:
            # That run may be long ago, and nothing of it is left.
            found = replace(found, last_run=(), past=None)
        self._coordinator.pool_list(found)

    def stop(self) -> Deferred[None]:
        """End the source, and decide nothing any more; then all monitors, in time slices. Fires
        when these have ended. Idempotent."""
        end_each(self._log, self._source.stop, self._damped.stop)
        return self._coordinator.stop()

    def in_force(self, servers: tuple[ServerSpec, ...], past: ListPast) -> None:
        """See ListStore."""
        self._in_force = servers, past
        self._before_us, self._down_before_us = None, {}
        self._source.in_force(servers, past)

    def addresses_refused(self, refused: Collection[DestinationKey]) -> None:
        """See Coordinator."""
        self._coordinator.addresses_refused(refused)

    def confirm_list(self) -> tuple[str, ...]:
        """See Coordinator."""
        return self._coordinator.confirm_list()

    def override_objection(self, override: Override) -> str:
        """See Coordinator."""
        return self._coordinator.override_objection(override)

    def overrides_changed(self) -> Deferred[None]:
        """See Coordinator."""
        return self._coordinator.overrides_changed()

    def deliver(self, report: HealthReport) -> None:
        """See ReportDelivery: on to the Coordinator, at once unless the server flaps."""
        self._damped.deliver(report)

    def retract(self, report: HealthReport) -> None:
        """See ReportDelivery."""
        self._damped.retract(report)

    def gather(self) -> None:
        """See Coordinator."""
        self._coordinator.gather()

    def act(self) -> None:
        """See Coordinator."""
        self._coordinator.act()

    def probe_target(self, source: Random) -> ProbeTarget | None:
        """See Coordinator."""
        return self._coordinator.probe_target(source)

    @property
    def kept_connections(self) -> int:
        """How many connections its monitors keep open."""
        return kept_connections(self.settings, len(self._coordinator.hosts))

    @property
    def hosts(self) -> Collection[str]:
        """See Coordinator."""
        return self._coordinator.hosts

    @property
    def tally(self) -> tuple[int, int]:
        """How many servers it has, and how many are up."""
        members = self._coordinator.state.members
        return len(members), members.counts.well

    def preparing(self) -> Pieces[None]:
        """See Coordinator."""
        return self._coordinator.preparing()

    def snapshot(self) -> ServiceSnapshot:
        """The service as it stands."""
        return self._damped.shown(self._coordinator.snapshot(self._source.snapshot()))
