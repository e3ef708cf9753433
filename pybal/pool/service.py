"""One LVS service as it runs: its Coordinator and the pool source that feeds it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random

from pybal.config.settings import ServiceSettings
from pybal.health.isolation_guard import ProbeTarget
from pybal.ipvs.model import ServiceEntry
from pybal.model import HealthReport, ServiceSnapshot, SourceList
from pybal.pool.coordinator import Coordinator, CoordinatorPorts
from pybal.sources.base import Source

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
        self._coordinator = Coordinator(settings, ports, adopted)
        self._source = create_source(
            settings, lambda found: self._coordinator.pool_list(found.servers)
        )

    def start(self) -> None:
        """Begin to read the pool list; everything else follows from it."""
        self._source.start()

    def stop(self) -> None:
        """End the source, then all monitors. Idempotent."""
        self._source.stop()
        self._coordinator.stop()

    def deliver(self, report: HealthReport) -> None:
        """See Coordinator."""
        self._coordinator.deliver(report)

    def retract(self, report: HealthReport) -> None:
        """See Coordinator."""
        self._coordinator.retract(report)

    def probe_target(self, source: Random) -> ProbeTarget | None:
        """See Coordinator."""
        return self._coordinator.probe_target(source)

    @property
    def hosts(self) -> Iterable[str]:
        """See Coordinator."""
        return self._coordinator.hosts

    def snapshot(self) -> ServiceSnapshot:
        """The service as it stands."""
        return self._coordinator.snapshot(self._source.snapshot())
