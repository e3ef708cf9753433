"""The resolver: one query a name, answers kept and refreshed, failures that take nothing away."""

from __future__ import annotations

import itertools
import time
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pybal.model import IPAddress
from pybal.names.lookups import MAX_SLOW, MAX_UNDER_WAY, SLOW_AFTER_S
from pybal.names.parsing import Addresses
from pybal.names.resolver import (
    MAX_REFRESH_S,
    REMEMBER_AFTER_S,
    Watch,
)
from tests.examples import examples
from tests.names.bench import HOST, Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_watcher_is_told_when_the_lookup_has_ended(bench: Bench) -> None:
    bench.watch()
    assert bench.told == []
    bench.names.answer(HOST, "192.0.2.1")
    assert bench.told == ["192.0.2.1"]


def test_an_address_literal_is_told_at_once_and_never_asked_for(bench: Bench) -> None:
    bench.watch("192.0.2.9", 4)
    bench.watch("2001:db8::9", 6)
    bench.watch("192.0.2.9", 6)
    assert bench.told == ["192.0.2.9", "2001:db8::9", None]
    assert bench.names.asked == []
    assert bench.log.lines == ["[resolver] ERROR: 192.0.2.9 is no IPv6 address"]


def test_all_watchers_of_a_name_share_one_query(bench: Bench) -> None:
    for host in (HOST, "DB1.example", "db1.example."):
        bench.watch(host)
    assert bench.names.asked == [(HOST, 4)]
    bench.names.answer(HOST, "192.0.2.1")
    assert bench.told == ["192.0.2.1"] * 3
    bench.watch()
    assert bench.told == ["192.0.2.1"] * 4
    assert bench.names.asked == [(HOST, 4)]


def test_the_families_are_asked_for_apart(bench: Bench) -> None:
    bench.watch(HOST, 4)
    bench.watch(HOST, 6)
    bench.names.answer(HOST, "2001:db8::1", family=6)
    assert bench.told == ["2001:db8::1"]
    bench.names.fail(HOST)
    assert bench.told == ["2001:db8::1", None]


def test_one_address_is_used_and_kept_while_it_is_among_the_answers(bench: Bench) -> None:
    bench.watch()
    bench.names.answer(HOST, "192.0.2.3", "192.0.2.10", "192.0.2.2")
    bench.until_asked()
    bench.names.answer(HOST, "192.0.2.1", "192.0.2.2")
    bench.until_asked()
    bench.names.answer(HOST, "192.0.2.3", "192.0.2.1")
    assert bench.told == ["192.0.2.2", "192.0.2.1"]
    assert bench.log.lines == [
        "[resolver] INFO: db1.example has the IPv4 address 192.0.2.1, before 192.0.2.2"
    ]


@pytest.mark.parametrize(
    ("ttl_s", "earliest_s", "latest_s"), [(0, 9, 10), (60, 54, 60), (86400, 270, 300)]
)
def test_an_answer_is_refreshed_when_its_time_is_over_within_bounds(
    bench: Bench, ttl_s: float, earliest_s: float, latest_s: float
) -> None:
    bench.watch()
    bench.names.answer(HOST, "192.0.2.1", ttl_s=ttl_s)
    assert earliest_s - 0.2 < bench.until_asked() < latest_s + 0.2


def test_refreshes_of_many_names_are_spread(bench: Bench) -> None:
    for n in range(50):
        bench.watch(f"h{n}")
        bench.names.answer(f"h{n}", "192.0.2.1", ttl_s=100)
    due = sorted(call.getTime() for call in bench.clock.getDelayedCalls())
    assert due[-1] - due[0] > 5


def test_a_watcher_that_comes_while_a_refresh_is_overdue_does_not_begin_a_second_row_of_them(
    bench: Bench,
) -> None:
    bench.names.known[HOST] = Addresses((ip_address("192.0.2.1"),), ttl_s=60)
    bench.watch()
    bench.clock.rightNow += 100  # the reactor was busy: no timer has run
    bench.watch()
    bench.clock.advance(0)
    assert len(bench.clock.getDelayedCalls()) == 1


def test_a_failed_refresh_keeps_the_address_and_is_told_of_once(bench: Bench) -> None:
    bench.watch()
    bench.names.answer(HOST, "192.0.2.1")
    for _ in range(3):
        bench.until_asked()
        bench.names.fail(HOST, "db1.example does not exist")
    bench.until_asked()
    assert bench.told == ["192.0.2.1"]
    assert bench.log.take() == [
        "[resolver] WARN: db1.example cannot be resolved to an IPv4 address: db1.example does not "
        "exist; the last known one, 192.0.2.1, stays in use"
    ]
    bench.names.answer(HOST, "192.0.2.1")
    assert bench.told == ["192.0.2.1"]
    assert bench.log.take() == ["[resolver] INFO: db1.example has the IPv4 address 192.0.2.1 again"]


