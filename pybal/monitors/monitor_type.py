"""What describes a monitor, built in or of another package: one value in its file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pybal.config.monitor_kinds import MonitorKind
from pybal.model import MetricFamily
from pybal.monitors.base import Monitor, ReportReceiver
from pybal.monitors.target import MonitorPorts, Target

Factory = Callable[[Any, Target, MonitorPorts, ReportReceiver], Monitor]
"""Makes a monitor of its own kind of settings, not yet started."""


@dataclass(frozen=True, slots=True)
class MonitorType:
    """A monitor that pybal.conf may name: how its options are read, what makes it, and the
    metrics of its own. `notes` looks at this host for `--check-config`: what the settings need
    and it lacks."""

    kind: MonitorKind
    factory: Factory
    metrics: tuple[MetricFamily, ...] = ()
    notes: Callable[[Any], Iterable[str]] = lambda _: ()

    @property
    def name(self) -> str:
        return self.kind.name
