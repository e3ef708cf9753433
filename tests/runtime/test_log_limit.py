"""What repeats is summed up, what never ends is bounded, what matters once is written."""

from __future__ import annotations

import pytest

from pybal.runtime.log_limit import (
    ALL_NEW_BURST_BYTES,
    ALL_NEW_BYTES_PER_S,
    MAX_KINDS,
    NEW_BURST_BYTES,
    REPEATS,
    START_BYTES,
    START_S,
    WINDOW_S,
    LogLimit,
    Summary,
)


def test_a_line_that_repeats_is_written_some_times_then_summed_up() -> None:
    limit = LogLimit(0.0)
    taken = [limit.takes("svc", f"h1: refused after 0.{n} s", n / 10) for n in range(309)]
    assert taken == [True] * REPEATS + [False] * (309 - REPEATS)
    assert list(limit.due(WINDOW_S - 1)) == []
    (said,) = limit.due(WINDOW_S)
    assert said == Summary("svc", "h1: refused after 0.308 s", 299, WINDOW_S)
    assert str(said) == "… 299 more in 60 s: h1: refused after 0.308 s"
    assert list(limit.due(WINDOW_S)) == []


def test_after_its_window_it_is_written_again() -> None:
    limit = LogLimit(0.0)
    for _ in range(10):
        limit.takes("svc", "again", 0)
    list(limit.due(WINDOW_S))
    assert limit.takes("svc", "again", WINDOW_S)


def test_names_and_addresses_are_told_apart_numbers_are_not() -> None:
    limit = LogLimit(0.0)
    hosts = ["cp1", "cp2", "10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2", "h-3"]
    assert all(limit.takes("svc", f"server {host} is down", 0) for host in hosts * REPEATS)
    assert not limit.takes("svc", "server cp1 is down", 0)
    assert all(limit.takes("svc", f"kept {n} of 44", 0) for n in range(REPEATS))
    assert not limit.takes("svc", "kept 7 of 8", 0)


def test_systems_do_not_share_a_window() -> None:
    limit = LogLimit(0.0)
    assert all(limit.takes(f"svc{n}", "down", 0) for n in range(50) for _ in range(REPEATS))


def test_a_start_with_thousands_of_different_lines_is_written_whole() -> None:
    limit = LogLimit(0.0)
    assert all(
        limit.takes(f"svc{service}", f"New enabled server cp{n}.example.org, weight 10", 0)
        for service in range(44)
        for n in range(240)
    )


def test_a_system_that_says_ever_new_things_is_bounded() -> None:
    limit = LogLimit(-START_S)
    written = sum(100 for n in range(60_000) if limit.takes("bgp", f"x{n}y".ljust(81), n / 6_000))
    assert NEW_BURST_BYTES * 0.9 < written < NEW_BURST_BYTES + 10 * 6 * 1024
    assert sum(each.count for each in limit.due(100)) > 10_000


def test_many_systems_that_say_ever_new_things_are_bounded_together() -> None:
    limit = LogLimit(-START_S)
    written = sum(
        100 for n in range(60_000) if limit.takes(f"svc{n % 500}", f"x{n}y".ljust(79), n / 6_000)
    )
    assert written < ALL_NEW_BURST_BYTES + 10 * ALL_NEW_BYTES_PER_S + 1000


def test_what_a_noisy_system_may_not_write_takes_nothing_from_the_others() -> None:
    limit = LogLimit(-START_S)
    for n in range(10_000):
        limit.takes("bgp", f"x{n}".ljust(100), 0)
    assert limit.takes("svc", "something new", 0)


def test_a_start_is_bounded_too() -> None:
    limit = LogLimit(0.0)
    written = sum(116 for n in range(60_000) if limit.takes("svc", f"x{n}y".ljust(97), 1))
    assert START_BYTES * 0.99 < written <= START_BYTES


@pytest.mark.slow
def test_five_hundred_flapping_servers_write_less_than_twenty_kib_a_second() -> None:
    """Of a pool, its monitors, the history and a dry run's commands, from the first second on."""
    limit = LogLimit(0.0)
    written = 0
    for second in range(60):
        for n in range(500):
            for system, text in (
                ("text_443", f"Server cp{n}.example.org (enabled/up/not pooled) is up"),
                ("text_443", f"Monitoring instance ProxyFetch reports cp{n}.example.org down: no"),
                ("text_443 ProxyFetch", f"cp{n}.example.org (enabled/down/not pooled): up again"),
                ("history", f"Incident {second}{n:03}: cp{n}.example.org failed in 2 services"),
                ("ipvs", f"Dry run: ipvsadm -d -t 10.0.0.1:443 -r 10.1.{n % 5}.{n // 5}:443"),
            ):
                if limit.takes(system, text, second):
                    written += len(system) + len(text) + 12
        written += sum(len(str(each)) + len(each.system) + 12 for each in limit.due(second))
    assert written / 60 < 20 * 1024


def test_what_is_vital_is_written_however_much_else_is() -> None:
    limit = LogLimit(0.0)
    for n in range(20_000):
        limit.takes("svc", f"x{n}".ljust(100), 0)
    assert not limit.takes("svc", "something new".ljust(100), 0)
    assert limit.takes("svc", "This director is cut off".ljust(100), 0, vital=True)


def test_memory_is_bounded() -> None:
    limit = LogLimit(0.0)
    for n in range(MAX_KINDS * 2):
        limit.takes("svc", f"x{n}", 0)
    assert len(limit._windows) <= MAX_KINDS
