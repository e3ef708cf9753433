"""Servers whose names move, and addresses that they can hardly have been meant to have."""

from __future__ import annotations

from fractions import Fraction
from ipaddress import ip_address

import pytest
from twisted.logger import LogLevel, capturedLogs

from pybal.config.settings import ListGuardSettings
from pybal.ipvs.model import DestinationKey
from pybal.model import ServerSpec, Verdict
from pybal.pool.implausible_addresses import why_implausible
from pybal.pool.refusals import REFUSED_FOR_S
from tests.fakes.coordinator import ADDRESSES, FETCH, IDLE, Bench, FakeMonitor

A, B, C, D = ADDRESSES.values()
VIP = "192.0.2.1"
X = "10.0.0.99"


def bench_of(*monitors: object) -> Bench:
    bench = Bench(monitors=(IDLE,) if not monitors else tuple(monitors))  # type: ignore[arg-type]
    bench.list("a", "b")
    for monitor in list(bench.made):
        monitor.say(True)
    return bench


def move(bench: Bench, host: str, address: str) -> None:
    bench.names.watches[host].answer(ip_address(address))


def at(bench: Bench, address: str) -> list[FakeMonitor]:
    """The monitors that run against an address."""
    return [m for m in bench.made if m.running and str(m.target.address) == address]


def test_a_working_server_moves_when_it_answers_at_its_new_address() -> None:
    bench = bench_of()
    move(bench, "a", D)
    assert bench.destinations == {A: 10, B: 10}
    (old,), (new,) = at(bench, A), at(bench, D)
    assert new.hurried
    assert (old.target.is_trial, new.target.is_trial) == (False, True)
    new.say(False)
    assert bench.destinations == {A: 10, B: 10}
    new.say(True)
    assert bench.destinations == {D: 10, B: 10}
    assert not old.running
    (monitor,) = at(bench, D)
    assert not monitor.target.is_trial
    monitor.say(False)
    assert bench.destinations == {B: 10}


def test_while_it_is_tried_elsewhere_its_checks_go_on() -> None:
    bench = bench_of()
    bench.list("a", "b", "c")
    move(bench, "a", D)
    at(bench, A)[0].say(False)
    assert bench.destinations == {B: 10, C: 10}
    at(bench, D)[0].say(True)
    assert bench.destinations == {D: 10, B: 10, C: 10}


def test_all_monitors_must_find_it_up_there() -> None:
    bench = bench_of(IDLE, FETCH)
    move(bench, "a", D)
    idle, fetch = at(bench, D)
    idle.say(True)
    assert bench.destinations == {A: 10, B: 10}
    fetch.say(True)
    assert bench.destinations == {D: 10, B: 10}


def test_a_name_that_comes_back_ends_the_trial() -> None:
    bench = bench_of()
    move(bench, "a", D)
    (old,) = at(bench, A)
    move(bench, "a", A)
    assert at(bench, D) == []
    assert at(bench, A) == [old]


def test_a_name_that_moves_on_is_tried_at_the_last_address() -> None:
    bench = bench_of()
    move(bench, "a", D)
    move(bench, "a", D)
    assert len(at(bench, D)) == 1
    move(bench, "a", C)
    assert at(bench, D) == []
    at(bench, C)[0].say(True)
    assert bench.destinations == {C: 10, B: 10}


def test_a_server_that_is_down_moves_at_once_and_waits_for_its_checks() -> None:
    bench = bench_of()
    at(bench, A)[0].say(False)
    move(bench, "a", D)
    assert at(bench, A) == []
    assert bench.destinations == {B: 10}
    at(bench, D)[0].say(True)
    assert bench.destinations == {D: 10, B: 10}


def test_without_monitors_it_moves_at_once() -> None:
    bench = Bench(monitors=())
    bench.list("a", "b")
    move(bench, "a", D)
    assert bench.destinations == {D: 10, B: 10}


def test_a_removed_server_ends_its_trial() -> None:
    bench = bench_of()
    move(bench, "a", D)
    bench.list("b")
    assert at(bench, D) == []


