"""The dead come back dead though the process is another one by then, however the former ended."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from ipaddress import ip_address
from pathlib import Path

import pytest

from pybal.config.settings import ListGuardSettings
from pybal.kept_change import ListPast
from pybal.model import ServerSpec, SourceList
from pybal.pool.departed import REMEMBERED_S
from pybal.sources.list_cache import CachedList, list_file
from tests.fakes.coordinator import ADDRESSES, Bench
from tests.pool.site import KNOWN, A, B, Begin, C

FLOORS = [Fraction(0), Fraction(1, 2)]
WAITS = "enabled/down/not pooled"


def a_dead_server(floor: Fraction, *, listed: str = "ac", written: bool = True) -> Bench:
    """A run in which b dies, and in the end these are listed. `written`: there was time for what
    is down to be written to the disk."""
    bench = Bench(threshold=Fraction(0), list_guard=ListGuardSettings(floor=floor))
    bench.list("a", "b", "c")
    bench.clock.advance(100)
    bench.monitor("b").say(False)
    bench.clock.advance(60 if written else 0.1)
    if listed != "abc":
        bench.list(*listed)
    return bench


def killed(
    before: Bench,
    wait_s: float,
    *first: str,
    boot: bool = False,
    names: dict[str, str] | None = None,
) -> Bench:
    """The next process, which finds this list, and on the disk what the former has written."""
    assert before.past is not None
    file = list_file(Path("/nowhere"), "svc", "http://x/", "boot")
    kept = file.parse(file.render(CachedList(before.in_force_lists[-1], 0.0, before.past)))
    bench = Bench(
        threshold=Fraction(0),
        list_guard=before.settings.list_guard,
        adopted=None if boot else before.published[-1],
        names=names or dict(ADDRESSES),
    )
    bench.names.last_run = dict(ADDRESSES)
    bench.clock.advance(before.clock.seconds() + wait_s)
    past = kept.past
    assert past is not None
    found = tuple(map(ServerSpec, first))
    bench.coordinator.pool_list(SourceList(found, kept.servers, past))
    return bench


@pytest.mark.parametrize("boot", [True, False])
@pytest.mark.parametrize("floor", FLOORS)
def test_removed_then_a_restart_then_listed_again(floor: Fraction, boot: bool) -> None:
    bench = killed(a_dead_server(floor), 5, "a", "c", boot=boot)
    bench.clock.advance(300)
    bench.list("a", "b", "c")
    assert bench.statuses()["b"] == WAITS
    assert bench.monitor("b").hurried
    bench.monitor("b").say(True)
    assert bench.statuses()["b"] == "enabled/up/pooled"


@pytest.mark.parametrize("boot", [True, False])
@pytest.mark.parametrize("floor", FLOORS)
def test_removed_and_listed_again_with_the_restart_between(floor: Fraction, boot: bool) -> None:
    bench = killed(a_dead_server(floor), 5, "a", "b", "c", boot=boot)
    assert bench.statuses()["b"] == WAITS


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("floor", FLOORS)
def test_removed_while_no_process_ran(floor: Fraction, written: bool) -> None:
    before = a_dead_server(floor, listed="abc", written=written)
    bench = killed(before, 5, "a", "c")
    bench.clock.advance(60)
    bench.list("a", "b", "c")
    assert bench.statuses()["b"] == WAITS


@pytest.mark.parametrize("floor", FLOORS)
def test_over_two_restarts(floor: Fraction) -> None:
    first = killed(a_dead_server(floor), 5, "a", "c")
    first.clock.advance(100)
    second = killed(first, 5, "a", "c")
    second.clock.advance(100)
    second.list("a", "b", "c")
    assert second.statuses()["b"] == WAITS


def test_under_another_name_that_answers_late() -> None:
    bench = killed(a_dead_server(Fraction(0)), 5, "a", "c")
    del bench.names.table["d"]
    bench.list("a", "c", "d")
    bench.clock.advance(30)
    bench.names.watches["d"].answer(ip_address(ADDRESSES["b"]))
    assert bench.statuses()["d"] == WAITS


def test_not_longer_than_ten_minutes_in_all() -> None:
    bench = killed(a_dead_server(Fraction(0)), 5, "a", "c")
    bench.clock.advance(REMEMBERED_S)
    bench.list("a", "b", "c")
    assert bench.statuses()["b"] == "enabled/up/pooled"
    assert bench.past is not None
    assert bench.past.departed == ()


def test_a_server_that_was_up_comes_back_up() -> None:
    before = Bench(threshold=Fraction(0))
    before.list("a", "b", "c")
    before.clock.advance(100)
    before.list("a", "c")
    bench = killed(before, 5, "a", "c")
    bench.list("a", "b", "c")
    assert bench.statuses()["b"] == "enabled/up/pooled"
    other = Bench(threshold=Fraction(0))
    other.list("a", "b", "c")
    other = killed(other, 5, "a", "c")
    other.list("a", "b", "c")
    assert other.statuses()["b"] == "enabled/up/pooled"


def test_times_are_those_of_the_clock_that_runs() -> None:
    past = ListPast(100.0, departed=(("b", 90.0), (ADDRESSES["b"], 90.0)))
    assert past.moved(-60.0).departed == (("b", 30.0), (ADDRESSES["b"], 30.0))
    cached = CachedList((ServerSpec("a"),), 0.0, past)
    file = list_file(Path("/nowhere"), "svc", "http://x/", "boot")
    assert file.parse(file.render(cached)) == cached
    later = replace(past, departed=(("b", 101.0),))
    assert file.parse(file.render(cached._replace(past=later))).past is None


# -- a whole daemon ---------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["stop", "kill"])
@pytest.mark.parametrize("listed_first", [True, False])
def test_a_dead_server_gets_no_connection(begin: Begin, end: str, listed_first: bool) -> None:
    site = begin("0")
    site.dead.add(B)
    site.run(4)
    assert site.table == {A, C}
    if not listed_first:
        site.list("a.example", "c.example")
        site.run(2)
    if end == "stop":
        site.bench.stop()
    site.list("a.example", "c.example")
    site.start(8)
    site.list(*KNOWN)
    tables = []
    for _ in range(40):
        site.run(0.1)
        tables.append(site.table)
    assert all(table == {A, C} for table in tables)
    service = site.bench.daemon.view.service("web")
    assert service is not None
    assert [each.host for each in service.servers] == list(KNOWN)
    site.dead.discard(B)
    site.run(8)
    assert site.table == {A, B, C}
