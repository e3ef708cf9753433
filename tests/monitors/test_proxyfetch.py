"""ProxyFetch: what it asks for, and which answers it takes."""

from __future__ import annotations

import dataclasses
import errno
from ipaddress import ip_address
from pathlib import Path

import pytest
from twisted.logger import capturedLogs

from pybal.http.port import HTTPRequest
from pybal.linear_regex import Pattern
from pybal.monitors.proxyfetch import ProxyFetchSettings
from tests.fakes.environment import EPOCH, MonitorBench
from tests.fakes.http import FakeExchange
from tests.fakes.log import format_line

URL = "https://en.example:8443/wiki?x=1"
URLS = tuple(f"https://example/{n}" for n in range(5))
SETTINGS = ProxyFetchSettings(urls=(URL,))
ALL = ProxyFetchSettings(urls=URLS, check_all=True, max_failures=2)


def fetches(bench: MonitorBench) -> list[FakeExchange]:
    """The requests under way, waited for if need be."""
    for _ in range(110):
        if bench.http.under_way:
            return bench.http.under_way
        bench.clock.advance(0.1)
    raise AssertionError("nothing was fetched")


def test_it_asks_the_servers_address_and_the_services_port_for_the_url() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    (exchange,) = fetches(bench)
    assert exchange.request == HTTPRequest(
        url=URL,
        timeout_s=5.0,
        max_bytes=1 << 20,
        headers={"User-Agent": "Twisted PageGetter"},
        connect_to=(bench.target.address, 443),
        tls_verify=False,
        truncate=True,
        lenient=True,
    )


def test_options_reach_the_request() -> None:
    bench = MonitorBench()
    settings = dataclasses.replace(
        SETTINGS,
        timeout_s=2.5,
        user_agent="Probe/1",
        headers=(("X-Probe", "yes"),),
        method="HEAD",
        tls_verify=True,
        ca_file=Path("/etc/ca.pem"),
        server_name="internal.example",
        source_address=ip_address("192.0.2.99"),
        read_bytes=4096,
    )
    bench.start(settings)
    (exchange,) = fetches(bench)
    assert exchange.request == HTTPRequest(
        url=URL,
        timeout_s=2.5,
        max_bytes=4096,
        headers={"User-Agent": "Probe/1", "X-Probe": "yes"},
        connect_to=(bench.target.address, 443),
        tls_verify=True,
        ca_file="/etc/ca.pem",
        truncate=True,
        lenient=True,
        method="HEAD",
        source=ip_address("192.0.2.99"),
        server_name="internal.example",
    )


@pytest.mark.parametrize(
    ("expected", "status", "up"),
    [
        (200, 200, True),
        (200, 204, False),
        (200, 301, False),
        (200, 404, False),
        (200, 503, False),
        (301, 301, True),
        (302, 302, True),
        (303, 303, True),
        (301, 302, False),
        (301, 200, False),
        (404, 404, True),
    ],
)
def test_the_expected_status_alone_is_up(expected: int, status: int, up: bool) -> None:
    bench = MonitorBench()
    bench.start(dataclasses.replace(SETTINGS, http_status=(range(expected, expected + 1),)))
    fetches(bench)[0].answer(status, {"location": "https://elsewhere.example/"})
    assert bench.ups == [up]


def test_a_reason_names_the_url_the_server_what_came_and_the_time_it_took() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    (exchange,) = fetches(bench)
    bench.clock.advance(0.5)
    exchange.answer(302, {"location": "/login"})
    assert bench.reports[0].reason == (
        f"Fetch failed ({URL}), 0.500 s: 192.0.2.7:443 answered 302 to /login instead of 200"
    )


def test_a_failed_exchange_is_down_and_says_why_once() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    (exchange,) = fetches(bench)
    bench.clock.advance(5.0)
    exchange.fail("192.0.2.7:443: timed out in the TLS handshake")
    assert bench.reports[0].reason == (
        f"Fetch failed ({URL}), 5.000 s: 192.0.2.7:443: timed out in the TLS handshake"
    )


def test_one_url_of_several_is_picked_at_random() -> None:
    bench = MonitorBench()
    bench.start(dataclasses.replace(ALL, check_all=False))
    for _ in range(40):
        (exchange,) = fetches(bench)
        exchange.answer(200)
    assert {exchange.request.url for exchange in bench.http.exchanges} == set(URLS)