@pytest.mark.parametrize("address", ["127.0.0.1", "198.51.100.7", VIP])
def test_even_a_server_that_is_down_is_at_an_odd_address_only_once_it_answers(
    address: str,
) -> None:
    bench = bench_of()
    bench.own_addresses.add(ip_address("198.51.100.7"))
    at(bench, A)[0].say(False)
    with capturedLogs() as logged:
        move(bench, "a", address)
    assert [e["address"] for e in logged if e["log_level"] is LogLevel.warn] == [address]
    assert len(at(bench, A)) == 1
    at(bench, address)[0].say(True)
    assert bench.destinations == {address: 10, B: 10}


def test_the_services_own_address_as_a_server_waits_for_its_checks() -> None:
    bench = Bench()
    bench.names.table["v"] = VIP
    with capturedLogs() as logged:
        bench.list("a", "b", "v")
    assert bench.destinations == {A: 10, B: 10}
    assert [e["why"] for e in logged if e["log_level"] is LogLevel.warn] == [
        "is the service's own address"
    ]
    bench.monitor("v").say(True)
    assert bench.destinations == {A: 10, B: 10, VIP: 10}


def test_a_name_that_is_found_late_to_be_the_services_own_address_waits_too() -> None:
    bench = Bench()
    bench.list("a", "b", "v")
    bench.names.watches["v"].answer(None)
    move(bench, "v", VIP)
    assert bench.destinations == {A: 10, B: 10}
    bench.monitor("v").say(True)
    assert bench.destinations == {A: 10, B: 10, VIP: 10}


def test_a_director_may_serve_itself() -> None:
    bench = Bench()
    bench.names.table["me"] = "127.0.0.1"
    with capturedLogs() as logged:
        bench.list("a", "b", "me")
    assert bench.destinations == {A: 10, B: 10, "127.0.0.1": 10}
    assert [e for e in logged if e["log_level"] is LogLevel.warn] == []


def test_hosts_that_have_the_same_address_are_said_once() -> None:
    bench = bench_of()
    with capturedLogs() as logged:
        bench.names.table["c"] = A
        bench.list("a", "b", "c")
        bench.list("a", "b", "c", "d")
        at(bench, B)[0].say(False)
        move(bench, "b", D)
    assert [e["hosts"] for e in logged if e["log_level"] is LogLevel.warn] == ["a, c", "b, d"]


def test_what_is_odd_of_an_address() -> None:
    vip, own = ip_address(VIP), ip_address("198.51.100.7")
    loopback = ip_address("127.0.0.1")

    def odd(address: str, former: str | None) -> str:
        before = None if former is None else ip_address(former)
        return why_implausible(ip_address(address), before, vip, lambda each: each == own)

    assert odd(VIP, None) == odd(VIP, A) == "is the service's own address"
    assert odd("127.0.0.1", A) == odd("::1", "2001:db8::1") == "is a loopback address"
    assert odd(str(own), A) == "is an address of this director"
    assert odd(str(own), None) == odd(str(own), str(loopback)) == odd(B, A) == ""
    assert odd("127.0.0.1", None) == odd("127.0.0.2", "127.0.0.1") == odd(A, "127.0.0.1") == ""


def test_a_server_that_the_kernel_refuses_is_not_pooled_and_not_offered_for_a_while() -> None:
    bench = Bench()
    bench.list("a", "b")
    bench.coordinator.addresses_refused({DestinationKey(ip_address(A), 80)})
    assert bench.statuses() == {"a": "enabled/up/not pooled", "b": "enabled/up/pooled"}
    (a, _) = bench.snapshot().servers
    assert a.decision is not None
    assert a.decision.verdict is Verdict.REFUSED
    bench.monitor("b").say(False)
    assert bench.destinations == {B: 10}, "a, though up, is nobody to rely on"
    bench.clock.advance(REFUSED_FOR_S)
    assert bench.destinations == {A: 10}


def test_a_refused_server_that_moves_is_pooled_at_its_new_address() -> None:
    bench = Bench()
    bench.list("a", "b")
    bench.coordinator.addresses_refused({DestinationKey(ip_address(A), 80)})
    move(bench, "a", D)
    at(bench, D)[0].say(True)
    assert bench.destinations == {D: 10, B: 10}


def test_a_server_that_the_kernel_refuses_replaces_nobody() -> None:
    bench = bench_of()
    bench.list("c", "d")
    bench.monitor("c").say(False)
    bench.coordinator.addresses_refused({DestinationKey(ip_address(D), 80)})
    assert {"a", "b"} <= {s.host for s in bench.snapshot().servers if s.pooled}


