"""Names that are looked up once, by who needs all their addresses."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from pybal.errors import ResolutionError
from pybal.model import IPAddress
from pybal.names.lookups import MAX_UNDER_WAY, LookUp, LookUps
from pybal.names.parsing import Addresses
from pybal.names.resolver import (
    OTHER_FAMILY_S,
    STALE_AFTER_S,
)
from tests.fakes.deferreds import error_of, result_of
from tests.fakes.log import FakeLog
from tests.fakes.names import FakeNamesClient
from tests.names.bench import HOST, Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


def looked_up(found: Deferred[tuple[IPAddress, ...]]) -> list[str]:
    return [str(address) for address in result_of(found)]


def test_a_look_up_gives_all_addresses_of_both_families_and_leaves_nothing_behind(
    bench: Bench,
) -> None:
    found = bench.resolver.look_up(HOST)
    bench.names.answer(HOST, "192.0.2.1", "192.0.2.2")
    assert not found.called
    bench.names.answer(HOST, "2001:db8::1", family=6)
    expected = ["2001:db8::1", "192.0.2.1", "192.0.2.2"]
    assert looked_up(found) == expected
    assert looked_up(bench.resolver.look_up(HOST)) == expected
    assert looked_up(bench.resolver.look_up("192.0.2.5")) == ["192.0.2.5"]
    assert bench.names.asked == [(HOST, 6), (HOST, 4)]
    assert bench.clock.getDelayedCalls() == []


def test_a_look_up_fails_where_there_is_no_address_and_leaves_that_to_its_owner_to_tell(
    bench: Bench,
) -> None:
    found = bench.resolver.look_up(HOST)
    bench.names.fail(HOST, "no such name", family=6)
    bench.names.fail(HOST, "no such name")
    error = error_of(found)
    assert isinstance(error, ResolutionError)
    assert str(error) == "db1.example has no address: no such name"
    assert bench.log.lines == []


def test_a_name_of_one_family_alone_is_found_without_a_word(bench: Bench) -> None:
    found = bench.resolver.look_up(HOST)
    bench.names.fail(HOST, "no such record", family=6)
    bench.names.answer(HOST, "192.0.2.1")
    assert looked_up(found) == ["192.0.2.1"]
    assert looked_up(bench.resolver.look_up(HOST)) == ["192.0.2.1"]
    assert bench.log.lines == []


def test_a_family_that_is_silent_is_not_waited_for_when_there_are_addresses(bench: Bench) -> None:
    found = bench.resolver.look_up(HOST)
    bench.advance(0.5)
    bench.names.answer(HOST, "192.0.2.1")
    bench.advance(OTHER_FAMILY_S)
    assert looked_up(found) == ["192.0.2.1"]


def test_a_look_up_during_an_outage_gives_what_was_known_and_not_late(bench: Bench) -> None:
    found = bench.resolver.look_up(HOST)
    bench.names.answer(HOST, "192.0.2.1", "192.0.2.2", ttl_s=10)
    bench.names.fail(HOST, family=6)
    bench.advance(20)
    longest_s = 0.0
    for _ in range(60):
        began_s = bench.clock.seconds()
        found = bench.resolver.look_up(HOST)
        while not found.called:
            bench.clock.advance(0.1)
        longest_s = max(longest_s, bench.clock.seconds() - began_s)
        assert looked_up(found) == ["192.0.2.1", "192.0.2.2"]
        bench.advance(1)
    assert longest_s < STALE_AFTER_S + 0.2
    assert bench.log.take() == [
        "[resolver] WARN: db1.example cannot be resolved to an IPv4 address: no answer within 5 s; "
        "the last known one, 192.0.2.1, stays in use"
    ]
    while (HOST, 4) not in bench.names.waiting:
        bench.advance(1)
        bench.resolver.look_up(HOST)
    bench.names.answer(HOST, "192.0.2.7")
    found = bench.resolver.look_up(HOST)
    bench.advance(OTHER_FAMILY_S)
    assert looked_up(found) == ["192.0.2.7"]


def test_a_look_up_after_a_restart_without_dns_gives_what_the_last_run_knew() -> None:
    bench = Bench(remembered="192.0.2.7")
    found = bench.resolver.look_up(HOST)
    bench.advance(STALE_AFTER_S + 0.1)
    assert looked_up(found) == ["192.0.2.7"]


def test_an_address_that_is_no_longer_confirmed_comes_last(bench: Bench) -> None:
    bench.resolver.look_up(HOST)
    bench.names.answer(HOST, "2001:db8::1", ttl_s=10, family=6)
    bench.names.answer(HOST, "192.0.2.1", ttl_s=10)
    bench.advance(20)
    found = bench.resolver.look_up(HOST)
    bench.names.fail(HOST, family=6)
    bench.names.answer(HOST, "192.0.2.1")
    assert looked_up(found) == ["192.0.2.1", "2001:db8::1"]


def test_a_name_that_was_never_known_is_asked_for_as_often_as_it_is_looked_up(
    bench: Bench,
) -> None:
    for _ in range(8):
        found = bench.resolver.look_up(HOST)
        bench.names.fail(HOST, family=6)
        bench.names.fail(HOST)
        assert isinstance(error_of(found), ResolutionError)
        assert isinstance(error_of(bench.resolver.look_up(HOST)), ResolutionError)
        bench.advance(2)
    found = bench.resolver.look_up(HOST)
    bench.names.answer(HOST, "192.0.2.1")
    bench.names.fail(HOST, family=6)
    assert looked_up(found) == ["192.0.2.1"]


def test_a_look_up_shares_what_watchers_know(bench: Bench) -> None:
    bench.watch()
    bench.names.answer(HOST, "192.0.2.1")
    found = bench.resolver.look_up(HOST)
    bench.names.fail(HOST, family=6)
    assert looked_up(found) == ["192.0.2.1"]
    assert bench.names.asked == [(HOST, 4), (HOST, 6)]


def test_a_name_of_the_hosts_file_waits_for_nobody_and_is_asked_for_nowhere_else(
    bench: Bench,
) -> None:
    for n in range(2 * MAX_UNDER_WAY):
        bench.watch(f"dead{n}")
    bench.names.hosts[HOST, 4] = Addresses((ip_address("192.0.2.1"),), 60)
    bench.watch()
    assert bench.told == ["192.0.2.1"]
    assert looked_up(bench.resolver.look_up(HOST)) == ["192.0.2.1"]
    assert (HOST, 6) not in bench.names.waiting


def test_a_look_up_can_be_cancelled(bench: Bench) -> None:
    found = bench.resolver.look_up(HOST)
    found.cancel()
    assert isinstance(error_of(found), CancelledError)
    bench.names.answer(HOST, "192.0.2.1")
    bench.names.fail(HOST, family=6)
    assert bench.clock.getDelayedCalls() == []


def test_who_cannot_take_an_answer_keeps_no_name_waiting() -> None:
    def broken(_: Addresses | str) -> None:
        raise ZeroDivisionError("a mistake")

    clock, names, log = Clock(), FakeNamesClient(), FakeLog()
    lookups = LookUps(clock, names, log.logger("resolver"))
    answers: list[Addresses | str] = []
    for number in range(MAX_UNDER_WAY + 1):
        lookups.ask(LookUp(f"h{number}", 4, answers.append if number else broken))
    assert len(names.asked) == MAX_UNDER_WAY
    names.answer("h0", "192.0.2.1")
    assert len(names.asked) == MAX_UNDER_WAY + 1
    assert "An answer for h0 could not be taken" in log.lines[0]
