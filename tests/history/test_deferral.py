"""What is noted in a storm waits for leisure, and keeps its order."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from pybal.history.deferral import AT_ONCE, MOST_WAITING, Deferral
from pybal.runtime.time_slices import LEISURE_WITHIN_S, QUIET_S, SLICE_S, TimeSlices
from tests.fakes.deferreds import result_of
from tests.fakes.log import FakeLog
from tests.fakes.turns import Reactor


class Rig:
    def __init__(self, clock: Any = None) -> None:
        self.clock = clock or Clock()
        self.log = FakeLog()
        self.noted: list[int] = []
        self.deferral = Deferral(self.clock, TimeSlices(self.clock), self.log.logger("history"))

    def flush(self, within_s: float) -> int:
        left = Deferred.fromCoroutine(self.deferral.flush(within_s))
        while not left.called:
            self.clock.advance(0)
        return result_of(left)

    def take(self, count: int, first: int = 0) -> None:
        for number in range(first, first + count):
            self.deferral.take(self.noted.append, number)


def test_a_few_are_noted_at_once() -> None:
    rig = Rig()
    rig.take(AT_ONCE)
    assert rig.noted == list(range(AT_ONCE))
    rig.clock.advance(0)
    rig.take(1, AT_ONCE)
    assert rig.noted == list(range(AT_ONCE + 1))
    rig.clock.advance(0)
    assert rig.clock.getDelayedCalls() == []


def test_of_many_the_rest_waits_and_all_are_noted_in_order() -> None:
    rig = Rig()
    rig.take(AT_ONCE + 50)
    assert rig.noted == list(range(AT_ONCE))
    rig.clock.advance(0)
    rig.clock.advance(0)
    assert rig.noted == list(range(AT_ONCE + 50))
    rig.take(1, AT_ONCE + 50)
    assert rig.noted[-1] == AT_ONCE + 50


@pytest.mark.parametrize("slices", [0.1, 0.4, 1.0, 5.0])
def test_those_that_take_long_take_no_turn_for_long(slices: float) -> None:
    reactor = Reactor()
    rig = Rig(reactor)

    def note(number: int) -> None:
        reactor.now_s += slices * SLICE_S
        rig.noted.append(number)

    for number in range(AT_ONCE + 100):
        rig.deferral.take(note, number)
    rig.noted.clear()
    while reactor.calls:
        before_s = reactor.now_s
        reactor.turn()
        assert reactor.now_s - before_s < (2.01 + slices) * SLICE_S
    assert rig.noted == list(range(AT_ONCE, AT_ONCE + 100))


def test_what_comes_while_others_wait_comes_after_them() -> None:
    rig = Rig()
    rig.take(AT_ONCE + 1)
    rig.deferral._next_turn()
    rig.take(1, AT_ONCE + 1)
    assert rig.noted == list(range(AT_ONCE))
    assert rig.flush(1.0) == 0
    assert rig.noted == list(range(AT_ONCE + 2))


def test_what_a_note_brings_comes_before_what_has_happened_since() -> None:
    """The decisions of a list before the reports that followed it, which replaced them."""
    rig = Rig()
    rig.take(AT_ONCE)

    def brings() -> None:
        rig.take(50, AT_ONCE)
        raise ValueError("and fails")

    rig.deferral.take(brings)
    rig.take(30, AT_ONCE + 50)
    assert rig.flush(1.0) == 0
    assert rig.noted == list(range(AT_ONCE + 80))


def test_none_waits_much_longer_than_it_may_however_busy_all_turns_are() -> None:
    reactor = Reactor()
    rig = Rig(reactor)
    rig.take(AT_ONCE + 500)
    busy_s = QUIET_S * 2
    for _ in range(int(LEISURE_WITHIN_S / busy_s) + 10):
        reactor.now_s += busy_s
        reactor.turn()
    assert rig.noted == list(range(AT_ONCE + 500))


def test_more_wait_than_may_wait() -> None:
    rig = Rig()
    rig.take(AT_ONCE + MOST_WAITING + 1)
    assert AT_ONCE < len(rig.noted) < AT_ONCE + 100
    assert rig.flush(1.0) == 0
    assert rig.noted == list(range(AT_ONCE + MOST_WAITING + 1))


def test_a_note_that_fails_takes_none_of_the_others() -> None:
    rig = Rig()
    rig.take(AT_ONCE)
    rig.deferral.take(lambda: 1 // 0)
    rig.take(1, AT_ONCE)
    assert rig.flush(1.0) == 0
    assert rig.noted[-1] == AT_ONCE
    (line,) = rig.log.lines
    assert "ZeroDivisionError" in line


def test_a_flush_in_the_midst_of_a_storm_has_an_end() -> None:
    rig = Rig()
    rig.take(AT_ONCE)

    def slow() -> None:
        rig.clock.rightNow += 0.01

    for _ in range(1000):
        rig.deferral.take(slow)
    turns: list[None] = []
    rig.clock.callLater(0, turns.append, None)
    left = rig.flush(0.3)
    assert turns  # Others had theirs.
    assert 1000 - left == pytest.approx(30, abs=10)
    assert rig.flush(0.3) == 0
    rig.take(1, 100)
    rig.clock.pump([0.0] * 5)
    assert rig.noted[-1] == 100


def test_a_note_that_brings_thousands_does_not_have_them_taken_in_its_own_turn() -> None:
    rig = Rig()
    rig.take(AT_ONCE)
    for _ in range(10):
        rig.deferral.take(rig.take, MOST_WAITING // 4, AT_ONCE)
    rig.take(MOST_WAITING - 9, AT_ONCE)
    assert len(rig.noted) == AT_ONCE
    assert rig.flush(1.0) == 0
    assert len(rig.noted) == AT_ONCE + 10 * (MOST_WAITING // 4) + MOST_WAITING - 9
