"""`/metrics`: snapshots in Prometheus' text format or OpenMetrics.

Nothing is counted here: the families are made anew from snapshots for each scrape, so the series of
a server that has left its pool are gone by construction. The lines of the monitors alone are kept,
by monitor_text.py, while a service's `servers` are the same object.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector, CollectorRegistry

from pybal.bgp.snapshot import BGPSnapshot
from pybal.config.snapshot import ConfigSnapshot
from pybal.health.stalls import STALL_BUCKETS_S
from pybal.history.snapshot import HistorySnapshot
from pybal.instrumentation.alerts import KINDS
from pybal.instrumentation.bgp_metrics import bgp_families
from pybal.instrumentation.bgp_peer_text import peer_text
from pybal.instrumentation.config_metrics import config_families
from pybal.instrumentation.history_metrics import history_families
from pybal.instrumentation.ipvs_metrics import ipvs_families
from pybal.instrumentation.ipvs_text import statistics_text
from pybal.instrumentation.monitor_metrics import printable
from pybal.instrumentation.monitor_text import MonitorText
from pybal.ipvs.snapshot import IPVSSnapshot
from pybal.model import Alert, DaemonSnapshot, HealthSnapshot, ServiceSnapshot, Severity

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = openmetrics.CONTENT_TYPE_LATEST
_EOF = b"# EOF\n"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a scrape shows; `failed_requests` ended in an internal error."""

    services: tuple[ServiceSnapshot, ...]
    bgp: BGPSnapshot
    ipvs: IPVSSnapshot
    daemon: DaemonSnapshot
    config: ConfigSnapshot
    failed_requests: int
    alerts: tuple[Alert, ...] = ()
    history: HistorySnapshot = field(default_factory=HistorySnapshot)


def process_metrics() -> Callable[[], tuple[Metric, ...]]:
    """The `process_…` metrics of this process, read from /proc at each call, which may come in any
    thread: the kernel takes 40 ms to list eleven thousand descriptors."""
    collector = ProcessCollector(registry=CollectorRegistry())
    return lambda: tuple(collector.collect())


def exposition(
    snapshot: Snapshot,
    others: Iterable[Metric] = (),
    *,
    monitors: MonitorText,
    as_openmetrics: bool,
    with_servers: bool = False,
) -> Iterator[bytes]:
    """The whole answer to a scrape: the snapshot's metrics, those from elsewhere, what the
    kernel counts of services and, `with_servers`, of each server, then the monitors' by the
    renderer that keeps them between scrapes.

    In pieces, each of a few milliseconds' work; some are empty."""
    for family in chain(SnapshotCollector(snapshot).collect(), others):
        yield _text(family, as_openmetrics=as_openmetrics)
    yield from peer_text(snapshot.bgp, as_openmetrics=as_openmetrics)
    yield from statistics_text(
        snapshot.ipvs, snapshot.services, as_openmetrics=as_openmetrics, with_servers=with_servers
    )
    yield from monitors.render(snapshot.services, as_openmetrics=as_openmetrics)
    if as_openmetrics:
        yield _EOF


def _text(family: Metric, *, as_openmetrics: bool) -> bytes:
    """One family at a time: of hundreds of peers some have thousands of lines."""
    registry: Any = _One(family)
    if not as_openmetrics:
        return generate_latest(registry)
    rendered: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
    return rendered.removesuffix(_EOF)


@dataclass(frozen=True, slots=True)
class _One:
    """In place of a registry."""

    family: Metric

    def collect(self) -> Iterator[Metric]:
        yield self.family


