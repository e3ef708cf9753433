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
    SUM_EVERY_S,
    WINDOW_S,
    LogLimit,
    Summary,
)
from pybal.runtime.pieces import PIECE, in_one_go


def test_a_line_that_repeats_is_written_some_times_then_summed_up() -> None:
    limit = LogLimit(0.0)
    taken = [limit.takes("svc", f"h1: refused after 0.{n} s", n / 10) for n in range(309)]
    assert taken == [True] * REPEATS + [False] * (309 - REPEATS)
    assert in_one_go(limit.due(WINDOW_S - 1)) == []
    (said,) = in_one_go(limit.due(WINDOW_S))
    assert said == Summary("svc", "h1: refused after 0.308 s", 299, WINDOW_S)
    assert str(said) == "… 299 more in 60 s: h1: refused after 0.308 s"
    assert in_one_go(limit.due(WINDOW_S)) == []


def test_after_its_window_it_is_written_again() -> None:
    limit = LogLimit(0.0)
    for _ in range(10):
        limit.takes("svc", "again", 0)
    in_one_go(limit.due(WINDOW_S))
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
    written = sum(200 for n in range(2_000) if limit.takes("bgp", f"x{n}y".ljust(181), n / 200))
    assert NEW_BURST_BYTES * 0.9 < written < NEW_BURST_BYTES + 10 * 6 * 1024
    assert sum(each.count for each in in_one_go(limit.due(100))) == 2_000 - written // 200


def test_many_systems_that_say_ever_new_things_are_bounded_together() -> None:
    limit = LogLimit(-START_S)
    written = sum(
        200 for n in range(2_000) if limit.takes(f"svc{n % 500}", f"x{n}y".ljust(179), n / 200)
    )
    assert written < ALL_NEW_BURST_BYTES + 10 * ALL_NEW_BYTES_PER_S + 1000


def test_what_a_noisy_system_may_not_write_takes_nothing_from_the_others() -> None:
    limit = LogLimit(-START_S)
    for n in range(200):
        limit.takes("bgp", f"x{n}".ljust(1000), 0)
    assert limit.takes("svc", "something new", 0)


def test_a_start_is_bounded_too() -> None:
    limit = LogLimit(0.0)
    written = sum(1000 for n in range(1_200) if limit.takes("svc", f"x{n}y".ljust(981), 1))
    assert START_BYTES * 0.99 < written <= START_BYTES


@pytest.mark.slow
def test_five_hundred_flapping_servers_write_less_than_twenty_kib_a_second() -> None:
    """Of a pool, its monitors, the history and a dry run's commands, from the first second on."""
    limit = LogLimit(0.0)
    written = 0
    at_s = [0]
    for second in range(140):
        # Not all of them begin, and so their summaries come, at once.
        for n in range(min(500, 50 * second)):
            for system, text in (
                ("text_443", f"Server cp{n}.example.org (enabled/up/not pooled) is up"),
                ("text_443", f"Monitoring instance ProxyFetch reports cp{n}.example.org down: no"),
                ("text_443 ProxyFetch", f"cp{n}.example.org (enabled/down/not pooled): up again"),
                ("history", f"Incident {second}{n:03}: cp{n}.example.org failed in 2 services"),
                ("ipvs", f"Dry run: ipvsadm -d -t 10.0.0.1:443 -r 10.1.{n % 5}.{n // 5}:443"),
            ):
                if limit.takes(system, text, second):
                    written += len(system) + len(text) + 12
        if second % SUM_EVERY_S == 0:
            due = in_one_go(limit.due(second))
            written += sum(len(str(each)) + len(each.system) + 12 for each in due)
        at_s.append(written)
    assert at_s[60] / 60 < 20 * 1024
    assert max(at_s[n + 10] - at_s[n] for n in range(30, 130)) / 10 < 20 * 1024


def test_what_is_vital_is_written_however_much_else_is() -> None:
    limit = LogLimit(0.0)
    for n in range(1_200):
        limit.takes("svc", f"x{n}".ljust(1000), 0)
    assert not limit.takes("svc", "something new".ljust(1000), 0)
    assert limit.takes("svc", "This director is cut off".ljust(1000), 0, vital=True)


def test_memory_is_bounded() -> None:
    limit = LogLimit(0.0)
    for n in range(MAX_KINDS + 1_000):
        limit.takes("svc", f"x{n}", 0)
    assert len(limit._windows) <= MAX_KINDS