@pytest.mark.parametrize("odd", ["0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1"])
def test_an_answer_that_is_no_hosts_address_is_none(bench: Bench, odd: str) -> None:
    bench.watch()
    bench.names.answer(HOST, "192.0.2.1")
    bench.until_asked()
    bench.names.answer(HOST, odd)
    assert bench.told == ["192.0.2.1"]
    (line,) = bench.log.take()
    assert f"{odd} is " in line
    assert line.endswith("; the last known one, 192.0.2.1, stays in use")
    bench.until_asked()
    bench.names.answer(HOST, odd, "192.0.2.2")
    assert bench.told == ["192.0.2.1", "192.0.2.2"]


def test_a_first_answer_that_is_no_hosts_address_is_none(bench: Bench) -> None:
    bench.watch(family=6)
    bench.names.answer(HOST, "::", "::ffff:192.0.2.1", family=6)
    assert bench.told == [None]
    assert bench.book.addresses == {}


def test_a_failed_first_lookup_is_told_and_tried_again_until_it_succeeds(bench: Bench) -> None:
    bench.watch()
    for longest_s in (1, 2, 4, 8, 16, 30, 30, 30):
        bench.names.fail(HOST)
        assert 0.85 * longest_s < bench.until_asked() < longest_s + 0.2
    bench.names.answer(HOST, "192.0.2.1")
    assert bench.told == [None, "192.0.2.1"]
    assert len(bench.log.lines) == 2


def test_a_watcher_that_comes_after_a_failure_is_told_so_at_once(bench: Bench) -> None:
    bench.watch()
    bench.names.fail(HOST)
    bench.watch()
    assert bench.told == [None, None]
    bench.advance(1.1)
    bench.names.answer(HOST, "192.0.2.1")
    assert bench.told == [None, None, "192.0.2.1", "192.0.2.1"]


def test_a_lookup_without_an_answer_ends_after_five_seconds(bench: Bench) -> None:
    bench.watch()
    bench.advance(4.9)
    assert bench.told == []
    bench.advance(0.2)
    assert bench.told == [None]
    assert "no answer within 5 s" in bench.log.lines[0]
    assert bench.names.waiting == {}


def test_nothing_is_told_after_stop(bench: Bench) -> None:
    watch = bench.watch()
    watch.stop()
    watch.stop()
    bench.names.answer(HOST, "192.0.2.1")
    assert bench.told == []
    assert bench.clock.getDelayedCalls() == []


def test_a_name_that_nobody_watches_is_not_refreshed_but_remembered(bench: Bench) -> None:
    watch = bench.watch()
    bench.names.answer(HOST, "192.0.2.1")
    watch.stop()
    assert bench.clock.getDelayedCalls() == []
    bench.advance(10)
    bench.watch()
    assert bench.told == ["192.0.2.1"] * 2
    assert 43 < bench.until_asked() < 51


def test_a_stale_memory_is_used_only_if_the_name_cannot_be_resolved(bench: Bench) -> None:
    bench.watch().stop()
    bench.names.answer(HOST, "192.0.2.1")
    bench.advance(61)
    bench.watch()
    assert bench.told == []
    bench.names.fail(HOST)
    assert bench.told == ["192.0.2.1"]


def test_a_watcher_may_stop_itself_or_another_from_within_its_callback(bench: Bench) -> None:
    told: list[str] = []
    watches: list[Watch] = []

    def stop_all(name: str) -> None:
        told.append(name)
        for watch in watches:
            watch.stop()

    watches.append(bench.resolver.watch(HOST, 4, lambda _: stop_all("first")))
    watches.append(bench.resolver.watch(HOST, 4, lambda _: stop_all("second")))
    bench.names.answer(HOST, "192.0.2.1")
    assert told == ["first"]
    assert bench.clock.getDelayedCalls() == []


def test_a_fault_in_one_watcher_does_not_reach_the_others(bench: Bench) -> None:
    def fault(_: IPAddress | None) -> None:
        raise RuntimeError("a bug")

    bench.resolver.watch(HOST, 4, fault)
    bench.watch()
    bench.names.answer(HOST, "192.0.2.1")
    assert bench.told == ["192.0.2.1"]
    assert "RuntimeError: a bug" in bench.log.lines[0]


