"""These change the process's own collector, and put it back."""

from __future__ import annotations

import gc
import random
import threading
import weakref
from collections.abc import Callable, Iterator

import pytest
from twisted.internet.task import Clock
from twisted.logger import Logger

from pybal.runtime.gc_tuning import (
    LOOK_EVERY_S,
    MANY_PASSED_OVER,
    MOST_SEARCHED,
    NEVER,
    PASSED_OVER,
    SETTLED_AFTER_S,
    STORM_S,
    YOUNG,
    Searches,
    tune_garbage_collection,
)
from pybal.sources.poller import Pauses, Poller


@pytest.fixture(autouse=True)
def own_collector() -> Iterator[None]:
    """What there is already is passed over: to search it takes long."""
    thresholds, callbacks = gc.get_threshold(), list(gc.callbacks)
    gc.freeze()
    yield
    gc.unfreeze()
    gc.callbacks[:] = callbacks
    gc.set_threshold(*thresholds)
    gc.enable()


def at_once(work: Callable[[], None]) -> None:
    """Nobody would take this process for dead meanwhile."""
    work()


class Knot:
    def __init__(self) -> None:
        self.itself = self


def test_while_the_start_goes_on_all_objects_are_never_searched() -> None:
    clock = Clock()
    tune_garbage_collection(clock, at_once)
    assert gc.get_threshold() == (*YOUNG, NEVER)
    before = gc.get_freeze_count()
    made_at_the_start = [Knot() for _ in range(200)]
    clock.advance(SETTLED_AFTER_S - 1)
    assert gc.get_threshold() == (*YOUNG, NEVER)
    assert gc.get_freeze_count() <= before, "some may have gone"
    clock.advance(1)
    assert gc.get_threshold()[:2] == YOUNG
    assert gc.get_threshold()[2] < 10
    passed_over = gc.get_freeze_count() - before
    assert passed_over > len(made_at_the_start) / 2, "what the start has made, from now on"


def test_what_a_search_found_in_use_is_passed_over_by_the_next() -> None:
    clock = Clock()
    tune_garbage_collection(clock, at_once)
    clock.advance(60)
    knot = Knot()
    gone = weakref.ref(knot)
    gc.collect()
    del knot
    assert gc.collect() == 0
    assert gone() is not None


