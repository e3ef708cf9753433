"""A monitor's surroundings under the test's hand: clock, network, HTTP, processes, reports."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import Logger

from pybal.config.settings import MonitorSettings
from pybal.health.local_faults import LocalFaults
from pybal.health.recoveries import Recoveries
from pybal.health.stalls import Mark
from pybal.http.port import HTTPClient
from pybal.model import CheckResult
from pybal.monitors.base import Monitor
from pybal.monitors.processes import ReactorProcesses
from pybal.monitors.registry import create_monitor
from pybal.monitors.target import MonitorPorts, Target
from pybal.net.sockets import SocketNetwork
from tests.fakes.files import DirectAccess
from tests.fakes.http import FakeHTTPClient
from tests.fakes.network import FakeChannel, FakeNetwork
from tests.fakes.processes import FakeProcesses
from tests.fakes.reports import Calling, Results

EPOCH = 1_700_000_000.0


class FakeAttention:
    """Says that we stalled whenever the test says so."""

    def __init__(self) -> None:
        self.is_stalled = False

    def mark(self) -> Mark:
        return Mark(0.0, 0.0)

    recent = mark

    def stalled(self, mark: Mark) -> bool:
        return self.is_stalled


def make_environment(reactor: Any, http: HTTPClient) -> MonitorPorts:
    """A real one, but for the HTTP client; it never stalled."""
    return MonitorPorts(
        reactor=reactor,
        now=time.time,
        random=random.Random(1),
        network=SocketNetwork(reactor),
        processes=ReactorProcesses(reactor),
        http=http,
        stall_meter=FakeAttention(),
        recoveries=Recoveries(reactor.seconds),
        faults=LocalFaults(reactor.seconds, Logger()),
        files=DirectAccess(),
    )


def make_target(address: str = "192.0.2.7", port: int = 443) -> Target:
    """The server cp1 of the service textlb_443."""
    return Target(
        "textlb_443", "cp1.example", ip_address(address), port, lambda: "cp1.example (up)"
    )


class MonitorBench:
    """Holds everything a monitor touches, and what it reported."""

    def __init__(self, address: str = "192.0.2.7", seed: int = 1, port: int = 443) -> None:
        self.clock = Clock()
        self.stall_meter = FakeAttention()
        self.recoveries = Recoveries(self.clock.seconds)
        self.faults = LocalFaults(self.clock.seconds, Logger())
        self.network = FakeNetwork()
        self.http = FakeHTTPClient()
        self.processes = FakeProcesses()
        self.reports = Results()
        self.target = make_target(address, port)
        self.environment = MonitorPorts(
            reactor=self.clock,
            now=lambda: EPOCH + self.clock.seconds(),
            random=random.Random(seed),
            network=self.network,
            processes=self.processes,
            http=self.http,
            stall_meter=self.stall_meter,
            recoveries=self.recoveries,
            faults=self.faults,
            files=DirectAccess(),
        )

    def make(
        self, settings: MonitorSettings, report: Callable[[CheckResult], None] | None = None
    ) -> Monitor:
        """A monitor on this bench, not yet started; `report` is called with its results."""
        receiver = self.reports if report is None else Calling(report)
        return create_monitor(settings, self.target, self.environment, receiver)

    def start(self, settings: MonitorSettings, host: str | None = None) -> Monitor:
        """A monitor on this bench, started; of another host of that name."""
        if host is not None:
            self.target = replace(self.target, host=host)
        monitor = self.make(settings)
        monitor.start()
        return monitor

    def advance(self, seconds: float) -> None:
        """Let time pass, in steps fine enough for whatever recurs, and a hair more: what is due
        then has happened, however floats were rounded."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
        self.clock.advance(1e-6)

    def channel(self) -> FakeChannel:
        """The one that is open, waited for if need be."""
        while not self.network.open:
            self.clock.advance(0.1)
        (channel,) = self.network.open
        return channel

    @property
    def next_call_at(self) -> float:
        """When the one delayed call is due, in the clock's seconds."""
        calls: Sequence[Any] = self.clock.getDelayedCalls()
        (call,) = calls
        return float(call.getTime())

    @property
    def ups(self) -> list[bool]:
        """What was reported, in order."""
        return [result.up for result in self.reports]

    @property
    def idle(self) -> bool:
        """Whether nothing is left that could still happen."""
        return not (
            self.clock.getDelayedCalls()
            or self.network.open
            or self.http.under_way
            or any(not process.killed for process in self.processes.running)
        )
