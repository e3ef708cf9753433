"""The metrics of monitors: the ones that all have, and each kind's own samples. Pure.

A family always has the labels that were declared, whatever a monitor hands over, and no
series twice: where two fall on the same labels, counters add up and gauges keep the later,
but the status keeps the worse.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter

from pybal.instrumentation.metric_head import is_counter
from pybal.model import MetricFamily, MetricSample, MonitorSnapshot, ServerSnapshot

_STATUS = "pybal_monitor_status"
_COMMON = (
    MetricFamily(_STATUS, "Last result; no series before the first one"),
    MetricFamily("pybal_monitor_up_transitions_total", "Changes to up"),
    MetricFamily("pybal_monitor_down_transitions_total", "Changes to down"),
    MetricFamily("pybal_monitor_up_results_total", "Results that were up"),
    MetricFamily("pybal_monitor_down_results_total", "Results that were down"),
)
"""What every monitor has at all times."""

_COUNTS = tuple(
    (name, attrgetter(name.removeprefix("pybal_monitor_").removesuffix("_total")))
    for name in (family.name for family in _COMMON)
    if name != _STATUS
)

_OCCASIONAL = (
    MetricFamily("pybal_monitor_internal_errors_total", "Failures within the monitor itself"),
    MetricFamily(
        "pybal_monitor_discarded_results_total",
        "Failures not believed because the director itself was stalled",
    ),
)
"""What every monitor may hand over as samples, beside the metrics that its kind declares."""


def no_families(declared: Iterable[MetricFamily]) -> dict[str, Family]:
    """The families that are always there, without series: those that all monitors have, then
    those that single kinds have `declared`."""
    every = (*_COMMON, *_OCCASIONAL, *declared)
    return {family.name: Family(family.name, family.help, family.labels) for family in every}


def families_of(
    service_name: str,
    servers: Iterable[ServerSnapshot],
    declared: Iterable[MetricFamily],
    known: Mapping[str, Family],
) -> dict[str, Family]:
    """One service's families. `known` are the families of all services: a metric that is not
    declared has the labels of its first sample ever."""
    families = no_families(declared)
    service = f'service="{escaped(service_name)}"'
    for server in servers:
        host = f'host="{escaped(server.host)}"'
        for monitor in server.monitors:
            labels = (host, f'monitor="{escaped(monitor.name)}"', service)
            _put_common(families, ",".join(labels), monitor)
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
        self.is_counter = is_counter(self.name)

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
    families: dict[str, Family], labels: tuple[str, ...], sample: MetricSample, known: Family | None
) -> None:
    family = families.get(sample.metric)
    if family is None:
        names = tuple(name for name, _ in sample.labels) if known is None else known.extra_labels
        family = families[sample.metric] = Family(sample.metric, "A monitor's own metric", names)
    given = dict(sample.labels)
    extra = (f'{name}="{escaped(given.get(name, ""))}"' for name in family.extra_labels)
    family.put(",".join(sorted((*labels, *extra), key=_name)), sample.value)


def _name(label: str) -> str:
    return label.partition("=")[0]