class SnapshotCollector(Collector):
    """All metrics of PyBal's own but the monitors', from one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """The metric families, in a stable order."""
        yield from _daemon_families(self._snapshot.daemon, self._snapshot.failed_requests)
        yield from config_families(self._snapshot.config)
        yield from _health_families(self._snapshot.daemon.health)
        yield from ipvs_families(self._snapshot.ipvs)
        yield from bgp_families(self._snapshot.bgp)
        yield from _service_families(self._snapshot.services)
        yield _alert_family(self._snapshot.alerts)
        yield from history_families(self._snapshot.history)


def _daemon_families(daemon: DaemonSnapshot, failed_requests: int) -> Iterator[Metric]:
    yield InfoMetricFamily("pybal_build", "Version that runs", {"version": daemon.version})
    yield GaugeMetricFamily(
        "pybal_start_time_seconds", "Start of the daemon, Unix time", daemon.started_at
    )
    yield CounterMetricFamily(
        "pybal_instrumentation_errors_total",
        "HTTP requests that ended in an internal error",
        failed_requests,
    )


def _alert_family(alerts: Sequence[Alert]) -> Metric:
    """Those that there might be are shown, too: a series that is missing alerts nobody."""
    family = GaugeMetricFamily(
        "pybal_alert", "How many alerts of this kind there are now", labels=["id", "severity"]
    )
    severities = (Severity.WARNING, Severity.CRITICAL)
    counts = Counter({(kind.id, each): 0 for kind in KINDS for each in severities})
    counts.update((alert.id, alert.severity) for alert in alerts)
    for (id_, severity), count in counts.items():
        family.add_metric([printable(id_), severity.value], count)
    return family


def _health_families(health: HealthSnapshot) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "pybal_reactor_stall_seconds_max",
        "Longest time that the event loop was late since the start",
        health.longest_stall_s,
    )
    if health.stalls:
        bounds = (*(str(bound_s) for bound_s in STALL_BUCKETS_S), "+Inf")
        yield HistogramMetricFamily(
            "pybal_reactor_stall_seconds",
            "How late the event loop's heartbeat came",
            list(zip(bounds, accumulate(health.stalls), strict=True)),
            health.stalls_sum_s,
        )
    yield CounterMetricFamily(
        "pybal_lost_time_gaps_total",
        "How often the process was stopped or starved, or the clock jumped",
        health.gaps,
    )
    yield GaugeMetricFamily("pybal_reactor_delayed_calls", "Timers that run", health.delayed_calls)
    yield CounterMetricFamily(
        "pybal_expedited_checks_total",
        "Checks made soon because another monitor found the host up again",
        health.expedited_total,
    )
    isolation = health.isolation
    yield GaugeMetricFamily(
        "pybal_isolated",
        "Whether the director seems cut off from its servers, so that pools are held",
        isolation.since is not None,
    )
    yield CounterMetricFamily(
        "pybal_isolations_total", "How often the director was cut off", isolation.total
    )
    yield GaugeMetricFamily(
        "pybal_isolation_reports_kept",
        "Reports of monitors that are not acted on yet",
        isolation.reports_kept,
    )
    faults = CounterMetricFamily(
        "pybal_local_faults_total",
        "Checks that could not be made for want of descriptors, ports or memory",
        labels=["error"],
    )
    for name, count in health.local_faults:
        faults.add_metric([name], count)
    yield faults


def _service_families(services: Sequence[ServiceSnapshot]) -> Iterator[Metric]:
    def gauge(name: str, help_: str) -> GaugeMetricFamily:
        family = GaugeMetricFamily(name, help_, labels=["service"])
        families.append(family)
        return family

    families: list[Metric] = []
    info = InfoMetricFamily("pybal_service", "What the service is")
    families.append(info)
    servers = gauge("pybal_service_servers", "Servers in the pool list")
    enabled = gauge("pybal_service_servers_enabled", "Servers enabled by the operator")
    up = gauge("pybal_service_servers_up", "Servers up, enabled or not")
    pooled = gauge("pybal_service_servers_pooled", "Servers pooled")
    can_depool = gauge("pybal_service_can_depool", "Whether one more server may be depooled")
    held = gauge("pybal_service_pooled_down_servers", "Servers kept pooled though down")
    threshold = gauge("pybal_service_depool_threshold", "Part of the pool that must stay pooled")
    stale = gauge("pybal_source_stale", "Whether the source of the pool list fails")
    damaged = gauge(
        "pybal_source_damaged_entries", "Entries of the pool list that could not be read"
    )
    last_good = gauge(
        "pybal_source_last_good_timestamp_seconds", "Date of the pool list in force, Unix time"
    )
    held_by_list = gauge(
        "pybal_service_held_servers", "Servers that stay though the pool list takes them away"
    )
    held_changes = CounterMetricFamily(
        "pybal_service_held_changes_total",
        "Changes of the pool list that were held, as too few servers would have been left",
        labels=["service"],
    )
    overridden = gauge(
        "pybal_service_overridden_servers",
        "Servers that an operator drains, disables or enables for a time",
    )
    held_down = gauge(
        "pybal_service_held_down_servers", "Servers that flapped: up again, and not pooled yet"
    )
    hold_downs = CounterMetricFamily(
        "pybal_service_hold_downs_total",
        "How often a server that came up was not pooled at once, as it had flapped",
        labels=["service"],
    )
    could_not = CounterMetricFamily(
        "pybal_service_could_not_depool_total",
        "Servers kept pooled because too many were down",
        labels=["service"],
    )
    for service in services:
        name = [printable(service.name)]
        members = service.servers
        what = {
            "address": str(service.address),
            "port": str(service.port),
            "protocol": service.protocol.value,
            "scheduler": service.scheduler,
            "service": name[0],
        }
        info.add_metric([], what)
        servers.add_metric(name, len(members))
        enabled.add_metric(name, sum(s.enabled for s in members))
        up.add_metric(name, sum(s.up for s in members))
        pooled.add_metric(name, sum(s.pooled for s in members))
        can_depool.add_metric(name, service.can_depool)
        held.add_metric(name, sum(s.pooled and not s.up for s in members))
        threshold.add_metric(name, float(service.depool_threshold))
        stale.add_metric(name, service.source.stale)
        damaged.add_metric(name, len(service.source.damage))
        if service.source.last_good_at is not None:
            last_good.add_metric(name, service.source.last_good_at)
        held_by_list.add_metric(name, sum(len(change.servers) for change in service.held))
        held_changes.add_metric(name, service.held_total)
        overridden.add_metric(name, sum(s.over is not None for s in members))
        held_down.add_metric(name, sum(s.hold_down is not None for s in members))
        hold_downs.add_metric(name, service.hold_downs_total)
        could_not.add_metric(name, service.could_not_depool_total)
    yield from (*families, could_not, held_changes, hold_downs)
