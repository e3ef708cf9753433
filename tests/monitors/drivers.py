"""One driver for each kind of monitor: makes its next result up or down, on a MonitorBench."""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from pathlib import Path

from pybal.config.settings import MonitorSettings
from pybal.errors import HTTPLocalFaultError
from pybal.linear_regex import Pattern
from pybal.monitors.dnsquery import DNSQuerySettings
from pybal.monitors.idleconnection import IdleConnectionSettings
from pybal.monitors.ping import PingSettings
from pybal.monitors.proxyfetch import ProxyFetchSettings
from pybal.monitors.runcommand import RunCommandSettings
from pybal.monitors.tcpcheck import TCPCheckSettings
from pybal.monitors.udp import UDPSettings
from tests.fakes.environment import MonitorBench

MOST_SECONDS = 100


class Driver(ABC):
    """Knows one kind of monitor: its settings, and what its world looks like to it."""

    settings: MonitorSettings

    @abstractmethod
    def busy(self, bench: MonitorBench) -> int:
        """How many checks wait for an answer."""

    @abstractmethod
    def answer(self, bench: MonitorBench, up: bool) -> None:
        """Answer the check that is under way."""

    @abstractmethod
    def break_world(self, bench: MonitorBench, error: Exception | None) -> None:
        """From now on opening, fetching or running raises `error`."""

    def wait_for_check(self, bench: MonitorBench) -> None:
        """Let time pass until a check is under way."""
        for _ in range(MOST_SECONDS * 10):
            if self.busy(bench):
                return
            bench.clock.advance(0.1)
        raise AssertionError("no check began")

    def result(self, bench: MonitorBench, up: bool) -> None:
        """Bring about one result."""
        self.wait_for_check(bench)
        self.answer(bench, up)


class IdleConnectionDriver(Driver):
    settings = IdleConnectionSettings(max_delay_s=20)

    def busy(self, bench: MonitorBench) -> int:
        return len([c for c in bench.network.open if not c.connected])

    def answer(self, bench: MonitorBench, up: bool) -> None:
        (channel,) = bench.network.open
        if up:
            channel.connect()
        else:
            channel.end(errno.ECONNREFUSED)

    def result(self, bench: MonitorBench, up: bool) -> None:
        for channel in bench.network.open:
            if channel.connected and up:
                channel.end()  # cleanly: the next result is the quick reconnect's
            elif channel.connected:
                channel.end(errno.ECONNRESET)
                return
        super().result(bench, up)

    def break_world(self, bench: MonitorBench, error: Exception | None) -> None:
        bench.network.error = error


class ProxyFetchDriver(Driver):
    settings = ProxyFetchSettings(urls=("https://en.example/",))

    def busy(self, bench: MonitorBench) -> int:
        return len(bench.http.under_way)

    def answer(self, bench: MonitorBench, up: bool) -> None:
        (exchange,) = bench.http.under_way
        exchange.answer(200 if up else 500)

    def break_world(self, bench: MonitorBench, error: Exception | None) -> None:
        if isinstance(error, OSError):
            error = HTTPLocalFaultError("no socket", error)
        bench.http.error = error


class DNSQueryDriver(Driver):
    settings = DNSQuerySettings(hostnames=("en.example",), timeout_s=500)

    def busy(self, bench: MonitorBench) -> int:
        return len(bench.network.open)

    def answer(self, bench: MonitorBench, up: bool) -> None:
        (channel,) = bench.network.open
        query = channel.sent[-1]
        flags = b"\x81\x80" if up else b"\x81\x82"
        channel.receive(query[:2] + flags + query[4:])

    def break_world(self, bench: MonitorBench, error: Exception | None) -> None:
        bench.network.error = error


class UDPDriver(Driver):
    settings = UDPSettings(icmp_timeout_s=1)

    def __init__(self) -> None:
        self._answered = 0

    def busy(self, bench: MonitorBench) -> int:
        sent = sum(len(channel.sent) for channel in bench.network.channels)
        return sent - self._answered

    def answer(self, bench: MonitorBench, up: bool) -> None:
        (channel,) = bench.network.open
        self._answered += 1
        if up:
            bench.advance(1.1)
        else:
            channel.fail(errno.ECONNREFUSED)

    def break_world(self, bench: MonitorBench, error: Exception | None) -> None:
        bench.network.error = error


class PingDriver(Driver):
    settings = PingSettings(timeout_s=500)

    def busy(self, bench: MonitorBench) -> int:
        return len(bench.network.open)

    def answer(self, bench: MonitorBench, up: bool) -> None:
        (channel,) = bench.network.open
        if up:
            channel.receive(channel.sent[-1])
        else:
            channel.fail(errno.EHOSTUNREACH)

    def break_world(self, bench: MonitorBench, error: Exception | None) -> None:
        bench.network.error = error


class TCPCheckDriver(Driver):
    settings = TCPCheckSettings(send=b"ping\n", expect=Pattern("pong"), timeout_s=500)

    def busy(self, bench: MonitorBench) -> int:
        return len(bench.network.open)

    def answer(self, bench: MonitorBench, up: bool) -> None:
        (channel,) = bench.network.open
        channel.connect()
        if up:
            channel.receive(b"pong\n")
        else:
            channel.end()

    def break_world(self, bench: MonitorBench, error: Exception | None) -> None:
        bench.network.error = error


class RunCommandDriver(Driver):
    settings = RunCommandSettings(command=Path("/etc/pybal/check"), interval_s=10, timeout_s=500)

    def busy(self, bench: MonitorBench) -> int:
        return len(bench.processes.running)

    def answer(self, bench: MonitorBench, up: bool) -> None:
        (process,) = bench.processes.running
        process.end(0 if up else 1)

    def break_world(self, bench: MonitorBench, error: Exception | None) -> None:
        bench.processes.error = error


DRIVERS: tuple[type[Driver], ...] = (
    IdleConnectionDriver,
    ProxyFetchDriver,
    DNSQueryDriver,
    UDPDriver,
    RunCommandDriver,
    PingDriver,
    TCPCheckDriver,
)
