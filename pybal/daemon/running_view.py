"""What can be told about the running daemon."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from twisted.internet.defer import Deferred

import pybal
from pybal.bgp.snapshot import BGPSnapshot
from pybal.config.settings import Settings
from pybal.config.snapshot import ConfigSnapshot
from pybal.daemon.bgp_part import BGPPart
from pybal.daemon.history_part import HistoryPart
from pybal.daemon.overrides_part import OverridesPart
from pybal.health.director_health import DirectorHealth
from pybal.history.port import History
from pybal.ipvs.controller import IPVSController
from pybal.ipvs.snapshot import IPVSSnapshot, MissingSnapshot
from pybal.model import DaemonSnapshot, ServiceSnapshot
from pybal.override import Override
from pybal.pool.desired import service_key
from pybal.pool.service import LVSService
from pybal.reload.reloader import Reloader
from pybal.runtime.pieces import Pieces


class RunningView:
    """The StatusView of the daemon whose parts it is given. `settings()` are those in force,
    `services` a live view of those that run; `started_at` is in Unix seconds; `unwritten()` are
    files of the state directory whose newest content is not there, and why."""

    def __init__(
        self,
        *,
        settings: Callable[[], Settings],
        services: Mapping[str, LVSService],
        ipvs: IPVSController,
        bgp: BGPPart,
        overrides: OverridesPart,
        history: HistoryPart,
        reloader: Reloader,
        health: DirectorHealth,
        started_at: float,
        host: str,
        unwritten: Callable[[], tuple[tuple[str, str], ...]],
    ) -> None:
        self._settings = settings
        self._services = services
        self._ipvs = ipvs
        self._bgp = bgp
        self._overrides = overrides
        self._history = history
        self._reloader = reloader
        self._health = health
        self._started_at = started_at
        self._host = host
        self._unwritten = unwritten

    def preparing(self, name: str | None = None) -> Pieces[None]:
        """See StatusView."""
        for each, service in tuple(self._services.items()):
            if name in (None, each):
                yield from service.preparing()

    def services(self) -> Iterable[ServiceSnapshot]:
        """See StatusView."""
        return (service.snapshot() for service in tuple(self._services.values()))

    def service_names(self) -> tuple[str, ...]:
        """See StatusView."""
        return tuple(self._services)

    def service(self, name: str) -> ServiceSnapshot | None:
        """See StatusView."""
        service = self._services.get(name)
        return service.snapshot() if service is not None else None

    def bgp(self) -> BGPSnapshot:
        """See StatusView."""
        return self._bgp.snapshot()

    def ipvs(self) -> IPVSSnapshot:
        """See StatusView."""
        services = self._settings().services
        names = tuple((str(service_key(service)), service.name) for service in services)
        return self._ipvs.snapshot()._replace(names=names)

    def missing(self, name: str) -> MissingSnapshot | None:
        """See StatusView."""
        service = self._services.get(name)
        return self._ipvs.missing(service.key) if service is not None else None

    def refresh(self) -> Deferred[None]:
        """See StatusView."""
        return self._ipvs.refresh()

    def overrides(self) -> tuple[Override, ...]:
        """See StatusView."""
        return self._overrides.all()

    def history(self) -> History:
        """See StatusView."""
        return self._history.ledger

    def config(self) -> ConfigSnapshot:
        """See StatusView."""
        return self._reloader.running.snapshot()

    def config_text(self) -> str:
        """See StatusView."""
        return self._reloader.running.text

    def daemon(self) -> DaemonSnapshot:
        """See StatusView."""
        return DaemonSnapshot(
            version=pybal.__version__,
            started_at=self._started_at,
            config_path=self._reloader.running.path,
            dry_run=self._settings().dry_run,
            health=self._health.snapshot(),
            host=self._host,
            unwritten=(*self._unwritten(), *self._history.unwritten),
        )