@pytest.mark.parametrize(("failing", "up"), [(0, True), (2, True), (3, False), (5, False)])
def test_all_are_checked_at_once_and_some_failures_tolerated(failing: int, up: bool) -> None:
    bench = MonitorBench()
    bench.start(ALL)
    exchanges = fetches(bench)
    assert [exchange.request.url for exchange in exchanges] == list(URLS)
    for number, exchange in enumerate(exchanges):
        assert bench.reports == []
        if number < failing:
            exchange.fail("192.0.2.7:443: reset")
        else:
            exchange.answer(200)
    assert bench.ups == [up]
    if failing:
        start = f"{failing} of 5 URLs failed (2 tolerated): Fetch failed (https://example/0), "
        assert bench.reports[0].reason.startswith(start)


def test_stopping_cancels_every_fetch() -> None:
    bench = MonitorBench()
    monitor = bench.start(ALL)
    assert len(fetches(bench)) == 5
    monitor.stop()
    assert bench.http.under_way == []


def test_the_last_duration_is_kept_by_result_and_url() -> None:
    bench = MonitorBench()
    monitor = bench.start(SETTINGS)
    for status, duration_s in ((200, 0.5), (200, 0.25), (500, 1.0)):
        (exchange,) = fetches(bench)
        bench.clock.advance(duration_s)
        exchange.answer(status)
    name = "pybal_monitor_proxyfetch_request_duration_seconds"
    samples = monitor.snapshot().samples
    assert {(s.metric, dict(s.labels)["result"], round(s.value, 6)) for s in samples} == {
        (name, "successful", 0.25),
        (name, "failed", 1.0),
    }
    assert {tuple(key for key, _ in s.labels) for s in samples} == {("result", "url")}


@pytest.mark.parametrize(
    ("status", "up"),
    [(200, True), (201, False), (301, True), (302, True), (399, True), (400, False)],
)
def test_statuses_may_be_several_and_ranges(status: int, up: bool) -> None:
    bench = MonitorBench()
    statuses = (range(200, 201), range(301, 400))
    bench.start(dataclasses.replace(SETTINGS, http_status=statuses))
    fetches(bench)[0].answer(status)
    assert bench.ups == [up]
    assert bench.reports[0].reason.endswith("instead of 200 or 301-399") is not up


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"status": "ok"}', ""),
        (b"x" * 65000 + b'"ok"', ""),
        (b"", "answered 200, but not what is expected: 0 bytes"),
        (b'"no"', "answered 200, but not what is expected: 4 bytes, '\"no\"'"),
        (
            b"x" * 70000 + b'"ok"',
            f"answered 200, but not what is expected: 70004 bytes, '{'x' * 60}'…",
        ),
    ],
)
def test_the_body_must_hold_what_is_expected_near_its_start(body: bytes, why: str) -> None:
    bench = MonitorBench()
    bench.start(dataclasses.replace(SETTINGS, expect=Pattern('"ok"')))
    fetches(bench)[0].answer(200, body=body)
    assert bench.ups == [not why]
    if why:
        assert bench.reports[0].reason == f"Fetch failed ({URL}), 0.000 s: 192.0.2.7:443 {why}"


@pytest.mark.parametrize(
    ("days", "why"),
    [
        (None, ""),
        (14.0, ""),
        (13.9, "has a certificate for 13.9 more days, fewer than 14"),
        (-1.5, "has a certificate that ended 1.5 days ago"),
    ],
)
def test_the_certificate_must_be_good_for_long_enough(days: float | None, why: str) -> None:
    bench = MonitorBench()
    bench.start(dataclasses.replace(SETTINGS, min_certificate_days=14))
    (exchange,) = fetches(bench)
    now = EPOCH + bench.clock.seconds()
    exchange.answer(200, certificate_expires_at=None if days is None else now + days * 86400)
    assert bench.ups == [not why]
    if why:
        assert bench.reports[0].reason.endswith(f": 192.0.2.7:443 {why}")


def test_one_fault_of_our_own_among_several_urls_leaves_no_result() -> None:
    bench = MonitorBench()
    monitor = bench.start(ALL)
    first, *others = fetches(bench)
    first.fail_locally(errno.EMFILE)
    for exchange in others:
        exchange.answer(500)
    assert bench.reports == []
    assert monitor.snapshot().down_results == 0
    assert bench.faults.current() == "too many open files"


def test_a_secret_in_a_url_or_in_a_redirect_is_shown_nowhere() -> None:
    bench = MonitorBench()
    url = "https://en.example/health?site=a&token=hunter2"
    monitor = bench.start(dataclasses.replace(SETTINGS, urls=(url,)))
    (exchange,) = fetches(bench)
    assert exchange.request.url == url
    with capturedLogs() as logged:
        exchange.answer(302, {"location": "/login?session=hunter2"})
    (sample,) = monitor.snapshot().samples
    assert dict(sample.labels)["url"] == "https://en.example/health?site=a&token=***"
    reason = bench.reports[0].reason
    assert "health?site=a&token=***" in reason and "/login?session=***" in reason
    assert "hunter2" not in reason + "".join(map(format_line, logged))
