"""The metrics of monitors: the ones that all have, and each kind's own samples. Pure.

A family always has the label set of its table entry, whatever a monitor hands over, and no
series twice: where two fall on the same labels, counters add up and gauges keep the later,
but the status keeps the worse.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter

from pybal.model import MetricSample, MonitorSnapshot, ServerSnapshot


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A metric of monitors; `labels` are those beyond service, host and monitor."""

    help: str
    labels: tuple[str, ...] = ()


_STATUS = "pybal_monitor_status"
_COMMON = {
    _STATUS: MetricSpec("Last result; no series before the first one"),
    "pybal_monitor_up_transitions_total": MetricSpec("Changes to up"),
    "pybal_monitor_down_transitions_total": MetricSpec("Changes to down"),
    "pybal_monitor_up_results_total": MetricSpec("Results that were up"),
    "pybal_monitor_down_results_total": MetricSpec("Results that were down"),
}
"""What every monitor has."""

_COUNTS = tuple(
    (name, attrgetter(name.removeprefix("pybal_monitor_").removesuffix("_total")))
    for name in _COMMON
    if name != _STATUS
)

OWN_METRICS = {
    "pybal_monitor_internal_errors_total": MetricSpec("Failures within the monitor itself", ()),
    "pybal_monitor_discarded_results_total": MetricSpec(
        "Failures not believed because the director itself was stalled", ()
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


def no_families() -> dict[str, Family]:
    """The families that are always there, without series: those that all monitors have, then
    each kind's own."""
    declared = {**_COMMON, **OWN_METRICS}
    return {name: Family(name, spec.help, spec.labels) for name, spec in declared.items()}


def families_of(
    service_name: str, servers: Iterable[ServerSnapshot], known: Mapping[str, Family]
) -> dict[str, Family]:
    """One service's families. `known` are the families of all services: a metric that is not
    declared has the labels of its first sample ever."""
    families = no_families()
    service = f'service="{escaped(service_name)}"'
    for server in servers:
        host = f'{service},host="{escaped(server.host)}"'
        for monitor in server.monitors:
            labels = f'{host},monitor="{escaped(monitor.name)}"'
            _put_common(families, labels, monitor)
            for sample in monitor.samples:
                _put_sample(families, labels, sample, known.get(sample.metric))
    return families


def escaped(label: str) -> str:
    """A label's value as it stands between quotes. What UTF-8 cannot hold is escaped, too: one odd
    name must not fail the whole scrape."""
    text = printable(label)
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def printable(label: str) -> str:
    """The text as UTF-8 can hold it."""
    return label if label.isascii() else label.encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass(slots=True)
class Family:
    """One metric with its series, by their labels as they stand between braces."""

    name: str
    help: str
    extra_labels: tuple[str, ...] = ()
    series: dict[str, float] = field(default_factory=dict)
    is_counter: bool = field(init=False)

    def __post_init__(self) -> None:
        self.is_counter = self.name.endswith("_total")

    def put(self, labels: str, value: float) -> None:
        """Set a gauge; add to a counter."""
        if self.is_counter:
            value += self.series.get(labels, 0.0)
        self.series[labels] = value


def _put_common(families: Mapping[str, Family], labels: str, monitor: MonitorSnapshot) -> None:
    if monitor.up is not None:
        status = families[_STATUS]
        status.put(labels, min(float(monitor.up), status.series.get(labels, 1.0)))
    for name, count in _COUNTS:
        families[name].put(labels, count(monitor))


def _put_sample(
    families: dict[str, Family], labels: str, sample: MetricSample, known: Family | None
) -> None:
    family = families.get(sample.metric)
    if family is None:
        names = tuple(name for name, _ in sample.labels) if known is None else known.extra_labels
        family = families[sample.metric] = Family(sample.metric, "A monitor's own metric", names)
    given = dict(sample.labels)
    extra = "".join(f',{name}="{escaped(given.get(name, ""))}"' for name in family.extra_labels)
    family.put(labels + extra, sample.value)
