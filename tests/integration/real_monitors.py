"""Monitors on a real reactor with real sockets and processes."""

from __future__ import annotations

import gc
import os
import re
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from pybal.config.settings import MonitorSettings
from pybal.http.port import HTTPClient
from pybal.model import CheckResult
from pybal.monitors.base import Monitor
from pybal.monitors.registry import create_monitor
from pybal.monitors.target import Target
from tests.fakes.environment import make_environment
from tests.fakes.http import FakeHTTPClient
from tests.fakes.reports import Results
from tests.integration.reactors import until


def descriptors() -> int:
    """How many are open; those of former tests' reactors are let go of first. A network keeps the
    one by which it watches its sockets."""
    gc.collect()
    count = 0
    for number in os.listdir("/proc/self/fd"):
        # The one by which the folder was read is closed by now.
        with suppress(FileNotFoundError):
            count += os.readlink(f"/proc/self/fd/{number}") != "anon_inode:[eventpoll]"
    return count


def own_faults(monitor: Monitor) -> float:
    """How often it could not check for what we lack ourselves."""
    name = "pybal_monitor_internal_errors_total"
    return sum(each.value for each in monitor.snapshot().samples if each.metric == name)


def took_s(reason: str) -> float:
    """How long a check took, as its reason says."""
    (found,) = re.findall(r"\b(\d+\.\d{3}) s\b", reason)
    return float(found)


class Watched:
    """A started monitor of a server on loopback, and what it reported."""

    def __init__(
        self,
        reactor: Any,
        settings: MonitorSettings,
        port: int,
        address: str = "127.0.0.1",
        http: HTTPClient | None = None,
    ) -> None:
        self.reports = Results()
        self._reactor = reactor
        target = Target("svc", "real.example", ip_address(address), port, lambda: "real.example")
        environment = make_environment(reactor, http or FakeHTTPClient())
        self.monitor: Monitor = create_monitor(settings, target, environment, self.reports)
        self.monitor.start()

    @property
    def ups(self) -> list[bool]:
        """What was reported, in order."""
        return [result.up for result in self.reports]

    @property
    def reason(self) -> str:
        """The last reported result's reason."""
        return self.reports[-1].reason

    async def reported(self, count: int) -> None:
        """Wait until there are so many reports."""
        await until(self._reactor, lambda: len(self.reports) >= count)

    async def own_faults(self, count: int) -> None:
        """Wait until it could not check so many times, and stop it."""
        await until(self._reactor, lambda: own_faults(self.monitor) >= count)
        self.monitor.stop()

    async def first_result(self) -> CheckResult:
        """The first report; the monitor has ended then."""
        await self.reported(1)
        self.monitor.stop()
        return self.reports[0]