def lines_of_a_kib(limit: LogLimit, systems: int, at_s: float, *, kind: str) -> int:
    """How many of very many lines of 1024 bytes are written then."""
    written = 0
    for number in range(200 * systems):
        system, text = f"s{number % systems:03}", f"{kind}{number // systems:04}x"
        written += limit.takes(system, text.ljust(1024 - 16 - len(system)), at_s)
    return written


def test_a_start_has_a_mebibyte() -> None:
    assert lines_of_a_kib(LogLimit(0.0), 10, 9.9, kind="a") == 1024


def test_then_a_system_has_32_kib_at_once_and_5_a_second() -> None:
    limit = LogLimit(0.0)
    assert lines_of_a_kib(limit, 1, 10.0, kind="a") == 32
    assert lines_of_a_kib(limit, 1, 11.0, kind="b") == 5


def test_then_all_of_them_have_64_kib_at_once_and_8_a_second() -> None:
    limit = LogLimit(0.0)
    assert lines_of_a_kib(limit, 10, 10.0, kind="a") == 64
    assert lines_of_a_kib(limit, 10, 11.0, kind="b") == 8


def test_what_repeats_has_16_kib_at_once_and_3_a_second() -> None:
    limit = LogLimit(0.0)
    text = "again".ljust(1024 - 16 - 4)
    for number in range(100):
        limit.takes(f"s{number:03}", text, 0.0)
    assert sum(limit.takes(f"s{number:03}", text, 0.0) for number in range(100)) == 16
    assert sum(limit.takes(f"s{number:03}", text, 1.0) for number in range(100)) == 3


def test_what_one_system_has_used_up_another_does_not_give_back() -> None:
    limit = LogLimit(0.0)
    assert lines_of_a_kib(limit, 1, 10.0, kind="a") == 32
    assert limit.takes("other", "a", 10.0)
    assert lines_of_a_kib(limit, 1, 10.0, kind="b") == 0


def test_a_window_that_is_over_begins_anew_unless_something_is_to_be_said_of_it() -> None:
    limit = LogLimit(0.0)
    for at_s in (0.0, 59.9, 60.0):
        assert all(limit.takes("svc", "again", at_s) for _ in range(REPEATS // 2))
    assert all(limit.takes("svc", "again", 119.9) for _ in range(REPEATS // 2))
    assert not limit.takes("svc", "again", 119.9), "it began at 60"
    assert not limit.takes("svc", "again", 121.0)
    assert [each.count for each in in_one_go(limit.due(121.0))] == [2]
    assert limit.takes("svc", "again", 121.0)


@pytest.mark.parametrize(("kinds", "counts"), [(10, [1] * 10), (11, [6, 5])])
def test_of_many_kinds_those_that_begin_alike_are_summed_up_together(
    kinds: int, counts: list[int]
) -> None:
    limit = LogLimit(0.0)
    for n in range(kinds):
        text = f"Server {'ab'[n % 2]} kind{n} x"
        assert [limit.takes("svc", text, 0.0) for _ in range(REPEATS + 1)][-1] is False
    assert [each.count for each in in_one_go(limit.due(WINDOW_S))] == counts


def test_of_too_many_kinds_the_oldest_are_forgotten_and_their_lines_told() -> None:
    limit = LogLimit(0.0)
    for text in ("first", "second", "third"):
        assert not [limit.takes("svc", text, 0.0, vital=True) for _ in range(REPEATS + 1)][-1]
    for n in range(MAX_KINDS - 1):
        limit.takes("svc", f"x{n}y", 1.0, vital=True)
    assert in_one_go(limit.due(1.0)) == []
    assert in_one_go(limit.due(WINDOW_S)) == [
        Summary("svc", "third", 1, WINDOW_S),
        Summary("svc", "second", 2, WINDOW_S),
    ]
    limit.takes("svc", "other", WINDOW_S, vital=True)
    assert in_one_go(limit.due(2 * WINDOW_S)) == [], "each is said once"


def test_what_a_storm_left_is_summed_up_in_pieces_and_each_line_is_told_once() -> None:
    limit = LogLimit(0.0)
    kinds = 5 * PIECE
    for n in range(kinds):
        for _ in range(REPEATS + 1):
            limit.takes("svc", f"it was h{n}x that went", 0.0, vital=True)
    pieces = limit.due(WINDOW_S)
    for done in range(1, 5):
        next(pieces)
        assert len(limit._windows) == kinds - done * PIECE
    assert limit.takes("svc", "it was h0x that went", WINDOW_S, vital=True), "it begins anew"
    (said,) = in_one_go(pieces)
    assert said.count == kinds
    assert len(limit._windows) == 1
