"""All that the pages are made of, as it stands at one moment. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pybal.alert import Alert
from pybal.config.snapshot import ConfigSnapshot
from pybal.instrumentation.pending_alert import Dated
from pybal.ipvs.snapshot import IPVSSnapshot
from pybal.model import BGPSnapshot, DaemonSnapshot, ServerSnapshot, ServiceSnapshot
from pybal.override import Override
from pybal.page.tally import Care, Standing, Tally, badness, standing, tally

Out = tuple[tuple[ServerSnapshot, Care], ...]


@dataclass(frozen=True, slots=True)
class SeenService:
    """A service with its counts, the servers that are out, its alerts and what follows of them."""

    service: ServiceSnapshot
    counts: Tally
    out: Out
    alerts: tuple[Alert, ...]
    standing: Standing


@dataclass(frozen=True, slots=True)
class SinceAlert:
    """An alert and since when it has been there, Unix seconds."""

    alert: Alert
    since: float


@dataclass(frozen=True, slots=True)
class Seen:
    """The whole director."""

    services: tuple[SeenService, ...]
    alerts: tuple[SinceAlert, ...]
    daemon: DaemonSnapshot
    ipvs: IPVSSnapshot
    bgp: BGPSnapshot
    config: ConfigSnapshot
    overrides: tuple[Override, ...]

    @property
    def worst_first(self) -> list[SeenService]:
        """The services, those that are alike in the order of pybal.conf."""
        return sorted(self.services, key=lambda each: badness(each.standing, each.counts))


def since_alerts(dated: Sequence[Dated], now: float) -> tuple[SinceAlert, ...]:
    """To the second: ages come from a clock of their own."""
    return tuple(SinceAlert(each.alert, round(now - each.age_s)) for each in dated)


def seen_service(service: ServiceSnapshot, alerts: tuple[Alert, ...]) -> SeenService:
    """A service put together; some work if it has hundreds of servers."""
    counts, out = tally(service)
    return SeenService(service, counts, out, alerts, standing(counts, alerts))
