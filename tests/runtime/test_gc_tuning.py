"""These change the process's own collector, and put it back."""

from __future__ import annotations

import gc
import random
import weakref
from collections.abc import Iterator

import pytest
from twisted.internet.task import Clock
from twisted.logger import Logger

from pybal.runtime.gc_tuning import NEVER, YOUNG, tune_garbage_collection
from pybal.sources.poller import Poller


@pytest.fixture(autouse=True)
def own_collector() -> Iterator[None]:
    thresholds, callbacks = gc.get_threshold(), list(gc.callbacks)
    gc.collect()
    yield
    gc.unfreeze()
    gc.callbacks[:] = callbacks
    gc.set_threshold(*thresholds)
    gc.enable()


class Knot:
    def __init__(self) -> None:
        self.itself = self


def test_while_the_start_goes_on_all_objects_are_never_searched() -> None:
    clock = Clock()
    tune_garbage_collection(clock)
    assert gc.get_threshold() == (*YOUNG, NEVER)
    clock.advance(59)
    assert gc.get_threshold() == (*YOUNG, NEVER)
    assert gc.get_freeze_count() == 0
    clock.advance(1)
    assert gc.get_threshold()[:2] == YOUNG
    assert gc.get_threshold()[2] < 10
    assert gc.get_freeze_count() > 0, "what the start has made is passed over from now on"


def test_what_a_search_found_in_use_is_passed_over_by_the_next() -> None:
    clock = Clock()
    tune_garbage_collection(clock)
    clock.advance(60)
    knots = [Knot()]
    gc.collect()
    standing = gc.get_freeze_count()
    knots.clear()
    assert gc.collect() == 0
    assert gc.get_freeze_count() >= standing


@pytest.mark.slow
def test_again_and_again_a_search_of_everything_finds_what_was_passed_over() -> None:
    clock = Clock()
    tune_garbage_collection(clock)
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

    poller = Poller(
        clock, random.Random(1), Logger(), poll, interval_s=1.0, retry_s=1.0, max_retry_s=1.0
    )
    poller.start()
    gc.collect()
    gc.disable()
    clock.pump([0.2] * 500)
    assert gc.collect() < 50, "of a hundred pauses"
    poller.stop()
