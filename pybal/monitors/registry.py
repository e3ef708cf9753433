"""The monitors that are built in, and what is made of a set of monitors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pybal.config.monitor_kinds import MonitorKinds
from pybal.config.settings import MonitorSettings, ServiceSettings
from pybal.errors import in_one_line
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
            for note in _notes(types[settings.monitor], settings):
                yield f"[{service.name}] {note}"


def _notes(monitor: MonitorType, settings: MonitorSettings) -> tuple[str, ...]:
    try:
        return tuple(monitor.notes(settings))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plug-in's mistake, which is told
        return (f"{monitor.name} cannot say what it needs: {in_one_line(error)}",)


def create_monitor(
    settings: MonitorSettings,
    target: Target,
    ports: MonitorPorts,
    receiver: ReportReceiver,
    types: MonitorTypes = BUILT_IN,
) -> Monitor:
    """The monitor that the settings describe, not yet started. A plug-in may raise anything."""
    made = types[settings.monitor].factory(settings, target, ports, receiver)
    if not isinstance(made, Monitor) or getattr(made, "name", None) != settings.monitor:
        raise TypeError(
            f"what was made is no monitor, or one without Monitor.__init__: {made!r:.100}"
        )
    return made
