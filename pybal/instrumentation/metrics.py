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
from typing import Any, NamedTuple

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
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
from pybal.instrumentation.service_metrics import service_families
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
    """One family at a time: of hundreds of peers some have thousands of lines.

    The samples' lines are the same in both formats. prometheus_client's own writer of the plain one
    comes with an HTTP server and with Python's TLS: 2 MiB, for two lines of a head."""
    registry: Any = _One(family)
    rendered: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
    rendered = rendered.removesuffix(_EOF)
    if as_openmetrics:
        return rendered
    samples = (line for line in rendered.split(b"\n") if not line.startswith(b"#"))
    return _plain_head(family) + b"\n".join(samples)


def _plain_head(family: Metric) -> bytes:
    """The HELP and TYPE lines, by the name that the samples have, of a type that the plain format
    knows."""
    name = family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
    kind = {"info": "gauge"}.get(family.type, family.type)
    text = family.documentation.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n".encode()


class _One(NamedTuple):
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
        yield from service_families(self._snapshot.services)
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
