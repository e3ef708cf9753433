"""The metrics of monitors: the ones that all have, and each kind's own samples. Pure.

A family always has the label set of its table entry, whatever a monitor hands over, and no
series twice: where two fall on the same labels, counters add up and gauges keep the later,
but the status keeps the worse.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pybal.model import MetricSample, MonitorSnapshot, ServerSnapshot

_COMMON_LABELS = ("service", "host", "monitor")


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A metric of one kind of monitor; `labels` are those beyond service, host and monitor."""

    help: str
    labels: tuple[str, ...]


_COMMON = {
    "pybal_monitor_status": "Last result; no series before the first one",
    "pybal_monitor_up_transitions_total": "Changes to up",
    "pybal_monitor_down_transitions_total": "Changes to down",
    "pybal_monitor_up_results_total": "Results that were up",
    "pybal_monitor_down_results_total": "Results that were down",
}
"""What every monitor has."""

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


def no_families() -> list[Family]:
    """The families that are always there, without series: those that all monitors have, then
    each kind's own."""
    common = [Family(name, help_) for name, help_ in _COMMON.items()]
    return common + [Family(name, spec.help, spec.labels) for name, spec in OWN_METRICS.items()]


def families_of(
    service_name: str, server: ServerSnapshot, known: Mapping[str, Family]
) -> Iterable[Family]:
    """One server's families. `known` are the families of other servers: a metric that is not
    declared has the labels of its first sample ever."""
    families = {family.name: family for family in no_families()}
    for monitor in server.monitors:
        key = (printable(service_name), printable(server.host), monitor.name)
        _put_common(families, key, monitor)
        for sample in monitor.samples:
            _put_sample(families, key, sample, known.get(sample.metric))
    return families.values()


def printable(label: str) -> str:
    """The text as UTF-8 can hold it: one odd name must not fail the whole scrape."""
    return label if label.isascii() else label.encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass(slots=True)
class Family:
    """One metric with its series, by label values."""

    name: str
    help: str
    extra_labels: tuple[str, ...] = ()
    series: dict[tuple[str, ...], float] = field(default_factory=dict)

    @property
    def labels(self) -> tuple[str, ...]:
        """Their names."""
        return (*_COMMON_LABELS, *self.extra_labels)

    @property
    def is_counter(self) -> bool:
        """Whether it counts, by its name."""
        return self.name.endswith("_total")

    def put(self, key: tuple[str, ...], value: float) -> None:
        """Set a gauge; add to a counter."""
        if self.is_counter:
            value += self.series.get(key, 0.0)
        self.series[key] = value


def _put_common(
    families: Mapping[str, Family], key: tuple[str, ...], monitor: MonitorSnapshot
) -> None:
    status = families["pybal_monitor_status"]
    if monitor.up is not None:
        status.put(key, min(float(monitor.up), status.series.get(key, 1.0)))
    for name, count in (
        ("up_transitions", monitor.up_transitions),
        ("down_transitions", monitor.down_transitions),
        ("up_results", monitor.up_results),
        ("down_results", monitor.down_results),
    ):
        families[f"pybal_monitor_{name}_total"].put(key, count)


def _put_sample(
    families: dict[str, Family], key: tuple[str, ...], sample: MetricSample, known: Family | None
) -> None:
    family = families.get(sample.metric)
    if family is None:
        labels = tuple(name for name, _ in sample.labels) if known is None else known.extra_labels
        family = families[sample.metric] = Family(sample.metric, "A monitor's own metric", labels)
    given = dict(sample.labels)
    values = (printable(given.get(label, "")) for label in family.extra_labels)
    family.put((*key, *values), sample.value)
