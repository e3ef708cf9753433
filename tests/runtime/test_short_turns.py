"""A turn of the reactor takes events for a while, and those that wait are told of again."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from pybal.runtime.short_turns import AT_ONCE, EVENTS_S, ShortTurns, take_short_turns


class Reader:
    """Reads what there is, which takes its time."""

    def __init__(self, bench: Bench, number: int) -> None:
        self.bench = bench
        self.number = number
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.fails = self.loses_badly = False
        bench.reactor.addReader(self)

    def fileno(self) -> int:
        return self.near.fileno()

    def doRead(self) -> None:  # noqa: N802
        self.near.recv(100)
        self.bench.clock.rightNow += self.bench.each_s
        self.bench.read.append(self.number)
        if self.fails:
            raise OSError(errno.EIO, "broken")

    def connectionLost(self, reason: Any) -> None:
        if self.loses_badly:
            raise RuntimeError

    def close(self) -> None:
        self.bench.reactor.removeReader(self)
        self.near.close()
        self.far.close()


class Bench:
    """A reactor that does not run, but iterates when it is told to."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.reactor = EPollReactor()
        self.reactor.seconds = self.clock.seconds
        self.turns = ShortTurns(self.reactor)
        self.each_s = 0.0
        self.read: list[int] = []
        self.readers: list[Reader] = []

    def write_to(self, count: int) -> list[Reader]:
        self.readers += (Reader(self, number) for number in range(count))
        for reader in self.readers:
            reader.far.send(b"x")
        return self.readers


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    for reader in made.readers:
        reader.close()
    made.reactor._poller.close()


def test_few_events_are_one_turn(bench: Bench) -> None:
    bench.each_s = EVENTS_S
    bench.write_to(5)
    bench.turns.iterate(0)
    assert sorted(bench.read) == [0, 1, 2, 3, 4]


def test_many_events_take_several_turns_and_nobody_is_passed_over(bench: Bench) -> None:
    bench.each_s = EVENTS_S / 20
    bench.write_to(AT_ONCE * 4)
    bench.turns.iterate(0)
    assert AT_ONCE <= len(bench.read) < AT_ONCE * 3
    for _ in range(4):
        bench.turns.iterate(0)
    assert sorted(bench.read) == list(range(AT_ONCE * 4))


def test_those_that_failed_come_before_those_that_wait_longer(bench: Bench) -> None:
    bench.each_s = EVENTS_S / 20
    *_, last = bench.write_to(AT_ONCE * 3)
    last.near.recv(1)
    last.far.close()
    bench.turns.iterate(0)
    assert len(bench.read) < AT_ONCE * 3 - 1
    assert last.number in bench.read


def test_a_descriptor_that_is_another_ones_by_now_is_left_alone(bench: Bench) -> None:
    first, second = bench.write_to(2)
    taken = []

    class Closer(Reader):
        def doRead(self) -> None:  # noqa: N802
            super().doRead()
            other = second if first is self else first
            number = other.fileno()
            other.close()
            taken.append(os.dup2(self.far.fileno(), number))
            newcomer = Reader.__new__(Reader)
            newcomer.bench, newcomer.number = bench, 99
            newcomer.near, newcomer.far = socket.socket(fileno=number), self.far
            newcomer.near.setblocking(False)
            newcomer.fails = newcomer.loses_badly = False
            bench.reactor.addReader(newcomer)
            bench.readers.append(newcomer)

    first.__class__ = second.__class__ = Closer
    bench.turns.iterate(0)
    assert len(bench.read) == len(taken) == 1


def test_the_fault_of_one_ends_no_other(bench: Bench) -> None:
    first, *_ = bench.write_to(3)
    first.fails = first.loses_badly = True
    with capturedLogs() as logged:
        bench.turns.iterate(0)
    assert sorted(bench.read) == [0, 1, 2]
    assert any("could not be handled" in str(event.get("log_format")) for event in logged)


def test_another_kind_of_reactor_stays_as_it_is() -> None:
    clock = Clock()
    take_short_turns(clock)
    assert not hasattr(clock, "doIteration")
