"""Services as metrics. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)

from pybal.instrumentation.monitor_metrics import printable
from pybal.model import ServerSnapshot, ServiceSnapshot


class _OfService(NamedTuple):
    """A metric of each service. `value` None: this one has none."""

    name: str
    help: str
    value: Callable[[ServiceSnapshot], float | None]
    family: type[GaugeMetricFamily | CounterMetricFamily] = GaugeMetricFamily


def _servers(is_so: Callable[[ServerSnapshot], bool]) -> Callable[[ServiceSnapshot], float]:
    """How many servers are so."""
    return lambda service: sum(map(is_so, service.servers))


_OF_SERVICES = (
    _OfService("pybal_service_servers", "Servers in the pool list", lambda s: len(s.servers)),
    _OfService(
        "pybal_service_servers_enabled",
        "Servers enabled by the operator",
        _servers(lambda server: server.enabled),
    ),
    _OfService(
        "pybal_service_servers_up",
        "Servers up, enabled or not",
        _servers(lambda server: server.up),
    ),
    _OfService(
        "pybal_service_servers_pooled", "Servers pooled", _servers(lambda server: server.pooled)
    ),
    _OfService(
        "pybal_service_can_depool",
        "Whether one more server may be depooled",
        lambda s: s.can_depool,
    ),
    _OfService(
        "pybal_service_pooled_down_servers",
        "Servers kept pooled though down",
        _servers(lambda server: server.pooled and not server.up),
    ),
    _OfService(
        "pybal_service_depool_threshold",
        "Part of the pool that must stay pooled",
        lambda s: float(s.depool_threshold),
    ),
    _OfService(
        "pybal_source_stale", "Whether the source of the pool list fails", lambda s: s.source.stale
    ),
    _OfService(
        "pybal_source_damaged_entries",
        "Entries of the pool list that could not be read",
        lambda s: len(s.source.damage),
    ),
    _OfService(
        "pybal_source_last_good_timestamp_seconds",
        "Date of the pool list in force, Unix time",
        lambda s: s.source.last_good_at,
    ),
    _OfService(
        "pybal_service_held_servers",
        "Servers that stay though the pool list takes them away: held, or waiting for new ones",
        lambda s: sum(len(change.servers) for change in s.held),
    ),
    _OfService(
        "pybal_service_overridden_servers",
        "Servers that an operator drains, disables or enables for a time",
        _servers(lambda server: server.over is not None),
    ),
    _OfService(
        "pybal_service_held_down_servers",
        "Servers that flapped: up again, and not pooled yet",
        _servers(lambda server: server.hold_down is not None),
    ),
    _OfService(
        "pybal_service_could_not_depool_total",
        "Servers kept pooled because too many were down",
        lambda s: s.could_not_depool_total,
        CounterMetricFamily,
    ),
    _OfService(
        "pybal_service_held_changes_total",
        "Changes of the pool list that were held, as too few servers would have been left",
        lambda s: s.held_total,
        CounterMetricFamily,
    ),
    _OfService(
        "pybal_service_hold_downs_total",
        "How often a server that came up was not pooled at once, as it had flapped",
        lambda s: s.hold_downs_total,
        CounterMetricFamily,
    ),
)


def service_families(services: Sequence[ServiceSnapshot]) -> Iterator[Metric]:
    """What is counted of each service, and what it is."""
    info = InfoMetricFamily("pybal_service", "What the service is")
    for service in services:
        what = {
            "address": str(service.address),
            "port": str(service.port),
            "protocol": service.protocol.value,
            "scheduler": service.scheduler,
            "service": printable(service.name),
        }
        info.add_metric([], what)
    yield info
    for each in _OF_SERVICES:
        family = each.family(each.name, each.help, labels=["service"])
        for service in services:
            value = each.value(service)
            if value is not None:
                family.add_metric([printable(service.name)], value)
        yield family
