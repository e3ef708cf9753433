"""What repeats is summed up, what never ends is bounded, what matters once is written."""

from __future__ import annotations

import pytest

from pybal.runtime.log_limit import (
    MAX_KINDS,
    NEW_BURST_BYTES,
    REPEATS,
    WINDOW_S,
    LogLimit,
    Summary,
)


def test_a_line_that_repeats_is_written_some_times_then_summed_up() -> None:
    limit = LogLimit()
    taken = [limit.takes("svc", f"h1: refused after 0.{n} s", n / 10) for n in range(309)]
    assert taken == [True] * REPEATS + [False] * (309 - REPEATS)
    assert list(limit.due(WINDOW_S - 1)) == []
    (said,) = limit.due(WINDOW_S)
    assert said == Summary("svc", "h1: refused after 0.308 s", 299, WINDOW_S)
    assert str(said) == "… 299 more in 60 s: h1: refused after 0.308 s"
    assert list(limit.due(WINDOW_S)) == []


def test_after_its_window_it_is_written_again() -> None:
    limit = LogLimit()
    for _ in range(10):
        limit.takes("svc", "again", 0)
    list(limit.due(WINDOW_S))
    assert limit.takes("svc", "again", WINDOW_S)


def test_names_and_addresses_are_told_apart_numbers_are_not() -> None:
    limit = LogLimit()
    hosts = ["cp1", "cp2", "10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2", "h-3"]
    assert all(limit.takes("svc", f"server {host} is down", 0) for host in hosts * REPEATS)
    assert not limit.takes("svc", "server cp1 is down", 0)
    assert all(limit.takes("svc", f"kept {n} of 44", 0) for n in range(REPEATS))
    assert not limit.takes("svc", "kept 7 of 8", 0)


def test_systems_do_not_share_a_window() -> None:
    limit = LogLimit()
    assert all(limit.takes(f"svc{n}", "down", 0) for n in range(50) for _ in range(REPEATS))


def test_a_start_with_thousands_of_different_lines_is_written_whole() -> None:
    limit = LogLimit()
    assert all(
        limit.takes(f"svc{service}", f"New enabled server cp{n}.example.org, weight 10", 0)
        for service in range(44)
        for n in range(240)
    )


def test_a_system_that_says_ever_new_things_is_bounded() -> None:
    limit = LogLimit()
    written = sum(100 for n in range(60_000) if limit.takes("bgp", f"x{n}y".ljust(81), n / 6_000))
    assert NEW_BURST_BYTES * 0.9 < written < NEW_BURST_BYTES + 10 * 20 * 1024
    assert sum(each.count for each in limit.due(100)) > 10_000


@pytest.mark.slow
def test_five_hundred_flapping_servers_write_less_than_twenty_kib_a_second() -> None:
    limit = LogLimit()
    written = 0
    for second in range(300):
        for n in range(500):
            for text in (
                f"Server cp{n}.example.org (enabled/up/not pooled) is up",
                f"Monitoring instance ProxyFetch reports server cp{n}.example.org down: refused",
            ):
                if limit.takes("text_443", text, second):
                    written += len(text) + 24
        written += sum(len(str(each)) + 24 for each in limit.due(second))
    assert written / 300 < 20 * 1024


def test_what_is_vital_is_written_however_much_else_is() -> None:
    limit = LogLimit()
    for n in range(10_000):
        limit.takes("svc", f"x{n}".ljust(100), 0)
    assert not limit.takes("svc", "something new".ljust(100), 0)
    assert limit.takes("svc", "This director is cut off".ljust(100), 0, vital=True)


def test_memory_is_bounded() -> None:
    limit = LogLimit()
    for n in range(MAX_KINDS * 2):
        limit.takes("svc", f"x{n}", 0)
    assert len(limit._windows) <= MAX_KINDS
