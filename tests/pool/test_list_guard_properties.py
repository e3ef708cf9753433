"""What holds for the guard of a pool list after any history."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pybal.model import ServerSpec
from pybal.pool.arrivals import ARRIVAL_S, Evidence
from pybal.pool.list_changes import counts
from pybal.pool.list_guard import (
    GuardRules,
    ListGuard,
    confirm,
    new_guard,
    reconsider,
    take_list,
)
from pybal.runtime.pieces import in_one_go
from tests.pool.list_story import DOWN, UP, WINDOW_S

# -- random histories --------------------------------------------------------------------------

HOSTS = "abcdefg"

hosts = st.sampled_from(HOSTS)

specs = st.builds(ServerSpec, hosts, st.sampled_from([0, 10, 10, 10, 7]), st.booleans())

lists = st.lists(specs, max_size=7, unique_by=lambda spec: spec.host)

# Who is doubted the guard finds out by itself (ListGuard.doubted); nobody tells it so.
told = st.sampled_from([each for each in Evidence if each is not Evidence.DOUBTED])

actions = st.one_of(
    st.tuples(st.just("list"), lists),
    st.tuples(st.just("learn"), st.dictionaries(hosts, told)),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 10.0, 31.0, 400.0, 1000.0])),
)

histories = st.lists(actions, max_size=25)

floors = st.sampled_from([Fraction(n, 100) for n in (0, 7, 33, 50, 66, 100)])


class History:
    """A guard, and beside it what a witness notes of it."""

    def __init__(self, floor: Fraction) -> None:
        self.floor = floor
        self.guard = new_guard(GuardRules(floor, WINDOW_S))
        self.known: dict[str, Evidence] = {}
        self.at = 0.0
        self.counts: list[tuple[float, int]] = []
        self.taken: dict[str, float] = {}
        self.came: dict[str, float] = {}
        self.first_at = math.nan

    def play(self, action: tuple[str, object]) -> tuple[ListGuard, ListGuard]:
        before = self.guard
        match action:
            case "list", list(servers):
                self.guard, _ = in_one_go(take_list(before, servers, self.known, self.at))
            case "learn", dict(news):
                self.known |= news
                self.guard, _ = in_one_go(reconsider(before, self.known, self.at))
            case "wait", float(seconds):
                self.at += seconds
                self.guard, _ = in_one_go(reconsider(before, self.known, self.at))
        self._witness(before)
        return before, self.guard

    def _witness(self, before: ListGuard) -> None:
        serving = {h for h, spec in self.guard.in_force.items() if counts(spec)}
        gone = {h for h, spec in before.in_force.items() if counts(spec)} - serving
        works = [h for h in gone if self.known.get(h) is UP]
        self.taken = {
            h: when
            for h, when in (self.taken | dict.fromkeys(works, self.at)).items()
            if h not in serving and when > self.at - WINDOW_S
        }
        self.counts.append((self.at, len(serving)))
        self.came = {h: self.came.get(h, self.at) for h in self.guard.in_force}
        if not before.in_force:
            self.first_at = self.at

    def enabled_at_start(self) -> int:
        known = [count for at, count in self.counts if at <= self.at - WINDOW_S]
        later = [count for at, count in self.counts if at > self.at - WINDOW_S]
        return next(filter(None, [*known[-1:], *later]), 0)

    def working(self, specs: Iterable[ServerSpec], *, believed: bool = False) -> set[str]:
        """Those that were seen to work; those also that are just taken for up, if `believed`."""
        return {s.host for s in specs if counts(s) and self._works(s.host, believed)}

    def _works(self, host: str, believed: bool) -> bool:
        taken_for_up = self.known.get(host) is Evidence.TAKEN_FOR_UP
        came = self.came.get(host, self.at)
        trusted = came == self.first_at or self.at >= came + ARRIVAL_S
        return self.known.get(host) is UP or (believed and taken_for_up and trusted)


@given(floors, histories)
def test_lists_take_no_pool_below_the_smaller_of_its_floor_and_what_works(
    floor: Fraction, history: list[tuple[str, object]]
) -> None:
    story = History(floor)
    for action in history:
        before, after = story.play(action)
        had = story.working(before.in_force.values())
        has = story.working(after.in_force.values(), believed=True)
        if len(has) < len(had) and had - has:
            # While a change is kept the window stands still.
            start = before.reference
            start = story.enabled_at_start() if start is None else start
            enough = len(has) >= start * floor
            replaced = len(had) >= start and len(had - has) == 1
            assert enough or replaced or len(story.taken) <= 1, (before, after)


@given(floors, histories)
def test_no_history_holds_an_addition_or_a_weight(
    floor: Fraction, history: list[tuple[str, object]]
) -> None:
    story = History(floor)
    for action in history:
        _, after = story.play(action)
        kept = {host for change in after.kept for host in change.hosts}
        for host, spec in after.wanted.items():
            assert after.in_force[host] == spec or (host in kept and not counts(spec))
        assert set(after.in_force) == set(after.wanted) | kept
        assert all(counts(after.in_force[host]) for host in kept)


@given(histories)
def test_a_floor_of_0_is_the_old_way(history: list[tuple[str, object]]) -> None:
    story = History(Fraction(0))
    for action in history:
        _, after = story.play(action)
        match action:
            case "list", [_, *_] as servers:
                assert list(after.in_force.values()) == servers
        assert after.kept == ()


seen = st.sampled_from([UP, DOWN])


def is_proven(action: tuple[str, Any]) -> bool:
    return action[0] != "learn" or {*action[1].values()} <= {UP, DOWN}


proven = st.lists(
    st.one_of(actions, st.tuples(st.just("learn"), st.dictionaries(hosts, seen))).filter(is_proven),
    max_size=25,
)


@given(floors, proven)
def test_time_alone_applies_nothing_that_is_held(
    floor: Fraction, history: list[tuple[str, object]]
) -> None:
    story = History(floor)
    story.known = dict.fromkeys(HOSTS, UP)
    for action in history:
        before, after = story.play(action)
        if action[0] == "wait":
            held = {h for change in before.kept if change.held for h in change.hosts}
            still = {h for change in after.kept if change.held for h in change.hosts}
            assert still >= held


@given(floors, histories)
def test_confirmation_leaves_nothing_kept_and_the_list_as_it_is_wanted(
    floor: Fraction, history: list[tuple[str, object]]
) -> None:
    story = History(floor)
    for action in history:
        story.play(action)
    after, _ = confirm(story.guard, story.known, story.at)
    assert after.kept == ()
    assert after.in_force == after.wanted


@given(floors, histories)
def test_the_same_question_twice_has_the_same_answer(
    floor: Fraction, history: list[tuple[str, object]]
) -> None:
    story = History(floor)
    for action in history:
        _, after = story.play(action)
        if action[0] == "list":
            # Of a list's servers that go at once nothing is pending any more, as the daemon sees
            # by asking again: if nobody works then, all count.
            after = story.guard = in_one_go(reconsider(after, story.known, story.at))[0]
        again, notices = in_one_go(reconsider(after, story.known, story.at))
        assert again == replace(after, arrivals=again.arrivals)
        assert notices == ()