def test_stopping_ends_the_wait_of_a_refused_server() -> None:
    bench = Bench()
    bench.list("a", "b")
    bench.clock.advance(1)
    bench.coordinator.addresses_refused({DestinationKey(ip_address(A), 80)})
    bench.coordinator.stop()
    bench.clock.advance(0)  # the slice of that turn ends
    assert bench.clock.getDelayedCalls() == []


# -- names that all move to one place ---------------------------------------------------------


def bench_of_four(floor: Fraction = Fraction(1, 2)) -> Bench:
    bench = Bench(list_guard=ListGuardSettings(floor))
    bench.list(*"abcd")
    for monitor in list(bench.made):
        monitor.say(True)
    return bench


def all_move(bench: Bench, address: str, hosts: str = "abcd") -> None:
    """A name server that gives everything the same address, at which something answers."""
    for host in hosts:
        move(bench, host, address)
    for monitor in at(bench, address):
        if monitor.running and monitor.target.host in hosts:
            monitor.say(True)


def test_names_that_all_move_to_one_address_leave_the_pool_its_floor_of_addresses() -> None:
    bench = bench_of_four()
    with capturedLogs() as logged:
        all_move(bench, X)
    assert bench.destinations == {X: 10, D: 10}
    (warning,) = [e for e in logged if "list-floor" in str(e.get("log_format"))]
    assert (warning["host"], warning["former"]) == ("d", D)


def test_who_was_kept_from_it_goes_there_once_it_is_down_where_it_is() -> None:
    bench = bench_of_four()
    all_move(bench, X)
    at(bench, D)[0].say(False)
    assert bench.destinations == {X: 10}


def test_who_was_kept_from_it_goes_there_once_there_is_room() -> None:
    bench = bench_of_four()
    all_move(bench, X)
    move(bench, "a", A)
    at(bench, A)[0].say(True)
    assert bench.destinations == {A: 10, X: 10}, "d is at X, as a is no longer"


def test_who_was_kept_from_it_stays_if_its_name_comes_back() -> None:
    bench = bench_of_four()
    all_move(bench, X)
    move(bench, "d", D)
    at(bench, X)[0].say(False)
    move(bench, "a", A)
    at(bench, A)[0].say(True)
    assert D in bench.destinations


@pytest.mark.parametrize("floor", [Fraction(0), Fraction(1, 4)])
def test_with_a_floor_that_allows_it_all_may_be_at_one_address(floor: Fraction) -> None:
    bench = bench_of_four(floor)
    all_move(bench, X)
    assert bench.destinations == {X: 10}


def test_a_single_one_may_share_an_address_whatever_the_floor_is() -> None:
    bench = bench_of_four(Fraction(1))
    move(bench, "a", B)
    next(m for m in at(bench, B) if m.target.host == "a").say(True)
    assert bench.destinations == {B: 10, C: 10, D: 10}


def test_two_servers_may_change_places_whatever_the_floor_is() -> None:
    bench = bench_of_four(Fraction(1))
    move(bench, "a", B)
    move(bench, "b", A)
    (to_b,) = [m for m in at(bench, B) if m.target.host == "a"]
    to_b.say(True)
    (to_a,) = [m for m in at(bench, A) if m.target.host == "b"]
    to_a.say(True)
    assert bench.destinations == dict.fromkeys((A, B, C, D), 10)
    assert {m.target.host for m in at(bench, A)} == {"b"}


def test_many_that_were_kept_from_it_go_without_piling_up() -> None:
    names = {f"h{number}": f"10.0.1.{number}" for number in range(1, 251)}
    bench = Bench(names=names, list_guard=ListGuardSettings(Fraction(1)))
    bench.list(*names)
    for monitor in list(bench.made):
        monitor.say(True)
    for host in names:
        move(bench, host, X)
    for monitor in at(bench, X):
        monitor.say(True)
    assert len(bench.destinations) == 249
    bench.list(*list(names)[:-1], ServerSpec("h250", enabled=False))
    for monitor in [m for m in bench.made if m.running and str(m.target.address) != X]:
        if monitor.running:
            monitor.say(False)
    bench.clock.advance(1)
    assert bench.destinations == {X: 10}