def test_lookups_under_way_are_bounded_and_all_come_to_their_turn(bench: Bench) -> None:
    for n in range(3 * MAX_UNDER_WAY):
        bench.watch(f"h{n}")
    assert len(bench.names.waiting) == MAX_UNDER_WAY
    while bench.names.waiting:
        (host, _), *_ = bench.names.waiting
        bench.names.answer(host, "192.0.2.1", ttl_s=300)
        assert len(bench.names.waiting) <= MAX_UNDER_WAY
    assert len(bench.told) == 3 * MAX_UNDER_WAY


@pytest.mark.slow
def test_names_that_nobody_answers_for_delay_no_others_but_once_and_little(bench: Bench) -> None:
    for n in range(3 * MAX_UNDER_WAY):
        bench.watch(f"dead{n}")
    bench.watch()
    bench.advance(3 * SLOW_AFTER_S + 0.2)
    bench.names.answer(HOST, "192.0.2.1", ttl_s=20)
    assert bench.told == ["192.0.2.1"]
    for _ in range(20):
        while (HOST, 4) not in bench.names.waiting:
            bench.clock.advance(0.1)
        bench.names.answer(HOST, "192.0.2.1", ttl_s=20)
        bench.watch(f"new{bench.clock.seconds()}")
        assert (f"new{bench.clock.seconds()}", 4) in bench.names.waiting
    assert len(bench.names.waiting) <= MAX_UNDER_WAY + MAX_SLOW


@pytest.mark.slow
def test_more_dead_names_than_may_be_asked_for_at_once_take_turns(bench: Bench) -> None:
    dead = {f"dead{n}" for n in range(3 * MAX_SLOW)}
    for host in dead:
        bench.watch(host)
    bench.watch()
    most = 0
    began_s = bench.clock.seconds()
    while (HOST, 4) not in bench.names.waiting:
        bench.clock.advance(0.1)
        most = max(most, len(bench.names.waiting))
    assert bench.clock.seconds() - began_s < (SLOW_AFTER_S + 0.1) * (len(dead) / MAX_UNDER_WAY + 1)
    assert most <= MAX_UNDER_WAY + MAX_SLOW
    bench.names.answer(HOST, "192.0.2.1")
    for _ in range(300):
        bench.clock.advance(0.1)
    assert bench.told.count(None) == len(dead)
    revived = next(iter(bench.names.waiting))
    bench.names.answer(revived[0], "192.0.2.2")
    assert bench.told[-1] == "192.0.2.2"


@pytest.mark.slow
def test_thousands_of_names_that_are_known_at_once_wait_without_recursion(bench: Bench) -> None:
    for n in range(MAX_UNDER_WAY):
        bench.watch(f"slow{n}")
    bench.names.known = {f"fast{n}": Addresses((ip_address("192.0.2.1"),), 60) for n in range(3000)}
    for host in bench.names.known:
        bench.watch(host)
    assert bench.told == []
    bench.names.answer("slow0", "192.0.2.1")
    assert len(bench.told) == 3001


def test_a_client_that_raises_is_a_failed_lookup(bench: Bench) -> None:
    bench.names.query = None  # type: ignore[assignment,method-assign] # calling it raises
    bench.watch()
    assert bench.told == [None]
    assert "TypeError" in bench.log.lines[0]


steps = st.one_of(
    st.tuples(st.just("watch"), st.sampled_from("abc")),
    st.tuples(st.just("stop"), st.integers(0, 20)),
    st.tuples(st.just("answer"), st.lists(st.integers(1, 4), min_size=1, max_size=3)),
    st.tuples(st.just("fail"), st.none()),
    st.tuples(st.just("pass"), st.sampled_from([0.5, 5.0, 70.0, 400.0])),
)


@settings(max_examples=examples(0.6))
@given(st.lists(steps, max_size=40))
def test_in_any_history_addresses_only_change_and_never_vanish(history: list[Any]) -> None:
    bench = Bench()
    told: dict[Watch, list[IPAddress | None]] = {}
    stopped: dict[Watch, int] = {}
    for action, value in history:
        if action == "watch":
            heard: list[IPAddress | None] = []
            told[bench.resolver.watch(value, 4, heard.append)] = heard
        elif action == "stop" and told:
            watch = list(told)[value % len(told)]
            watch.stop()
            stopped.setdefault(watch, len(told[watch]))
        elif action in ("answer", "fail") and bench.names.waiting:
            (host, _), *_ = bench.names.waiting
            if action == "answer":
                bench.names.answer(host, *(f"192.0.2.{n}" for n in value))
            else:
                bench.names.fail(host)
        elif action == "pass":
            bench.clock.advance(value)
    for watch, heard in told.items():
        assert None not in heard[1:]
        assert all(one != other for one, other in itertools.pairwise(heard))
        assert len(heard) == stopped.get(watch, len(heard))
    for watch in told:
        watch.stop()
    bench.clock.advance(MAX_REFRESH_S)
    assert bench.clock.getDelayedCalls() == []


