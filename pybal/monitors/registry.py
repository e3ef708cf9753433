"""Which monitors there are, and what makes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pybal.config.monitor_kinds import (
    DNS_QUERY,
    IDLE_CONNECTION,
    PING,
    PROXY_FETCH,
    RUN_COMMAND,
    TCP_CHECK,
    UDP_KIND,
    MonitorKind,
)
from pybal.config.settings import MonitorSettings
from pybal.monitors.base import Monitor, Report
from pybal.monitors.dnsquery import DNSQuery
from pybal.monitors.idleconnection import IdleConnection
from pybal.monitors.ping import Ping
from pybal.monitors.proxyfetch import ProxyFetch
from pybal.monitors.runcommand import RunCommand
from pybal.monitors.target import MonitorPorts, Target
from pybal.monitors.tcpcheck import TCPCheck
from pybal.monitors.udp import UDP

Factory = Callable[[Any, Target, MonitorPorts, Report], Monitor]
"""Makes a monitor of its own kind of settings, not yet started."""


@dataclass(frozen=True, slots=True)
class MonitorType:
    """A monitor that pybal.conf may name: how its options are read, and what makes it."""

    kind: MonitorKind
    factory: Factory


BUILT_IN: Mapping[str, MonitorType] = {
    kind.name: MonitorType(kind, factory)
    for kind, factory in (
        (IDLE_CONNECTION, IdleConnection),
        (PROXY_FETCH, ProxyFetch),
        (DNS_QUERY, DNSQuery),
        (UDP_KIND, UDP),
        (RUN_COMMAND, RunCommand),
        (PING, Ping),
        (TCP_CHECK, TCPCheck),
    )
}


def create_monitor(
    settings: MonitorSettings,
    target: Target,
    ports: MonitorPorts,
    report: Report,
    types: Mapping[str, MonitorType] = BUILT_IN,
) -> Monitor:
    """The monitor that the settings describe, not yet started."""
    return types[settings.monitor].factory(settings, target, ports, report)
