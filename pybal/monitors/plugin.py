"""All that a monitor in a package of its own needs (docs/monitor-plugin.md). The names in here
keep their meaning."""

from __future__ import annotations

from pybal.config.kinds import (
    ABSOLUTE_PATH,
    BOOLEAN,
    HOST_NAME,
    PATTERN,
    PAYLOAD,
    SECONDS,
    SECONDS_OR_ZERO,
    Kind,
    choice,
    integer,
)
from pybal.config.monitor_kinds import MonitorKind, Option
from pybal.config.settings import MonitorSettings
from pybal.model import MetricFamily, MetricSample
from pybal.monitors.asking import AskingMonitor, request_duration
from pybal.monitors.base import Monitor, ReportReceiver
from pybal.monitors.looping import CheckOutcome, LoopingMonitor
from pybal.monitors.monitor_type import MonitorType
from pybal.monitors.target import MonitorPorts, Target
from pybal.net.port import Channel, TCPEvents, UDPEvents

__all__ = [
    "ABSOLUTE_PATH",
    "BOOLEAN",
    "HOST_NAME",
    "PATTERN",
    "PAYLOAD",
    "SECONDS",
    "SECONDS_OR_ZERO",
    "AskingMonitor",
    "Channel",
    "CheckOutcome",
    "Kind",
    "LoopingMonitor",
    "MetricFamily",
    "MetricSample",
    "Monitor",
    "MonitorKind",
    "MonitorPorts",
    "MonitorSettings",
    "MonitorType",
    "Option",
    "ReportReceiver",
    "TCPEvents",
    "Target",
    "UDPEvents",
    "choice",
    "integer",
    "request_duration",
]
