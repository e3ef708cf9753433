"""What a restart leaves of a pool list's guard: who was down, what was held, for how long."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.config.settings import ListGuardSettings
from pybal.kept_change import ListPast
from pybal.model import ServerSpec, SourceList
from pybal.pool.arrivals import ARRIVAL_S, Evidence, Use, still_doubted, use
from pybal.pool.list_changes import counts
from pybal.pool.list_guard import (
    GuardRules,
    ListGuard,
    new_guard,
    reconsider,
    take_list,
)
from pybal.pool.list_restart import begun, left_behind, saved_after_s
from pybal.runtime.pieces import in_one_go
from pybal.sources.list_cache import CachedList, list_file
from tests.fakes.coordinator import FETCH, IDLE, Bench
from tests.pool.test_coordinator_lists import NAMES, TEN, bench_of, pooled, without


def restarted(
    before: Bench, wait_s: float = 5.0, *, guard: ListGuardSettings | None = None
) -> Bench:
    """The next process, in which the source has said nothing yet."""
    bench = Bench(names=dict(before.names.table), list_guard=guard or before.settings.list_guard)
    bench.clock.advance(before.clock.seconds() + wait_s)
    return bench


def listed(bench: Bench, before: Bench, found: list[ServerSpec], *, disk: bool = False) -> None:
    """The first list of the new process."""
    last_run = before.in_force_lists[-1]
    bench.coordinator.pool_list(SourceList(tuple(found), last_run, before.past, disk))


# -- those that were down ---------------------------------------------------------------------


def half_down() -> Bench:
    """Ten servers of which six are down; five or more are pooled."""
    bench = bench_of()
    for host in "efghij":
        bench.monitor(host).say(False)
    bench.clock.advance(30)
    return bench


def test_servers_that_were_down_stand_in_for_nobody_after_a_restart() -> None:
    first = half_down()
    second = restarted(first)
    listed(second, first, without("abc"))
    assert set("abc") <= set(pooled(second))
    assert second.snapshot().held[0].servers == tuple("abc")
    second.clock.advance(3600)
    assert set("abc") <= set(pooled(second))


def test_they_stand_in_for_others_once_their_monitors_find_them_up() -> None:
    first = half_down()
    second = restarted(first)
    listed(second, first, without("abc"))
    for host in "efghi":
        second.monitor(host).say(True)
    assert pooled(second) == "defghij"


def test_they_may_not_go_before_their_monitors_have_spoken() -> None:
    # They may have come up meanwhile: then nothing else serves.
    first = half_down()
    second = restarted(first, 86400)
    listed(second, first, [ServerSpec(host) for host in "abcd"])
    second.clock.advance(600)
    assert set(pooled(second)) == set(TEN)
    for host in "efghi":
        second.monitor(host).say(False)
    assert pooled(second) == "abcd", "one alone, j, may go in any case"


def test_where_all_were_down_all_count() -> None:
    first = bench_of()
    for host in TEN:
        first.monitor(host).say(False)
    first.clock.advance(30)
    second = restarted(first)
    listed(second, first, without("abcdef"))
    second.clock.advance(3600)
    assert set(pooled(second)) == set(TEN)


def test_new_servers_that_never_worked_replace_nobody_after_a_restart_either() -> None:
    first = bench_of("ab")
    first.list("x", "y")
    assert first.snapshot().held[0].waiting
    second = restarted(first)
    listed(second, first, [ServerSpec("x"), ServerSpec("y")])
    second.clock.advance(ARRIVAL_S + 5)
    assert set(pooled(second)) == set("abxy")
    second.monitor("x").say(True)
    assert set(pooled(second)) == set("xy")


@pytest.mark.parametrize("said", [True, False])
def test_the_last_server_stays_until_its_successor_works_however_many_restarts(said: bool) -> None:
    first = bench_of("a")
    first.list("x")
    if said:
        first.monitor("x").say(False)
    second = restarted(first)
    listed(second, first, [ServerSpec("x")])
    assert set(pooled(second)) == set("ax")
    third = restarted(second)
    listed(third, second, [ServerSpec("x")])
    assert set(pooled(third)) == set("ax")
    third.monitor("x").say(False)
    third.clock.advance(3600)
    assert pooled(third) == "a"
    third.monitor("x").say(True)
    assert pooled(third) == "x"


def test_beside_one_that_was_down_one_alone_may_go_at_a_start_as_ever() -> None:
    first = bench_of("ab")
    first.monitor("b").say(False)
    second = restarted(first)
    listed(second, first, [ServerSpec("b")])
    assert pooled(second) == "b"


def test_of_two_monitors_the_first_word_does_not_end_the_doubt() -> None:
    first = Bench(names=dict(NAMES), monitors=(IDLE, FETCH))
    first.list(*"abc")
    for host in "abc":
        first.monitor(host).say(True)
        first.monitor(host, "ProxyFetch").say(host == "a")
    first.clock.advance(3600)
    second = Bench(names=dict(NAMES), monitors=(IDLE, FETCH))
    second.clock.advance(first.clock.seconds() + 5)
    listed(second, first, without("ab", "abc"))
    second.monitor("c").say(True)
    second.clock.advance(60)
    assert set("a") <= set(pooled(second))
    second.monitor("c", "ProxyFetch").say(True)
    assert second.coordinator.state.members["c"].up


def test_two_restarts_in_a_row_do_not_make_them_good() -> None:
    first = half_down()
    second = restarted(first)
    listed(second, first, without(""))
    second.clock.advance(60)
    third = restarted(second)
    listed(third, second, without("abc"))
    assert set("abc") <= set(pooled(third))


def kept_down(bench: Bench) -> set[str]:
    assert bench.past is not None
    return set(bench.past.unproven)


def test_what_monitors_say_is_kept_after_some_seconds_and_at_a_stop() -> None:
    bench = bench_of()
    lists = len(bench.in_force_lists)
    for _ in range(20):
        bench.monitor("a").say(False)
        bench.monitor("a").say(True)
        bench.clock.advance(0.2)
    bench.monitor("a").say(False)
    bench.clock.advance(8)
    assert len(bench.in_force_lists) <= lists + 2
    assert kept_down(bench) == {"a"}
    bench.monitor("b").say(False)
    bench.clock.advance(8)
    assert kept_down(bench) == {"a"}, "it is not written so often"
    bench.coordinator.stop()
    assert kept_down(bench) == {"a", "b"}
    bench.clock.advance(0)  # the slice of that turn ends
    assert bench.clock.getDelayedCalls() == []


def test_it_is_written_soon_but_not_often_nor_by_all_at_once() -> None:
    assert 5.0 <= saved_after_s("web", 0, math.inf) <= 8.0
    assert saved_after_s("web", 0, 1000.0) == saved_after_s("web", 0, 25.0)
    assert 29.0 <= saved_after_s("web", 0, 1.0) <= 32.0
    assert saved_after_s("web", 65_000, 0.0) > 90.0
    assert saved_after_s("web", 100, 0.0) - saved_after_s("web", 0, 0.0) == pytest.approx(0.1)
    names = [f"web_{number}" for number in range(1000)]
    after_s = sorted(saved_after_s(name, 0, math.inf) for name in names)
    assert after_s[0] < 5.1
    assert after_s[-1] > 7.9


def test_servers_of_the_first_list_that_have_no_address_yet_are_not_doubted() -> None:
    bench = Bench(names={})
    bench.list("a", "b")
    bench.names.watches["a"].answer(None)
    bench.names.watches["b"].answer(None)
    bench.clock.advance(10)
    assert kept_down(bench) == set()


def test_of_a_run_of_an_earlier_version_the_list_alone_counts() -> None:
    for past in (None, ListPast(0.0)):
        bench = Bench(names=dict(NAMES))
        bench.list(*"ij", last_run=TEN, past=past)
        assert set(pooled(bench)) == set(TEN)
        assert bench.snapshot().held[0].servers == tuple("abcdefgh")


def test_what_is_no_news_is_not_kept_again() -> None:
    bench = bench_of()
    lists = len(bench.in_force_lists)
    bench.monitor("a").say(False)
    bench.monitor("a").say(True)
    bench.clock.advance(3600)
    assert len(bench.in_force_lists) == lists


# -- what was held ----------------------------------------------------------------------------


@pytest.mark.parametrize("wait_s", [5.0, 600.0])
def test_list_hold_counts_on_over_a_restart(wait_s: float) -> None:
    first = bench_of(hold_s=3600)
    first.list(*without("abcdef"))
    first.clock.advance(1800)
    second = restarted(first, wait_s)
    listed(second, first, without("abcdef"))
    assert pooled(second) == TEN
    second.clock.advance(1800 - wait_s - 1)
    assert pooled(second) == TEN
    second.clock.advance(1)
    assert pooled(second) == "ghij"


def test_each_list_that_is_held_keeps_its_own_time() -> None:
    first = bench_of(floor=Fraction(1), hold_s=3600)
    first.list(*without("abc"))
    first.clock.advance(1000)
    first.list(*without("abcdef"))
    second = restarted(first)
    listed(second, first, without("abcdef"))
    second.clock.advance(2600 - 5)
    assert pooled(second) == "defghij"
    second.clock.advance(1000)
    assert pooled(second) == "ghij"


def test_list_hold_may_be_over_when_the_next_run_begins() -> None:
    first = bench_of(hold_s=3600)
    first.list(*without("abcdef"))
    second = restarted(first, 3700)
    listed(second, first, without("abcdef"))
    assert pooled(second) == "ghij"


def test_list_hold_counts_on_though_the_source_is_away_at_the_start() -> None:
    first = bench_of(hold_s=3600)
    first.list(*without("abcdef"))
    first.clock.advance(1000)
    second = restarted(first)
    listed(second, first, without(""), disk=True)
    second.clock.advance(1000)
    third = restarted(second)
    listed(third, second, without(""), disk=True)
    third.list(*without("abcdef"))
    third.clock.advance(1600 - 11)
    assert pooled(third) == TEN
    third.clock.advance(1)
    assert pooled(third) == "ghij"


def test_the_window_stands_still_though_the_source_is_away_at_the_start() -> None:
    first = bench_of()
    first.list(*without("abcde"))
    first.list(*without("abcdef"))
    assert first.snapshot().held
    second = restarted(first)
    listed(second, first, without("abcde"), disk=True)
    second.clock.advance(2000)
    second.list(*without("abcdef"))
    assert pooled(second) == "fghij"


def test_a_change_that_was_taken_back_meanwhile_begins_anew() -> None:
    first = bench_of(hold_s=3600)
    first.list(*without("abcdef"))
    first.clock.advance(1800)
    second = restarted(first)
    listed(second, first, without(""))
    second.clock.advance(60)
    second.list(*without("abcdef"))
    second.clock.advance(1800)
    assert pooled(second) == TEN


# -- random histories -------------------------------------------------------------------------

HOSTS = "abcdefg"
said = st.sampled_from([Evidence.UP, Evidence.DOWN])
specs = st.builds(
    ServerSpec, st.sampled_from(HOSTS), st.sampled_from([0, 10, 10, 10]), st.booleans()
)
some_off = st.sets(st.sampled_from(HOSTS)).map(lambda off: without("".join(off), HOSTS))
lists = some_off | st.lists(specs, min_size=1, max_size=7, unique_by=lambda s: s.host)
actions = st.one_of(
    st.tuples(st.just("list"), lists),
    st.tuples(st.just("learn"), st.fixed_dictionaries({}, optional=dict.fromkeys(HOSTS, said))),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 10.0, 31.0, 400.0, 1000.0])),
    st.tuples(st.just("restart"), st.sampled_from([1.0, 100.0, 2000.0])),
)
histories = st.lists(actions, max_size=25)
floors = st.sampled_from([Fraction(n, 100) for n in (7, 33, 50, 66, 100)])
WINDOW_S = 900.0


class Runs:
    """A guard over restarts, each by way of the file that is kept; all servers have addresses.
    `truth` is what monitors said last, whichever run they said it to."""

    def __init__(self, directory: Path, floor: Fraction) -> None:
        self.file = list_file(directory, "svc", "http://x/")
        self.rules = GuardRules(floor, WINDOW_S)
        self.guard = new_guard(self.rules)
        self.known = dict.fromkeys(HOSTS, Evidence.TAKEN_FOR_UP)
        self.truth: dict[str, Evidence] = {}
        self.at = 0.0

    def play(self, action: tuple[str, object]) -> tuple[ListGuard, ListGuard]:
        before = self.guard
        match action:
            case "list", list(servers):
                self._forget([spec.host for spec in servers if spec.host not in before.in_force])
                self.guard, _ = in_one_go(take_list(self.guard, servers, self.known, self.at))
            case "learn", dict(news):
                self.known |= news
                self.truth |= news
                self.guard, _ = in_one_go(reconsider(before, self.known, self.at))
            case "wait", float(seconds):
                self.at += seconds
                self.guard, _ = in_one_go(reconsider(before, self.known, self.at))
            case "restart", float(seconds) if before.in_force:
                self._leave()
                self.at += seconds
                servers = list(before.wanted.values())
                self._go_on(servers)
                self.guard, _ = in_one_go(take_list(self.guard, servers, self.known, self.at))
        return before, self.guard

    def _forget(self, come: list[str]) -> None:
        """What comes again is new, unless monitors have spoken of it in this run."""
        unknown = [host for host in come if self.known[host] is Evidence.TAKEN_FOR_UP]
        self.truth = {host: up for host, up in self.truth.items() if host not in unknown}

    def _leave(self) -> None:
        past = left_behind(self.guard, self._unproven(), self.at)
        cached = CachedList(tuple(self.guard.in_force.values()), 0.0, past)
        kept = self.file.parse(self.file.render(cached))
        assert kept == cached._replace(same_clock=False)
        self.known = dict.fromkeys(HOSTS, Evidence.TAKEN_FOR_UP)
        self.truth = {h: up for h, up in self.truth.items() if h in self.guard.in_force}
        self.left = kept

    def _unproven(self) -> tuple[str, ...]:
        down = {h for h in self.guard.in_force if self.known[h] is Evidence.DOWN}
        new = {
            host
            for host, arrival in self.guard.arrivals.items()
            if not arrival.first and use(self.known[host], arrival, self.at) is not Use.WORKS
        }
        return tuple(sorted(down | new | still_doubted(self.guard.doubted, self.known)))

    def _go_on(self, servers: list[ServerSpec]) -> None:
        found = SourceList(tuple(servers), self.left.servers, self.left.past)
        self.guard = begun(new_guard(self.rules), found, self.known, self.at)

    def working(self, guard: ListGuard, *, believed: bool = False) -> set[str]:
        """Those that were seen to work; those also of which nobody has said anything yet, if they
        are `believed`."""
        by_default = Evidence.UP if believed else None
        return {
            host
            for host, spec in guard.in_force.items()
            if counts(spec) and self.truth.get(host, by_default) is Evidence.UP
        }


@given(floors, histories)
def test_no_restart_lets_a_list_take_more_than_it_could_have_taken_without(
    tmp_path_factory: pytest.TempPathFactory, floor: Fraction, history: list[tuple[str, object]]
) -> None:
    """All monitors have spoken once, so that evidence is all that counts."""
    runs = Runs(tmp_path_factory.getbasetemp(), floor)
    runs.play(("learn", dict.fromkeys(HOSTS, Evidence.UP)))
    for action in history:
        before, after = runs.play(action)
        had, has = runs.working(before), runs.working(after, believed=True)
        gone = had - has
        if gone and len(has) < len(had):
            reference = before.reference
            if reference is None:
                reference = before.window.enabled_at_start(runs.at)
            # One alone may go in any case, be it with others for which there is room.
            enough = len(has) >= reference * floor - 1
            lone = len(gone) == 1 and len({*after.window.taken, *gone}) == 1
            assert enough or lone, (before, after)


@given(floors, histories)
def test_a_restart_releases_nothing_and_holds_no_addition(
    tmp_path_factory: pytest.TempPathFactory, floor: Fraction, history: list[tuple[str, object]]
) -> None:
    runs = Runs(tmp_path_factory.getbasetemp(), floor)
    runs.play(("learn", dict.fromkeys(HOSTS, Evidence.UP)))
    for action in history:
        before, after = runs.play(action)
        if action[0] == "restart" and before.in_force:
            assert dict(after.in_force) == dict(before.in_force)
            times = {h: change.at for change in before.kept for h in change.hosts}
            assert times == {h: change.at for change in after.kept for h in change.hosts}


def test_services_do_not_all_write_in_the_same_moment() -> None:
    after = [saved_after_s(f"service-{number}", 0, 1e6) for number in range(200)]
    assert min(after) >= 5.0
    assert 7.5 < max(after) < 8.0
