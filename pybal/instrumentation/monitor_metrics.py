"""The metrics of monitors: the ones that all have, and each kind's own samples. Pure.

A family always has the label set of its table entry, whatever a monitor hands over, and no
series twice: where two fall on the same labels, counters add up and gauges keep the later,
but the status keeps the worse.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from pybal.model import MetricSample, MonitorSnapshot, ServiceSnapshot

_COMMON_LABELS = ("service", "host", "monitor")


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A metric of one kind of monitor; `labels` are those beyond service, host and monitor."""

    help: str
    labels: tuple[str, ...]


OWN_METRICS = {
    "pybal_monitor_internal_errors_total": MetricSpec("Failures within the monitor itself", ()),
    "pybal_monitor_doubted_results_total": MetricSpec(
        "Failures not believed because the director itself had slept", ()
    ),
    "pybal_monitor_proxyfetch_request_duration_seconds": MetricSpec(
        "Duration of the last request", ("result", "url")
    ),
    "pybal_monitor_idleconnection_connections_failed_total": MetricSpec(
        "Connections that could not be established", ("reason",)
    ),
    "pybal_monitor_idleconnection_connections_lost_total": MetricSpec(
        "Connections that were lost", ("reason",)
    ),
    "pybal_monitor_ping_request_duration_seconds": MetricSpec(
        "Duration of the last ping", ("result",)
    ),
    "pybal_monitor_tcpcheck_request_duration_seconds": MetricSpec(
        "Duration of the last check", ("result",)
    ),
    "pybal_monitor_udp_request_duration_seconds": MetricSpec(
        "Duration of the last check that expected an answer", ("result",)
    ),
    "pybal_monitor_dnsquery_request_duration_seconds": MetricSpec(
        "Duration of the last query", ("result",)
    ),
    "pybal_monitor_runcommand_run_duration_seconds": MetricSpec(
        "Duration of the last run", ("result", "exitcode")
    ),
}
"""What monitors hand over as samples, by name: counters end in `_total`, others are gauges.
A metric that is missing here is shown with the labels of its first sample."""


def monitor_families(services: Sequence[ServiceSnapshot]) -> Iterator[Metric]:
    """The families of all monitors of all servers."""
    common = _CommonFamilies()
    own = {name: _Family(name, spec.help, spec.labels) for name, spec in OWN_METRICS.items()}
    for service in services:
        service_name = printable(service.name)
        for server in service.servers:
            host = printable(server.host)
            for monitor in server.monitors:
                key = (service_name, host, monitor.name)
                common.put(key, monitor)
                for sample in monitor.samples:
                    _put_sample(own, key, sample)
    for family in (*common.all(), *own.values()):
        yield family.metric()


def printable(label: str) -> str:
    """The text as UTF-8 can hold it: one odd name must not fail the whole scrape."""
    return label if label.isascii() else label.encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass(slots=True)
class _Family:
    """One metric with its series, by label values."""

    name: str
    help: str
    extra_labels: tuple[str, ...] = ()
    series: dict[tuple[str, ...], float] = field(default_factory=dict)

    @property
    def is_counter(self) -> bool:
        return self.name.endswith("_total")

    def put(self, key: tuple[str, ...], value: float) -> None:
        """Set a gauge; add to a counter."""
        if self.is_counter:
            value += self.series.get(key, 0.0)
        self.series[key] = value

    def metric(self) -> Metric:
        """The family in prometheus_client's terms."""
        kind = CounterMetricFamily if self.is_counter else GaugeMetricFamily
        metric = kind(self.name, self.help, labels=[*_COMMON_LABELS, *self.extra_labels])
        for key, value in self.series.items():
            metric.add_metric(key, value)
        return metric


class _CommonFamilies:
    """What every monitor has."""

    def __init__(self) -> None:
        self._status = _Family(
            "pybal_monitor_status", "Last result; no series before the first one"
        )
        self._up_transitions = _Family("pybal_monitor_up_transitions_total", "Changes to up")
        self._down_transitions = _Family("pybal_monitor_down_transitions_total", "Changes to down")
        self._up_results = _Family("pybal_monitor_up_results_total", "Results that were up")
        self._down_results = _Family("pybal_monitor_down_results_total", "Results that were down")

    def put(self, key: tuple[str, ...], monitor: MonitorSnapshot) -> None:
        if monitor.up is not None:
            worst = min(float(monitor.up), self._status.series.get(key, 1.0))
            self._status.put(key, worst)
        self._up_transitions.put(key, monitor.up_transitions)
        self._down_transitions.put(key, monitor.down_transitions)
        self._up_results.put(key, monitor.up_results)
        self._down_results.put(key, monitor.down_results)

    def all(self) -> tuple[_Family, ...]:
        return (
            self._status,
            self._up_transitions,
            self._down_transitions,
            self._up_results,
            self._down_results,
        )


def _put_sample(families: dict[str, _Family], key: tuple[str, ...], sample: MetricSample) -> None:
    family = families.get(sample.metric)
    if family is None:
        labels = tuple(name for name, _ in sample.labels)
        family = families[sample.metric] = _Family(sample.metric, "A monitor's own metric", labels)
    given = dict(sample.labels)
    values = (printable(given.get(label, "")) for label in family.extra_labels)
    family.put((*key, *values), sample.value)
