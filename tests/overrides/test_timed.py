"""Things that end by themselves, on one timer."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from twisted.internet.base import DelayedCall
from twisted.internet.task import Clock

from pybal.overrides.timed import TimedEntries


class Rig:
    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.ended: list[list[str]] = []
        self.entries: TimedEntries[str] = TimedEntries(
            self.clock, lambda keys: self.ended.append(sorted(keys))
        )

    @property
    def wakes_in(self) -> list[float]:
        calls: Sequence[DelayedCall] = self.clock.getDelayedCalls()
        return [call.getTime() - self.clock.seconds() for call in calls]


def test_each_ends_in_its_time_with_one_timer_for_all() -> None:
    rig = Rig()
    rig.entries.put("late", 60.0)
    rig.entries.put("soon", 10.0)
    rig.entries.put("later", 90.0)
    assert rig.wakes_in == [10.0]
    rig.clock.advance(10.0)
    assert rig.ended == [["soon"]]
    assert rig.wakes_in == [50.0]
    rig.clock.advance(50.0)
    assert rig.ended == [["soon"], ["late"]]
    rig.clock.advance(30.0)
    assert rig.ended == [["soon"], ["late"], ["later"]]
    assert rig.wakes_in == []


def test_those_that_end_together_are_told_together() -> None:
    rig = Rig()
    rig.entries.put("a", 10.0)
    rig.entries.put("b", 10.0)
    rig.clock.advance(10.0)
    assert rig.ended == [["a", "b"]]


def test_the_last_word_counts() -> None:
    rig = Rig()
    rig.entries.put("a", 10.0)
    rig.entries.put("a", 60.0)
    rig.clock.advance(10.0)
    assert rig.ended == []
    assert rig.entries.left_s("a") == 50.0
    rig.clock.advance(50.0)
    assert rig.ended == [["a"]]


def test_how_much_is_left() -> None:
    rig = Rig()
    assert rig.entries.left_s("a") == 0.0
    rig.entries.put("a", 10.0)
    assert rig.entries.left_s("a") == 10.0
    rig.clock.advance(4.0)
    assert rig.entries.left_s("a") == 6.0
    rig.clock.advance(60.0)
    assert rig.entries.left_s("a") == 0.0


def test_what_is_forgotten_does_not_end() -> None:
    rig = Rig()
    rig.entries.forget("a")
    rig.entries.put("a", 10.0)
    rig.entries.put("b", 20.0)
    rig.entries.forget("a")
    rig.entries.forget("a")
    rig.clock.advance(15.0)
    assert rig.ended == []
    rig.clock.advance(5.0)
    assert rig.ended == [["b"]]
    rig.entries.put("c", 5.0)
    rig.entries.forget("c")
    assert rig.wakes_in == []


def test_who_comes_after_the_last_was_forgotten_ends_in_its_time() -> None:
    rig = Rig()
    rig.entries.put("a", 5.0)
    rig.entries.forget("a")
    rig.entries.put("b", 60.0)
    rig.clock.advance(60.0)
    assert rig.ended == [["b"]]


def test_nothing_is_left_of_what_was_never_there_on_a_young_clock() -> None:
    entries: TimedEntries[str] = TimedEntries(Clock(), lambda _: None)
    assert entries.left_s("a") == 0.0


def test_after_a_stop_nobody_is_called() -> None:
    rig = Rig()
    rig.entries.put("a", 10.0)
    rig.entries.stop()
    rig.entries.stop()
    assert rig.wakes_in == []
    assert rig.entries.left_s("a") == 0.0
    rig.clock.advance(60.0)
    assert rig.ended == []


def test_what_ends_at_once_ends_in_the_next_turn() -> None:
    rig = Rig()
    rig.entries.put("a", -5.0)
    assert rig.ended == []
    assert rig.wakes_in == [0.0]
    rig.clock.advance(0.0)
    assert rig.ended == [["a"]]


def test_who_is_told_may_put_more() -> None:
    clock = Clock()
    ended: list[str] = []

    def again(keys: Collection[str]) -> None:
        ended.extend(keys)
        if len(ended) < 3:
            entries.put("a", 10.0)

    entries: TimedEntries[str] = TimedEntries(clock, again)
    entries.put("a", 10.0)
    for _ in range(5):
        clock.advance(10.0)
    assert ended == ["a"] * 3
