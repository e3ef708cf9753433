"""UDP: silence is up, but only after a question; ICMP is down, and lasts."""

from __future__ import annotations

import dataclasses
import errno
import re
from ipaddress import ip_address

import pytest

from pybal.linear_regex import Pattern
from pybal.monitors.udp import UDPSettings
from tests.fakes.environment import MonitorBench
from tests.fakes.network import FakeChannel, os_error

SOURCE = ip_address("192.0.2.99")
SETTINGS = UDPSettings(interval_s=10, icmp_timeout_s=20)


def sent_to(bench: MonitorBench) -> FakeChannel:
    """The socket, once the first datagram has been sent."""
    while not bench.network.channels:
        bench.clock.advance(0.1)
    (channel,) = bench.network.channels
    return channel


def test_an_empty_datagram_is_sent_each_interval_from_one_socket() -> None:
    bench = MonitorBench("2001:db8::7")
    bench.start(SETTINGS)
    channel = sent_to(bench)
    bench.advance(35)
    assert (channel.address, channel.port) == (bench.target.address, 443)
    assert channel.sent == [b""] * 4
    assert len(bench.network.channels) == 1


def test_it_is_not_up_before_icmp_could_have_come() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    sent_to(bench)
    bench.advance(SETTINGS.timeout_s - 0.1)
    assert bench.reports == []
    bench.advance(0.2)
    assert bench.ups == [True]


def test_an_icmp_error_is_down_at_once_and_counted_once() -> None:
    bench = MonitorBench()
    monitor = bench.start(SETTINGS)
    sent_to(bench).fail(errno.ECONNREFUSED)
    assert bench.ups == [False]
    assert bench.reports[0].reason == (
        "an empty datagram to 192.0.2.7:443: connection refused after 0.000 s"
    )
    bench.advance(5)
    assert monitor.snapshot().down_results == 1


def test_an_icmp_error_that_comes_late_is_down_at_once_too() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    channel = sent_to(bench)
    bench.advance(5)
    channel.fail(errno.EHOSTUNREACH)
    assert bench.ups == [True, False]
    assert ": no route to host after 5.0" in bench.reports[-1].reason


def test_it_stays_down_until_the_icmp_timeout_has_passed_since_the_last_error() -> None:
    bench = MonitorBench()
    monitor = bench.start(SETTINGS)
    channel = sent_to(bench)
    channel.fail(errno.ECONNREFUSED)
    bench.advance(10)
    assert len(channel.sent) == 2
    channel.fail(errno.ECONNREFUSED)
    last_at = bench.clock.seconds()
    while bench.ups == [False]:
        bench.clock.advance(0.1)
        last = monitor.snapshot().last
        assert last is not None
    waited_s = bench.clock.seconds() - last_at
    assert 20 <= waited_s <= 20 + SETTINGS.timeout_s + 0.2
    assert bench.ups == [False, True]


def test_while_it_stays_down_the_reason_says_for_how_long() -> None:
    bench = MonitorBench()
    monitor = bench.start(SETTINGS)
    sent_to(bench).fail(errno.ECONNREFUSED)
    bench.advance(11.5)
    last = monitor.snapshot().last
    assert last is not None
    assert re.search(r"connection refused, 1[01]\.\d s ago$", last.reason)


def test_an_error_out_of_sending_is_an_icmp_error_as_well() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    channel = sent_to(bench)
    bench.advance(5)
    channel.send_error = os_error(errno.ECONNREFUSED)
    bench.advance(6)
    assert bench.ups == [True, False]
    channel.send_error = None
    bench.advance(11)
    assert bench.ups == [True, False]
    bench.advance(11)
    assert bench.ups == [True, False, True]


@pytest.mark.parametrize("code", [errno.EBADF, errno.EINVAL])
def test_a_socket_that_sends_no_more_is_replaced_and_says_nothing_of_the_server(code: int) -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    channel = sent_to(bench)
    bench.advance(5)
    channel.send_error = os_error(code)
    bench.advance(21)
    assert bench.ups == [True]
    (other,) = bench.network.open
    assert other is not channel
    assert other.sent == [b""] * 2
    other.fail(errno.ECONNREFUSED)
    assert bench.ups == [True, False]


def test_a_source_address_that_is_gone_is_a_fault_of_this_host() -> None:
    bench = MonitorBench()
    monitor = bench.start(SETTINGS)
    channel = sent_to(bench)
    bench.advance(5)
    channel.send_error = os_error(errno.EINVAL)
    bench.network.error = os_error(errno.EADDRNOTAVAIL)
    bench.advance(11)
    assert (bench.ups, monitor.snapshot().down_results) == ([True], 0)
    bench.network.error = None
    bench.advance(11)
    assert bench.network.open[0].sent


def test_no_route_to_the_server_is_down() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    bench.network.error = os_error(errno.ENETUNREACH)
    bench.advance(11)
    assert bench.ups == [False]


def test_what_a_server_sends_is_ignored() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    channel = sent_to(bench)
    channel.receive(b"hello")
    bench.advance(1.1)
    assert bench.ups == [True]


EXPECTING = dataclasses.replace(
    SETTINGS, payload=b"ping", expect=Pattern("^pong"), timeout_s=3, source_address=SOURCE
)


def test_a_payload_is_sent_if_there_is_one() -> None:
    bench = MonitorBench()
    bench.start(dataclasses.replace(SETTINGS, payload=b"hello", source_address=SOURCE))
    channel = sent_to(bench)
    assert (channel.sent, channel.source) == ([b"hello"], SOURCE)
    channel.fail(errno.ECONNREFUSED)
    assert bench.reports[0].reason.startswith("a datagram of 5 bytes to 192.0.2.7:443: connection")


def test_the_expected_answer_is_up() -> None:
    bench = MonitorBench()
    monitor = bench.start(EXPECTING)
    channel = sent_to(bench)
    channel.receive(b"noise")
    assert bench.reports == []
    channel.receive(b"pong 1")
    assert bench.ups == [True]
    assert not channel.open
    assert channel.source == SOURCE
    (sample,) = monitor.snapshot().samples
    assert sample.metric == "pybal_monitor_udp_request_duration_seconds"


def test_no_answer_to_several_datagrams_is_down() -> None:
    bench = MonitorBench()
    bench.start(EXPECTING)
    channel = sent_to(bench)
    bench.advance(3)
    assert channel.sent == [b"ping"] * 4
    assert bench.ups == [False]
    assert bench.reports[0].reason.startswith(
        "a datagram of 4 bytes to 192.0.2.7:443: no answer after 3.0"
    )


def test_another_answer_than_the_expected_one_is_down_and_shown() -> None:
    bench = MonitorBench()
    bench.start(EXPECTING)
    sent_to(bench).receive(b"busy\0\n")
    bench.advance(3)
    assert "443: not what is expected but 'busy\\x00\\n' after 3.0" in bench.reports[0].reason


def test_an_icmp_error_instead_of_the_expected_answer_is_down_at_once() -> None:
    bench = MonitorBench()
    bench.start(EXPECTING)
    sent_to(bench).fail(errno.ECONNREFUSED)
    assert bench.ups == [False]
    assert "connection refused after 0.000 s" in bench.reports[0].reason
