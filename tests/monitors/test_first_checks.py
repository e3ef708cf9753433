"""First checks are begun in turn, and slower where this process has too much to do."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest
from twisted.internet.task import Clock

from pybal.health.local_faults import LocalFaults
from pybal.monitors.first_checks import FirstChecks, Turn
from tests.fakes.log import FakeLog
from tests.fakes.network import os_error

MANY = 12_000


class Bench:
    """`cost_s` is what each first check takes of the reactor's time."""

    def __init__(self, cost_s: float = 0.0) -> None:
        self.clock = Clock()
        self.faults = LocalFaults(self.clock.seconds, FakeLog().logger("x"))
        self.first_checks = FirstChecks(self.clock, self.faults, lambda: self.cpu_s)
        self.cost_s, self.cpu_s = cost_s, 0.0
        self.begun: list[tuple[float, str]] = []
        self.longest_s = 0.0

    def add(self, host: str, then: Callable[[], None] = lambda: None) -> Turn:
        def begin() -> None:
            self.begun.append((self.clock.seconds(), host))
            # The clock alone: no timer fires while a check is begun.
            self.clock.rightNow += self.cost_s
            self.cpu_s += self.cost_s
            then()

        return self.first_checks.turn(host, begin)

    def run(self, seconds: float) -> None:
        ends = self.clock.seconds() + seconds
        while self.clock.seconds() < ends:
            before = self.clock.seconds()
            self.clock.advance(0.001)
            self.longest_s = max(self.longest_s, self.clock.seconds() - before - 0.001)


def test_one_alone_begins_in_the_next_turn_and_never_at_once() -> None:
    bench = Bench()
    for _ in range(3):
        turn = bench.add("a")
        assert turn.waits
        begun = len(bench.begun)
        bench.clock.advance(0)
        assert (len(bench.begun), turn.waits) == (begun + 1, False)
        bench.run(0.1)
    assert bench.clock.getDelayedCalls() == []


@pytest.mark.parametrize("cost_s", [0.0, 0.0001, 0.0003])
def test_all_of_the_largest_director_begin_within_eight_seconds_and_stall_nothing(
    cost_s: float,
) -> None:
    bench = Bench(cost_s)
    for number in range(11_600):
        bench.add(f"h{number % 240}")
    bench.run(8)
    assert len(bench.begun) == 11_600
    assert bench.longest_s < 0.02


def test_a_process_that_is_slow_takes_its_time_and_is_not_stalled() -> None:
    bench = Bench(cost_s=0.002)
    for number in range(2000):
        bench.add(f"h{number}")
    bench.run(1)
    assert 100 < len(bench.begun) < 500
    assert bench.longest_s < 0.02
    bench.run(20)
    assert len(bench.begun) == 2000


def test_what_this_host_lacks_slows_them_down() -> None:
    bench = Bench()
    for number in range(4000):
        bench.add(f"h{number}", lambda: bench.faults.note(os_error(errno.EMFILE)))
    bench.run(2)
    assert len(bench.begun) < 600


def test_one_host_is_not_asked_for_all_its_services_at_once() -> None:
    bench = Bench()
    for number in range(1000):
        bench.add("one")
        bench.add(f"h{number}")
    bench.run(1)
    assert len({host for _, host in bench.begun}) > 900
    bench.run(12)
    own = [at for at, host in bench.begun if host == "one"]
    assert len(own) == 1000
    assert min(b - a for a, b in zip(own, own[25:], strict=False)) > 0.02


def test_those_that_are_cancelled_cost_nothing_and_hold_nobody_up() -> None:
    bench = Bench()
    turns = [bench.add(f"h{number}") for number in range(5000)]
    for turn in turns:
        turn.cancel()
        turn.cancel()
    bench.add("last")
    bench.run(0.2)
    assert [host for _, host in bench.begun] == ["last"]
    assert bench.clock.getDelayedCalls() == []
