"""A deadline may move with every message, and costs a timer only now and then."""

from __future__ import annotations

from twisted.internet.task import Clock

from pybal.bgp.deadline import DeadlineTimer


class Rig:
    def __init__(self) -> None:
        self.clock = Clock()
        self.fired: list[float] = []
        self.timer = DeadlineTimer(self.clock, lambda: self.fired.append(self.clock.seconds()))

    @property
    def calls(self) -> list[float]:
        return [call.getTime() for call in self.clock.getDelayedCalls()]  # type: ignore[misc]


def test_it_fires_once_at_its_deadline() -> None:
    rig = Rig()
    rig.timer.set(3.0)
    rig.clock.advance(2.9)
    assert rig.fired == []
    rig.clock.pump([0.1, 5.0])
    assert rig.fired == [3.0]
    assert rig.calls == []


def test_one_that_has_come_already_fires_in_the_next_turn() -> None:
    rig = Rig()
    rig.clock.advance(9)
    rig.timer.set(4.0)
    assert rig.fired == []
    rig.clock.advance(0)
    assert rig.fired == [9.0]


def test_one_that_moves_away_keeps_its_timer_and_who_is_called_sets_it_again() -> None:
    rig = Rig()
    rig.timer.set(3.0)
    for moved in (3.0, 4.0, 5.0):
        rig.timer.set(moved)
        assert rig.calls == [3.0]
    rig.clock.advance(3)
    assert rig.fired == [3.0]
    rig.timer.set(5.0)
    assert rig.calls == [5.0]


def test_one_that_comes_nearer_or_goes_is_heeded_at_once() -> None:
    rig = Rig()
    rig.timer.set(3.0)
    rig.timer.set(2.0)
    assert rig.calls == [2.0]
    rig.timer.set(None)
    assert rig.calls == []
    rig.timer.set(None)
    rig.clock.advance(9)
    assert rig.fired == []
