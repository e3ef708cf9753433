"""Of first checks that wait none is forgotten, whatever comes and goes meanwhile."""

from __future__ import annotations

import errno
from random import Random

import pytest
from twisted.internet.task import Clock

from pybal.health.local_faults import LocalFaults
from pybal.monitors.first_checks import FirstChecks, Turn
from tests.fakes.log import FakeLog
from tests.fakes.network import os_error

_LONG_S = 60.0


class World:
    """Monitors that start, are stopped, stop one another as they begin, start others, meet local
    faults and take long; the process is held up now and then."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.clock = Clock()
        self.cpu_s = 0.0
        self.faults = LocalFaults(self.clock.seconds, FakeLog().logger("x"))
        self.first_checks = FirstChecks(self.clock, self.faults, lambda: self.cpu_s)
        self.turns: dict[int, Turn] = {}
        self.begun: set[int] = set()
        self.cancelled: set[int] = set()

    def add(self) -> None:
        number = len(self.turns)
        host = f"h{self.random.randrange(30)}"
        self.turns[number] = self.first_checks.turn(host, lambda: self.begin(number))

    def begin(self, number: int) -> None:
        assert number not in self.begun | self.cancelled
        self.begun.add(number)
        took_s = self.random.choice([0.0, 0.0001, 0.001, 0.03])
        self.clock.rightNow += took_s
        self.cpu_s += took_s
        chance = self.random.random()
        if chance < 0.1:
            self.cancel()
        elif chance < 0.15:
            self.cancel_all()
        elif chance < 0.25:
            self.add()
        elif chance < 0.3:
            self.faults.note(os_error(errno.EMFILE))

    def cancel(self) -> None:
        number = self.random.randrange(len(self.turns))
        if self.turns[number].waits:
            self.cancelled.add(number)
        self.turns[number].cancel()

    def cancel_all(self) -> None:
        for number, turn in self.turns.items():
            if turn.waits:
                self.cancelled.add(number)
            turn.cancel()

    def act(self) -> None:
        chance = self.random.random()
        if chance < 0.5:
            for _ in range(self.random.choice([1, 1, 2, 40])):
                self.add()
        elif chance < 0.6 and self.turns:
            self.cancel()
        elif chance < 0.62:
            self.cancel_all()
        self.clock.advance(self.random.choice([0.0, 0.0, 0.001, 0.01, 0.4]))


@pytest.mark.parametrize("seed", range(40))
def test_each_begins_once_unless_it_is_stopped(seed: int) -> None:
    world = World(seed)
    for _ in range(60):
        world.act()
    ends_at_s = world.clock.seconds() + _LONG_S
    while world.clock.getDelayedCalls() and world.clock.seconds() < ends_at_s:
        world.clock.advance(0.01)
    assert world.begun | world.cancelled == world.turns.keys()
    assert len(world.begun) > 10
    assert world.clock.getDelayedCalls() == [], "nothing ticks on for nobody"
