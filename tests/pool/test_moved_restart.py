"""Names that have moved, over a restart: who worked stays there until it answers elsewhere."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from pybal.kept_change import ListPast
from pybal.model import ServerSpec, SourceList
from tests.fakes.coordinator import ADDRESSES, IDLE, Bench, FakeMonitor
from tests.pool.reference_entry import service_entry

A, B, C, D = ADDRESSES.values()
X, Y = "10.0.0.98", "10.0.0.99"


def at(bench: Bench, address: str) -> FakeMonitor:
    """The monitor that runs against an address."""
    (found,) = [m for m in bench.made if m.running and str(m.target.address) == address]
    return found


def started(
    names: dict[str, str],
    *,
    in_kernel: tuple[str, ...] = (A, B),
    last_run: dict[str, str] | None = None,
    past: ListPast | None = None,
    monitors: tuple[object, ...] = (IDLE,),
) -> Bench:
    """A process that begins with the servers a and b."""
    servers = [(ip_address(address), 10) for address in in_kernel]
    adopted = service_entry(Bench().settings, servers) if servers else None
    bench = Bench(names=names, adopted=adopted, monitors=monitors)  # type: ignore[arg-type]
    bench.names.last_run = last_run or {}
    found = tuple(map(ServerSpec, "ab"))
    bench.coordinator.pool_list(SourceList(found, found, past))
    return bench


KNOWN = {"a": A, "b": B}


def test_names_that_moved_while_the_daemon_was_away_take_nobody_out() -> None:
    bench = started({"a": X, "b": Y}, last_run=KNOWN)
    assert bench.destinations == {A: 10, B: 10}
    assert at(bench, X).hurried
    at(bench, X).say(False)
    at(bench, A).say(True)
    assert bench.destinations == {A: 10, B: 10}
    at(bench, Y).say(True)
    assert bench.destinations == {A: 10, Y: 10}


def test_one_that_turns_out_to_be_dead_where_it_was_is_out() -> None:
    bench = started({"a": X, "b": B}, last_run=KNOWN)
    at(bench, A).say(False)
    assert bench.destinations == {B: 10}
    at(bench, X).say(True)
    assert bench.destinations == {X: 10, B: 10}


def test_one_that_was_out_before_is_where_its_name_says() -> None:
    bench = started({"a": X, "b": B}, in_kernel=(B,), last_run=KNOWN)
    assert bench.destinations == {B: 10}
    at(bench, X).say(True)
    assert bench.destinations == {X: 10, B: 10}


@pytest.mark.parametrize("in_kernel", [(A, B), ()])
def test_a_second_restart_and_a_boot_know_where_it_worked(in_kernel: tuple[str, ...]) -> None:
    first = started({"a": X, "b": B}, last_run=KNOWN)
    first.clock.advance(8)
    assert first.past is not None
    assert first.past.moving == (("a", A),)
    second = started({"a": X, "b": B}, in_kernel=in_kernel, last_run={"a": X}, past=first.past)
    assert second.destinations == {A: 10, B: 10}
    at(second, X).say(True)
    second.clock.advance(33)
    assert second.destinations == {X: 10, B: 10}
    assert second.past is not None
    assert second.past.moving == ()


def test_a_name_that_comes_back_before_the_list_is_in_force_has_not_moved() -> None:
    bench = started({"a": X}, last_run=KNOWN)
    bench.names.watches["a"].answer(ip_address(A))
    bench.names.watches["b"].answer(ip_address(B))
    assert bench.destinations == {A: 10, B: 10}
    assert {str(m.target.address) for m in bench.made if m.running} == {A, B}


def test_a_name_without_an_answer_leaves_its_server_without_an_address() -> None:
    bench = started({"b": B}, last_run=KNOWN, in_kernel=(A, B))
    bench.names.watches["a"].answer(None)
    assert bench.statuses()["a"] == "enabled/up/not pooled"
    assert bench.destinations == {A: 10, B: 10}, "it may be that which stands in the kernel"


def test_without_monitors_a_server_is_where_its_name_says() -> None:
    bench = started({"a": X, "b": B}, last_run=KNOWN, monitors=())
    assert bench.destinations == {X: 10, B: 10}


@pytest.mark.parametrize("address", ["rubbish", "0.0.0.0", "2001:db8::1"])
def test_what_is_kept_and_can_be_no_address_of_a_server_is_not_used(address: str) -> None:
    past = ListPast(0.0, moving=(("a", address),))
    bench = started({"a": X, "b": B}, in_kernel=(), past=past)
    assert bench.destinations == {X: 10, B: 10}


def test_a_server_that_comes_later_is_where_its_name_says() -> None:
    bench = started(dict(ADDRESSES), last_run={**KNOWN, "c": X})
    bench.list("a", "b", "c")
    assert C in {str(m.target.address) for m in bench.made}
