"""All that the pages are made of, as it stands at one moment. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pybal.bgp.snapshot import BGPSnapshot
from pybal.config.snapshot import ConfigSnapshot
from pybal.instrumentation.pending_alert import Dated
from pybal.ipvs.snapshot import IPVSSnapshot
from pybal.model import Alert, DaemonSnapshot, ServerSnapshot, ServiceSnapshot
from pybal.override import Override
from pybal.page.tally import Care, Standing, Tally, badness, care_of, standing, tally

Out = tuple[tuple[ServerSnapshot, Care], ...]


class SeenService(NamedTuple):
    """A service with its counts, the servers that are out, its alerts and what follows of them."""

    service: ServiceSnapshot
    counts: Tally
    out: Out
    alerts: tuple[Alert, ...]
    standing: Standing


class SinceAlert(NamedTuple):
    """An alert and since when it has been there, Unix seconds."""

    alert: Alert
    since: float


class Seen(NamedTuple):
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


def seen_service(
    service: ServiceSnapshot, alerts: tuple[Alert, ...], before: SeenService | None = None
) -> SeenService:
    """A service put together; as it was seen `before`, most of its servers are the same objects,
    and most of the others differ in what says nothing here: when they were last checked."""
    if before is not None and before.service == service and before.alerts == alerts:
        return before
    changed = None if before is None else _changed(before.service, service)
    if before is None or changed is None:
        counts, out = tally(service)
    else:
        counts = before.counts
        out = tuple((changed.get(id(server), server), care) for server, care in before.out)
    return SeenService(service, counts, out, alerts, standing(counts, alerts))


def _changed(before: ServiceSnapshot, now: ServiceSnapshot) -> dict[int, ServerSnapshot] | None:
    """Other snapshots of the same servers by the id() of the former ones; None if anything differs
    that is counted."""
    if len(before.servers) != len(now.servers):
        return None
    if before.depool_threshold != now.depool_threshold:
        return None
    pairs = [
        each for each in zip(before.servers, now.servers, strict=True) if each[0] is not each[1]
    ]
    if any(_counts(one) != _counts(other) for one, other in pairs):
        return None
    return {id(one): other for one, other in pairs}


def _counts(server: ServerSnapshot) -> tuple[object, ...]:
    return server.host, care_of(server), server.up, server.pooled
