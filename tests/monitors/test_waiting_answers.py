"""Answers that come in time and that we read late, as in a storm: our slowness is not the
server's."""

from __future__ import annotations

import errno

import pytest

from pybal.config.settings import MonitorSettings
from pybal.errors import HTTPFetchError
from pybal.http.port import HTTPResponse
from pybal.linear_regex import Pattern
from pybal.monitors.dnsquery import DNSQuerySettings
from pybal.monitors.ping import PingSettings
from pybal.monitors.proxyfetch import ProxyFetchSettings
from pybal.monitors.tcpcheck import TCPCheckSettings
from pybal.monitors.udp import UDPSettings
from tests.fakes.environment import MonitorBench
from tests.fakes.network import FakeChannel

DNS = DNSQuerySettings(hostnames=("en.example",), timeout_s=5)
ASKING: tuple[MonitorSettings, ...] = (
    DNS,
    PingSettings(timeout_s=5),
    TCPCheckSettings(send=b"ping\n", expect=Pattern("pong"), timeout_s=5),
    UDPSettings(payload=b"ping", expect=Pattern("pong"), timeout_s=5),
)


def name(settings: MonitorSettings) -> str:
    return type(settings).__name__


def answer(channel: FakeChannel, settings: MonitorSettings) -> None:
    if channel.is_tcp and not channel.connected:
        channel.connect()
    query = channel.sent[0]
    if isinstance(settings, DNSQuerySettings):
        channel.receive(query[:2] + b"\x81\x80" + query[4:])
    else:
        channel.receive(query if isinstance(settings, PingSettings) else b"pong")


@pytest.mark.parametrize("settings", ASKING, ids=name)
def test_an_answer_that_lies_there_at_the_timeout_counts(settings: MonitorSettings) -> None:
    bench = MonitorBench()
    bench.start(settings)
    bench.advance(1)
    (channel,) = bench.network.open
    channel.unseen = lambda: answer(channel, settings)
    channel.waited_in_all = 3.0
    bench.advance(4.2)
    (result,) = bench.reports
    assert result.up
    assert round(result.duration_s) == 2, "what it waited for us is no time of the server's"
    assert not channel.open


@pytest.mark.parametrize("settings", ASKING, ids=name)
def test_a_server_has_all_its_time_whatever_we_had_it_wait_before(
    settings: MonitorSettings,
) -> None:
    bench = MonitorBench()
    bench.start(settings)
    bench.advance(1)
    (channel,) = bench.network.open
    channel.waited_in_all = 2.0
    bench.advance(5)
    assert not bench.reports
    bench.advance(1.2)
    assert bench.ups == [False]


def test_a_name_server_that_cuts_its_answer_short_is_asked_over_tcp_in_what_time_is_left() -> None:
    bench = MonitorBench()
    bench.start(DNS)
    bench.advance(1)
    (udp,) = bench.network.open
    udp.waited_in_all = 2.0
    udp.receive(udp.sent[0][:2] + b"\x83\x80" + udp.sent[0][4:])
    bench.advance(5)
    (tcp,) = bench.network.open
    tcp.connect()
    query = tcp.sent[0][2:]
    tcp.receive(len(query).to_bytes(2, "big") + query[:2] + b"\x81\x80" + query[4:])
    assert bench.ups == [True]


def test_a_refusal_that_is_told_late_is_no_silence() -> None:
    bench = MonitorBench()
    bench.start(TCPCheckSettings(timeout_s=5))
    bench.advance(4)
    (channel,) = bench.network.open
    channel.waited_in_all = 3.9
    channel.end(errno.ECONNREFUSED)
    (result,) = bench.reports
    assert result.duration_s < 0.2


def test_an_icmp_error_that_is_told_late_is_no_silence() -> None:
    bench = MonitorBench()
    bench.start(UDPSettings(timeout_s=5))
    bench.advance(4)
    (channel,) = bench.network.open
    channel.waited = 3.9
    channel.fail(errno.ECONNREFUSED)
    (result,) = bench.reports
    assert result.duration_s < 0.2


def test_an_icmp_error_that_lies_there_as_silence_would_count_is_no_silence() -> None:
    bench = MonitorBench()
    bench.start(UDPSettings(timeout_s=5))
    bench.advance(1)
    (channel,) = bench.network.open
    channel.unseen = lambda: channel.fail(errno.ECONNREFUSED)
    bench.advance(5)
    assert bench.ups == [False]


def test_the_time_of_a_fetch_is_the_servers() -> None:
    for fails in (False, True):
        bench = MonitorBench()
        bench.start(ProxyFetchSettings(urls=("http://en.example/",)))
        bench.advance(4)
        (exchange,) = bench.http.under_way
        if fails:
            exchange.result.errback(HTTPFetchError("it", "refused", waited_s=3.9))
        else:
            exchange.answer_exactly(HTTPResponse(200, {}, b"", waited_s=3.9))
        (result,) = bench.reports
        assert result.up is not fails
        assert result.duration_s < 0.2
