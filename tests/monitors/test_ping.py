"""Ping: its own echo back in time is up."""

from __future__ import annotations

import errno
from ipaddress import ip_address

from pybal.monitors.ping import PingSettings
from tests.fakes.environment import MonitorBench

SETTINGS = PingSettings(timeout_s=3, source_address=ip_address("2001:db8::99"))


def test_the_echo_of_what_was_sent_is_up() -> None:
    bench = MonitorBench("2001:db8::7")
    monitor = bench.start(SETTINGS)
    channel = bench.channel()
    assert (channel.address, channel.source) == (bench.target.address, SETTINGS.source_address)
    bench.clock.advance(0.25)
    channel.receive(channel.sent[0])
    assert bench.ups == [True]
    assert bench.reports[0].reason == "ping of 2001:db8::7: answered after 0.250 s"
    assert not channel.open
    (sample,) = monitor.snapshot().samples
    assert sample.metric == "pybal_monitor_ping_request_duration_seconds"
    assert (sample.labels, round(sample.value, 9)) == ((("result", "successful"),), 0.25)


def test_the_echo_of_somebody_elses_request_is_not() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    channel = bench.channel()
    channel.receive(b"x" * 16)
    channel.receive(b"")
    assert bench.reports == []


def test_no_answer_to_several_requests_is_down() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    channel = bench.channel()
    bench.advance(3)
    assert len(channel.sent) == 4
    assert bench.ups == [False]
    reason = bench.reports[0].reason
    assert reason.startswith("ping of 192.0.2.7: no answer to 4 echo requests after 3.0")


def test_each_ping_has_a_token_of_its_own() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    tokens = set()
    for _ in range(5):
        channel = bench.channel()
        tokens.add(channel.sent[0])
        channel.receive(channel.sent[0])
    assert len(tokens) == 5


def test_an_icmp_error_is_down_at_once() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    bench.channel().fail(errno.EHOSTUNREACH)
    assert bench.reports[0].reason == "ping of 192.0.2.7: no route to host after 0.000 s"
