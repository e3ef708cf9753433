"""A service whose servers have no addresses yet, and its start over what stands in the kernel."""

from __future__ import annotations

from ipaddress import ip_address

from pybal.pool.coordinator import FIRST_ANSWER_WAIT_S
from tests.fakes.coordinator import Bench
from tests.pool.reference_entry import service_entry
from tests.pool.test_coordinator import A, B, C, D


def test_a_list_waits_for_the_names_of_its_new_servers() -> None:
    bench = Bench(names={"a": A})
    bench.list("a")
    bench.list("a", "b")
    assert bench.destinations == {A: 10}
    assert bench.running == {"a"}
    bench.names.watches["b"].answer(ip_address(B))
    assert bench.destinations == {A: 10, B: 10}
    assert bench.running == {"a", "b"}


def test_a_name_that_does_not_answer_does_not_hold_up_the_rest_for_ever() -> None:
    bench = Bench(names={"a": A})
    bench.list("a", "b")
    assert bench.published == []
    bench.clock.advance(FIRST_ANSWER_WAIT_S)
    assert bench.destinations == {A: 10}
    assert bench.statuses()["b"] == "enabled/up/not pooled"
    bench.names.watches["b"].answer(ip_address(B))
    assert bench.destinations == {A: 10, B: 10}
    assert "b" in bench.running


def test_a_name_without_an_address_does_not_hold_up_the_rest() -> None:
    bench = Bench(names={"a": A})
    bench.list("a", "b")
    bench.names.watches["b"].answer(None)
    assert bench.destinations == {A: 10}


def test_of_lists_that_overlap_the_newest_wins() -> None:
    bench = Bench(names={"a": A})
    bench.list("a", "b")
    bench.list("a", "c")
    bench.list("a", "d")
    bench.names.watches["b"].answer(ip_address(B))
    assert bench.destinations == {A: 10, B: 10}
    assert "c" not in bench.names.watches
    bench.names.watches["d"].answer(ip_address(D))
    assert bench.destinations == {A: 10, D: 10}
    assert bench.running == {"a", "d"}


def test_a_server_removed_while_its_name_is_looked_up_leaves_no_zombie() -> None:
    bench = Bench(names={"a": A})
    bench.list("a", "b")
    bench.list("a")
    bench.clock.advance(FIRST_ANSWER_WAIT_S)
    assert bench.names.watches["b"].stopped
    bench.names.watches["b"].answer(ip_address(B))
    assert bench.running == {"a"}
    assert bench.destinations == {A: 10}


def test_warm_start_touches_nothing_until_the_monitors_speak() -> None:
    probe = Bench()
    adopted = service_entry(probe.settings, [(ip_address(A), 10), (ip_address(B), 10)])
    bench = Bench(adopted=adopted)
    bench.list("a", "b", "c")
    assert bench.published == [adopted]
    bench.monitor("c").say(True)
    assert bench.destinations == {A: 10, B: 10, C: 10}


def test_warm_start_counts_for_the_first_list_alone() -> None:
    probe = Bench()
    bench = Bench(adopted=service_entry(probe.settings, [(ip_address(A), 10)]))
    bench.list("a")
    bench.list("a", "b")
    assert bench.destinations == {A: 10, B: 10}
