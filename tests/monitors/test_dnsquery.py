"""DNSQuery: whom it asks, and which answers it takes."""

from __future__ import annotations

import dataclasses
import errno

import pytest
from twisted.names import dns

from pybal.monitors.dnsquery import DNSQuerySettings
from tests.fakes.environment import MonitorBench
from tests.fakes.network import FakeChannel

SETTINGS = DNSQuerySettings(hostnames=("en.example",), timeout_s=3)


def asked(bench: MonitorBench) -> FakeChannel:
    """The socket of the query under way, waited for if need be."""
    for _ in range(110):
        if bench.network.open:
            return bench.network.open[-1]
        bench.clock.advance(0.1)
    raise AssertionError("nothing was asked")


def reply(query: bytes, rcode: int = 0, *, truncated: bool = False, records: int = 0) -> bytes:
    """A name server's answer to a query."""
    message = dns.Message()
    message.fromStr(query)
    message.answer, message.rCode, message.trunc = 1, rcode, int(truncated)
    for _ in range(records):
        message.answers.append(dns.RRHeader(message.queries[0].name.name))
    return bytes(message.toStr())


def question(channel: FakeChannel) -> tuple[str, int]:
    """The name and type in a query."""
    message = dns.Message()
    message.fromStr(channel.sent[0])
    return message.queries[0].name.name.decode(), message.queries[0].type


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_it_asks_the_server_itself_at_the_services_port(address: str) -> None:
    bench = MonitorBench(address)
    bench.start(SETTINGS)
    channel = asked(bench)
    assert not channel.is_tcp
    assert (channel.address, channel.port) == (bench.target.address, 443)
    assert question(channel)[0] == "en.example"


@pytest.mark.parametrize(
    ("rcode", "fail_on_nxdomain", "up"),
    [
        (dns.OK, False, True),
        (dns.ENAME, False, True),
        (dns.ENAME, True, False),
        (dns.OK, True, True),
        (dns.ESERVER, False, False),
        (dns.EREFUSED, False, False),
        (dns.EFORMAT, False, False),
        (dns.ENOTIMP, False, False),
    ],
)
def test_the_response_code_decides(rcode: int, fail_on_nxdomain: bool, up: bool) -> None:
    bench = MonitorBench()
    bench.start(dataclasses.replace(SETTINGS, fail_on_nxdomain=fail_on_nxdomain))
    channel = asked(bench)
    channel.receive(reply(channel.sent[0], rcode))
    assert bench.ups == [up]
    assert not channel.open


def test_a_reason_says_what_was_asked_of_whom_what_came_and_when() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    channel = asked(bench)
    kind = {dns.A: "A", dns.AAAA: "AAAA"}[question(channel)[1]]
    bench.clock.advance(0.25)
    channel.receive(reply(channel.sent[0], dns.ESERVER))
    assert bench.reports[0].reason == (
        f"query {kind} en.example of 192.0.2.7:443: SERVFAIL after 0.250 s"
    )


def test_no_answer_is_down_after_the_timeout() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    channel = asked(bench)
    bench.advance(2.9)
    assert bench.reports == []
    bench.advance(0.2)
    assert bench.ups == [False]
    assert "no answer after 3.0" in bench.reports[0].reason
    assert not channel.open


def test_the_question_is_repeated_within_the_timeout_as_it_was() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    channel = asked(bench)
    began_s, after_s = bench.clock.seconds(), []
    for _ in range(28):
        before = len(channel.sent)
        bench.advance(0.1)
        after_s += [bench.clock.seconds() - began_s] * (len(channel.sent) - before)
    assert after_s == pytest.approx([0.4, 1.1, 2.25], abs=0.15)
    assert len(set(channel.sent)) == 1
    channel.receive(reply(channel.sent[0]))
    assert bench.ups == [True]


def test_a_refused_datagram_is_down_at_once() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    asked(bench).fail(errno.ECONNREFUSED)
    assert bench.ups == [False]
    assert "192.0.2.7:443: connection refused after 0.000 s" in bench.reports[0].reason