class Storm:
    """Searches by a thread that works all the time, or a tenth of it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.cpu_s = 0.0
        self.stands_still: list[Callable[[], None]] = []
        self.searches = Searches(self.clock, self.stands_still.append, lambda: self.cpu_s)
        self.searches.begin()
        self.searches.settle()

    def search(self, share: float = 1.0) -> bool:
        """Whether it finds what is garbage."""
        self.clock.advance(STORM_S)
        self.cpu_s += STORM_S * share
        return finds()


def finds() -> bool:
    """Whether a search of what is new finds what is garbage."""
    knot = Knot()
    gone = weakref.ref(knot)
    del knot
    gc.collect(0)
    return gone() is None


def test_in_a_storm_what_is_new_is_passed_over_until_the_search_of_everything() -> None:
    storm = Storm()
    assert storm.search(share=0.1)
    assert not storm.search()
    assert not finds(), "the storm goes on"
    knot = Knot()
    gone = weakref.ref(knot)
    del knot
    gc.collect(1)
    storm.searches.search_all()
    assert gone() is None
    assert storm.search(share=0.1)


def is_searched_among(count: int, generation: int = 0) -> bool:
    """Whether a search finds what is garbage among so many new objects. None has come for these
    yet: as if as many old ones had gone meanwhile."""
    knot = Knot()
    gone = weakref.ref(knot)
    gc.disable()
    others: list[list[object]] = [[] for _ in range(count)]
    del knot
    gc.collect(generation)
    gc.enable()
    del others
    return gone() is None


@pytest.mark.parametrize("generation", [0, 1, 2])
@pytest.mark.parametrize(("share", "is_searched"), [(0.9, True), (1.1, False), (3.0, False)])
def test_what_would_take_long_to_search_is_passed_over_though_the_storm_is_over(
    generation: int, share: float, is_searched: bool
) -> None:
    storm = Storm()
    storm.clock.advance(STORM_S)
    gc.freeze()
    assert is_searched_among(int(share * MOST_SEARCHED), generation) is is_searched
    assert finds(), "what came later is not much"


def test_the_objects_of_all_generations_that_are_searched_count_together() -> None:
    storm = Storm()
    storm.clock.advance(STORM_S)
    gc.freeze()
    gc.disable()
    older: list[list[object]] = [[] for _ in range(int(0.6 * MOST_SEARCHED))]
    gc.collect(0)
    assert is_searched_among(int(0.6 * MOST_SEARCHED), generation=0)
    assert not is_searched_among(int(0.6 * MOST_SEARCHED), generation=1)
    del older


def test_not_all_long_searches_are_passed_over() -> None:
    storm = Storm()
    for _ in range(PASSED_OVER - 1):
        storm.search()
    storm.clock.advance(STORM_S)
    gc.freeze()
    assert not is_searched_among(2 * MOST_SEARCHED)
    assert is_searched_among(2 * MOST_SEARCHED)
    storm.searches.search_all()
    assert not is_searched_among(2 * MOST_SEARCHED)


@pytest.mark.parametrize(("share", "is_searched"), [(0.45, True), (0.55, False)])
def test_a_storm_takes_more_than_half_of_the_time(share: float, is_searched: bool) -> None:
    assert STORM_S <= 0.1, "longer would be felt"
    assert Storm().search(share=share) is is_searched


def test_the_start_is_a_storm_and_costs_later_ones_nothing() -> None:
    clock = Clock()
    tune_garbage_collection(clock, at_once, lambda: max(0.0, clock.seconds() - SETTLED_AFTER_S))

    passed_over = 0
    while not finds():
        passed_over += 1
        clock.advance(STORM_S / PASSED_OVER)
    assert passed_over == PASSED_OVER
    clock.advance(SETTLED_AFTER_S - 1)
    assert finds(), "not all are passed over"
    clock.advance(1)
    clock.advance(STORM_S)
    assert not finds(), "another storm"


def test_what_another_thread_makes_is_searched_in_a_storm_too() -> None:
    storm = Storm()
    storm.search()
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(finds()))
    thread.start()
    thread.join()
    assert found == [True]


def test_during_the_start_a_search_of_any_thread_is_passed_over() -> None:
    clock = Clock()
    tune_garbage_collection(clock, at_once, clock.seconds)
    knot = Knot()
    gone = weakref.ref(knot)
    del knot
    thread = threading.Thread(target=gc.collect, args=(0,))
    thread.start()
    thread.join()
    assert gone() is not None, "it would search what the reactor's thread makes, too"


def test_not_all_searches_are_passed_over_however_long_a_storm_lasts() -> None:
    storm = Storm()
    passed_over = 0
    while not storm.search():
        passed_over += 1
    assert passed_over == PASSED_OVER
    storm.searches.search_all()
    assert not storm.search()


def test_what_many_searches_pass_over_does_not_gather_for_hours() -> None:
    storm = Storm()
    storm.searches.look()
    knot = Knot()
    gone = weakref.ref(knot)
    del knot
    for _ in range(MANY_PASSED_OVER - 1):
        assert not storm.search()
    storm.clock.advance(LOOK_EVERY_S)
    assert not storm.stands_still
    while storm.search():
        """It takes a moment until that is a storm again."""
    storm.clock.advance(LOOK_EVERY_S)
    (search_all,) = storm.stands_still
    assert gone() is not None, "all are searched only once nobody is misled by that"
    search_all()
    assert gone() is None
    storm.clock.advance(LOOK_EVERY_S)
    assert len(storm.stands_still) == 1


@pytest.mark.slow
def test_again_and_again_a_search_of_everything_finds_what_was_passed_over() -> None:
    clock = Clock()
    tune_garbage_collection(clock, at_once)
    clock.advance(60)
    for _ in range(2):
        knot = Knot()
        gone = weakref.ref(knot)
        gc.collect()
        del knot
        gc.collect()
        assert gone() is not None
        clock.advance(5 * 3600)
        assert gone() is not None
        clock.advance(3600)
        assert gone() is None


@pytest.mark.slow
def test_the_pauses_of_a_poller_leave_no_garbage() -> None:
    clock = Clock()

    async def poll() -> bool:
        return True

    poller = Poller(clock, random.Random(1), Logger(), poll, Pauses(1.0, 1.0, 1.0))
    poller.start()
    gc.collect()
    gc.disable()
    clock.pump([0.2] * 500)
    assert gc.collect() < 50, "of a hundred pauses"
    poller.stop()