def test_what_is_found_is_kept_for_the_next_run_under_its_normal_name(bench: Bench) -> None:
    bench.watch("DB1.example.")
    bench.names.answer("DB1.example.", "192.0.2.1")
    assert bench.book.addresses == {(HOST, 4): ip_address("192.0.2.1")}


def test_an_answer_counts_and_not_what_the_last_run_knew() -> None:
    bench = Bench(remembered="192.0.2.7")
    bench.watch()
    bench.names.answer(HOST, "192.0.2.1")
    bench.advance(2 * REMEMBER_AFTER_S)
    assert bench.told == ["192.0.2.1"]


def test_the_address_that_the_last_run_used_is_kept_while_it_is_among_the_answers() -> None:
    bench = Bench(remembered="192.0.2.7")
    bench.watch()
    bench.names.answer(HOST, "192.0.2.1", "192.0.2.7")
    assert bench.told == ["192.0.2.7"]
    bench.until_asked()
    bench.names.answer(HOST, "192.0.2.1", "192.0.2.9")
    assert bench.told == ["192.0.2.7", "192.0.2.1"]


def test_what_the_last_run_knew_can_be_had_whatever_the_answer_is() -> None:
    bench = Bench(remembered="192.0.2.7")
    bench.watch()
    bench.names.answer(HOST, "192.0.2.1")
    assert bench.resolver.remembered(HOST, 4) == ip_address("192.0.2.7")
    assert bench.resolver.remembered(HOST, 6) is None
    assert bench.resolver.remembered("192.0.2.7", 4) is None


def test_a_first_lookup_that_fails_leaves_what_the_last_run_knew() -> None:
    bench = Bench(remembered="192.0.2.7")
    bench.watch()
    bench.watch(family=6)
    bench.names.fail(HOST, "SERVFAIL")
    bench.names.fail(HOST, "SERVFAIL", family=6)
    assert bench.told == ["192.0.2.7", None]
    assert "the last known one, 192.0.2.7, stays in use" in bench.log.lines[0]


def test_a_first_lookup_that_takes_long_lets_what_the_last_run_knew_be_used() -> None:
    bench = Bench(remembered="192.0.2.7")
    bench.watch()
    bench.advance(REMEMBER_AFTER_S - 0.5)
    assert bench.told == []
    bench.advance(0.6)
    assert bench.told == ["192.0.2.7"]
    bench.watch()
    assert bench.told == ["192.0.2.7", "192.0.2.7"]
    bench.names.answer(HOST, "192.0.2.1")
    assert bench.told[2:] == ["192.0.2.1", "192.0.2.1"]


@pytest.mark.slow
def test_tens_of_thousands_of_watched_names_are_not_gone_through_for_each_new_one() -> None:
    bench = Bench()
    start = time.process_time()
    for number in range(20_000):
        bench.watch(f"host{number}.example")
    assert time.process_time() - start < 10, "it takes half a second; a minute if gone through"


def test_a_line_says_whose_server_the_host_is(bench: Bench) -> None:
    for service in ("web_80", "web_443", "web_80"):
        bench.resolver.watch(HOST, 4, bench._told, service)
    bench.names.fail(HOST, "SERVFAIL")
    (line,) = bench.log.take()
    assert line.endswith(" (server of web_80, web_443)")
    for number in range(40):
        bench.resolver.watch(HOST, 4, bench._told, f"more_{number}")
    bench.until_asked()
    bench.names.answer(HOST, "192.0.2.1")
    (line,) = bench.log.take()
    assert line.endswith("(server of web_80, web_443, more_0 and 39 more)")


def test_a_literal_of_the_wrong_family_names_its_service_too(bench: Bench) -> None:
    bench.resolver.watch("192.0.2.9", 6, bench._told, "dns_53")
    assert bench.log.take() == ["[resolver] ERROR: 192.0.2.9 is no IPv6 address (server of dns_53)"]


def test_a_mistake_with_one_answer_does_not_end_the_asking(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_name: str, _address: IPAddress) -> None:
        raise ZeroDivisionError("a mistake")

    bench.watch()
    with monkeypatch.context() as patch:
        patch.setattr(bench.book, "put", broken)
        bench.names.answer(HOST, "192.0.2.1")
    assert "The answer for db1.example could not be taken" in bench.log.take()[-1]
    assert bench.until_asked() < 2
    bench.names.answer(HOST, "192.0.2.2")
    assert bench.told[-1] == "192.0.2.2"