def test_a_refusal_that_comes_out_of_sending_is_down_too() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    asked(bench).send_error = OSError(errno.EHOSTUNREACH, "")
    bench.advance(1.1)
    assert bench.ups == [False]
    assert "no route to host" in bench.reports[0].reason


def test_what_answers_another_question_is_passed_over() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    channel = asked(bench)
    query = channel.sent[0]
    forged = bytes([query[0] ^ 1]) + query[1:]
    for data in (reply(forged, dns.ESERVER), b"junk", b"", query):
        channel.receive(data)
    assert bench.reports == []
    channel.receive(reply(query))
    assert bench.ups == [True]


def test_names_and_types_are_picked_at_random() -> None:
    bench = MonitorBench()
    bench.start(dataclasses.replace(SETTINGS, hostnames=("a.example", "b.example")))
    questions, identifiers = set(), set()
    for _ in range(30):
        channel = asked(bench)
        questions.add(question(channel))
        identifiers.add(channel.sent[0][:2])
        channel.receive(reply(channel.sent[0]))
    assert questions == {(n, t) for n in ("a.example", "b.example") for t in (dns.A, dns.AAAA)}
    assert len(identifiers) > 25


def over_tcp(bench: MonitorBench) -> FakeChannel:
    """The TCP connection of a query whose UDP answer was truncated, with the query sent."""
    udp = asked(bench)
    udp.receive(reply(udp.sent[0], truncated=True))
    assert not udp.open
    tcp = asked(bench)
    assert tcp.is_tcp and bench.reports == []
    tcp.connect()
    assert tcp.sent == [len(udp.sent[0]).to_bytes(2, "big") + udp.sent[0]]
    return tcp


def test_a_truncated_answer_is_asked_for_again_over_tcp() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    tcp = over_tcp(bench)
    answer = reply(tcp.sent[0][2:], records=2)
    for byte in len(answer).to_bytes(2, "big") + answer:
        assert bench.reports == []
        tcp.receive(bytes([byte]))
    assert bench.ups == [True]
    assert ": NOERROR, 2 records over TCP after" in bench.reports[0].reason
    assert not tcp.open


@pytest.mark.parametrize(
    ("code", "why"),
    [(None, "closed without an answer"), (errno.ECONNRESET, "connection reset by peer")],
)
def test_tcp_that_ends_without_an_answer_is_down(code: int | None, why: str) -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    over_tcp(bench).end(code)
    assert bench.ups == [False]
    assert f"one cut short over UDP, and over TCP: {why}" in bench.reports[0].reason


def test_nonsense_over_tcp_is_down() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    tcp = over_tcp(bench)
    tcp.receive(b"\x00\x00")
    assert bench.ups == [False]
    assert "over TCP: what came is no answer" in bench.reports[0].reason
    assert not tcp.open


def test_the_timeout_holds_for_udp_and_tcp_together() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    asked(bench)
    bench.advance(2)
    tcp = over_tcp(bench)
    bench.advance(1.1)
    assert bench.ups == [False]
    assert not tcp.open


def test_a_name_that_no_query_can_hold_is_our_fault_not_the_servers() -> None:
    bench = MonitorBench()
    monitor = bench.start(dataclasses.replace(SETTINGS, hostnames=("a..b",)))
    bench.advance(11)
    assert bench.reports == []
    assert [s.metric for s in monitor.snapshot().samples] == ["pybal_monitor_internal_errors_total"]


def test_durations_are_kept_by_result() -> None:
    bench = MonitorBench()
    monitor = bench.start(SETTINGS)
    for rcode, duration_s in ((dns.OK, 0.5), (dns.ESERVER, 1.0), (dns.OK, 0.25)):
        channel = asked(bench)
        bench.clock.advance(duration_s)
        channel.receive(reply(channel.sent[0], rcode))
    name = "pybal_monitor_dnsquery_request_duration_seconds"
    samples = [(s.metric, s.labels, round(s.value, 6)) for s in monitor.snapshot().samples]
    assert samples == [
        (name, (("result", "successful"),), 0.25),
        (name, (("result", "failed"),), 1.0),
    ]
