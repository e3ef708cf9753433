"""TCPCheck: what it sends, what it takes for the expected answer, and what it says otherwise."""

from __future__ import annotations

import dataclasses
import errno
from ipaddress import ip_address

import pytest

from pybal.linear_regex import Pattern
from pybal.monitors.tcpcheck import TCPCheckSettings
from tests.fakes.environment import MonitorBench
from tests.fakes.network import os_error, without_garbage

CONNECT = TCPCheckSettings(timeout_s=3, source_address=ip_address("192.0.2.99"))
REDIS = dataclasses.replace(CONNECT, send=b"PING\r\n", expect=Pattern(r"^\+PONG"), read_bytes=20)


def reason(bench: MonitorBench) -> str:
    return bench.reports[-1].reason.removeprefix("connection to 192.0.2.7:443: ")


def test_a_connection_is_enough_if_nothing_is_expected() -> None:
    bench = MonitorBench()
    monitor = bench.start(CONNECT)
    channel = bench.channel()
    assert channel.source == CONNECT.source_address
    channel.connect()
    assert (bench.ups, channel.sent, channel.open) == ([True], [], False)
    assert reason(bench) == "made after 0.000 s"
    (sample,) = monitor.snapshot().samples
    assert sample.metric == "pybal_monitor_tcpcheck_request_duration_seconds"


def test_a_check_that_is_over_is_no_garbage() -> None:
    bench = MonitorBench()
    bench.start(CONNECT)
    with without_garbage(bench.network):
        bench.channel().connect()


def test_the_expected_answer_may_come_in_pieces() -> None:
    bench = MonitorBench()
    bench.start(REDIS)
    channel = bench.channel()
    channel.connect()
    assert channel.sent == [b"PING\r\n"]
    channel.receive(b"+PO")
    assert bench.reports == []
    channel.receive(b"NG\r\n")
    assert (bench.ups, channel.open) == ([True], False)


def test_the_end_of_the_connection_may_be_expected() -> None:
    bench = MonitorBench()
    bench.start(dataclasses.replace(REDIS, expect=Pattern("bye$")))
    channel = bench.channel()
    channel.connect()
    channel.receive(b"good bye\n")
    assert bench.reports == []
    channel.end()
    assert bench.ups == [True]


@pytest.mark.parametrize(
    ("sent", "end", "why"),
    [
        (b"", None, "closed, nothing received after 0.000 s"),
        (b"", errno.ECONNRESET, "connection reset by peer after 0.000 s"),
        (
            b"-LOADING",
            None,
            "closed, 8 bytes received, not what is expected: '-LOADING' after 0.000 s",
        ),
        (
            b"-ERR" * 10,
            None,
            f"20 bytes received, not what is expected: '{'-ERR' * 5}' after 0.000 s",
        ),
    ],
)
def test_another_answer_is_down_and_shown(sent: bytes, end: int | None, why: str) -> None:
    bench = MonitorBench()
    bench.start(REDIS)
    channel = bench.channel()
    channel.connect()
    if sent:
        channel.receive(sent)
    if channel.open:
        channel.end(end)
    assert bench.ups == [False]
    assert reason(bench) == why


def test_what_is_expected_is_looked_for_in_the_first_bytes_alone() -> None:
    bench = MonitorBench()
    bench.start(dataclasses.replace(REDIS, expect=Pattern("needle")))
    channel = bench.channel()
    channel.connect()
    channel.receive(b"x" * 17 + b"needle")
    assert bench.ups == [False]


@pytest.mark.parametrize(
    ("connected", "received", "why"),
    [
        (False, b"", "not made after 3.0"),
        (True, b"", "made, but nothing received after 3.0"),
        (True, b"-X", "2 bytes received, not what is expected: '-X' after 3.0"),
    ],
)
def test_no_answer_in_time_is_down(connected: bool, received: bytes, why: str) -> None:
    bench = MonitorBench()
    bench.start(REDIS)
    channel = bench.channel()
    if connected:
        channel.connect()
    if received:
        channel.receive(received)
    bench.advance(3)
    assert bench.ups == [False]
    assert reason(bench).startswith(why)
    assert not channel.open


def test_what_cannot_be_sent_is_down() -> None:
    bench = MonitorBench()
    bench.start(REDIS)
    channel = bench.channel()
    channel.send_error = os_error(errno.EPIPE)
    channel.connect()
    assert reason(bench) == "broken pipe after 0.000 s"
