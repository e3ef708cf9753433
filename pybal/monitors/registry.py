"""The monitors that are built in, and what is made of a set of monitors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pybal.config.monitor_kinds import MonitorKinds
from pybal.config.settings import MonitorSettings, ServiceSettings
from pybal.model import MetricFamily
from pybal.monitors import dnsquery, idleconnection, ping, proxyfetch, runcommand, tcpcheck, udp
from pybal.monitors.base import Monitor, ReportReceiver
from pybal.monitors.monitor_type import MonitorType
from pybal.monitors.target import MonitorPorts, Target

MonitorTypes = Mapping[str, MonitorType]
"""Monitors by name."""

BUILT_IN: MonitorTypes = {
    each.name: each
    for each in (
        idleconnection.MONITOR,
        proxyfetch.MONITOR,
        dnsquery.MONITOR,
        udp.MONITOR,
        runcommand.MONITOR,
        ping.MONITOR,
        tcpcheck.MONITOR,
    )
}


def kinds_of(types: MonitorTypes) -> MonitorKinds:
    """What reads their options."""
    return MonitorKinds(each.kind for each in types.values())


def metric_families(types: MonitorTypes) -> tuple[MetricFamily, ...]:
    """The metrics that they declare."""
    return tuple(family for each in types.values() for family in each.metrics)


def notes_on(services: Iterable[ServiceSettings], types: MonitorTypes) -> Iterator[str]:
    """What this host lacks for their monitors."""
    for service in services:
        for settings in service.monitors:
            for note in types[settings.monitor].notes(settings):
                yield f"[{service.name}] {note}"


def create_monitor(
    settings: MonitorSettings,
    target: Target,
    ports: MonitorPorts,
    receiver: ReportReceiver,
    types: MonitorTypes = BUILT_IN,
) -> Monitor:
    """The monitor that the settings describe, not yet started."""
    return types[settings.monitor].factory(settings, target, ports, receiver)
