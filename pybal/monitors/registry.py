"""Which settings make which monitor."""

from __future__ import annotations

from typing import assert_never

from pybal.config.settings import (
    DNSQuerySettings,
    IdleConnectionSettings,
    MonitorSettings,
    ProxyFetchSettings,
    RunCommandSettings,
    UDPSettings,
)
from pybal.monitors.base import Monitor, Report
from pybal.monitors.dnsquery import DNSQuery
from pybal.monitors.idleconnection import IdleConnection
from pybal.monitors.proxyfetch import ProxyFetch
from pybal.monitors.runcommand import RunCommand
from pybal.monitors.target import Environment, Target
from pybal.monitors.udp import UDP


def create_monitor(
    settings: MonitorSettings, target: Target, environment: Environment, report: Report
) -> Monitor:
    """The monitor that the settings describe, not yet started."""
    match settings:
        case IdleConnectionSettings():
            return IdleConnection(settings, target, environment, report)
        case ProxyFetchSettings():
            return ProxyFetch(settings, target, environment, report)
        case DNSQuerySettings():
            return DNSQuery(settings, target, environment, report)
        case UDPSettings():
            return UDP(settings, target, environment, report)
        case RunCommandSettings():
            return RunCommand(settings, target, environment, report)
        case _:
            assert_never(settings)


def monitor_name(settings: MonitorSettings) -> str:
    """The monitor's name in pybal.conf, logs and metrics."""
    match settings:
        case IdleConnectionSettings():
            return IdleConnection.name
        case ProxyFetchSettings():
            return ProxyFetch.name
        case DNSQuerySettings():
            return DNSQuery.name
        case UDPSettings():
            return UDP.name
        case RunCommandSettings():
            return RunCommand.name
        case _:
            assert_never(settings)
