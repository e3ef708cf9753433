"""Work that is asked for after each event of a large pool is done as often as there is time for."""

from __future__ import annotations

from twisted.internet.task import Clock

from pybal.pool.bounded import SERVERS_LOOKED_AT, WITHIN_S, BoundedWork


class Work:
    def __init__(self) -> None:
        self.clock = Clock()
        self.done = 0
        self.bounded = BoundedWork(self.clock, self.do)

    def do(self) -> None:
        self.done += 1


def test_in_a_small_pool_it_is_done_at_once_each_time() -> None:
    work = Work()
    for _ in range(100):
        work.bounded.ask(10)
    assert work.done == 100
    assert work.clock.getDelayedCalls() == []


def test_in_a_large_one_it_is_done_at_once_first_and_then_once_for_all() -> None:
    work = Work()
    for _ in range(1000):
        work.bounded.ask(SERVERS_LOOKED_AT)
    assert work.done == 1
    work.clock.advance(WITHIN_S)
    assert work.done == 2
    work.bounded.ask(SERVERS_LOOKED_AT)
    assert work.done == 3
    assert work.clock.getDelayedCalls() == []


def test_two_thousand_servers_are_looked_at_within_a_twentieth_of_a_second() -> None:
    work = Work()
    work.bounded.ask(1999)
    work.bounded.ask(1)
    assert work.done == 2
    work.clock.advance(0.02)
    work.bounded.ask(1)
    assert work.done == 2
    work.clock.advance(0.029)
    assert work.done == 2
    work.clock.advance(0.001)
    assert work.done == 3


def test_all_of_a_larger_pool_are_looked_at_less_often() -> None:
    work = Work()
    work.bounded.ask(4 * SERVERS_LOOKED_AT)
    work.clock.advance(3 * WITHIN_S)
    work.bounded.ask(4 * SERVERS_LOOKED_AT)
    assert work.done == 1
    work.clock.advance(WITHIN_S)
    assert work.done == 2


def test_another_twentieth_of_a_second_begins_anew() -> None:
    work = Work()
    for _ in range(3):
        work.bounded.ask(2000)
        work.clock.advance(0.0625)  # Not a multiple of anything, and no sum that is rounded.
    assert work.done == 3


def test_it_begins_anew_on_time() -> None:
    work = Work()
    work.bounded.ask(2000)
    work.clock.advance(WITHIN_S)
    work.bounded.ask(2000)
    assert work.done == 2


def test_after_stop_nothing_is_done() -> None:
    work = Work()
    for _ in range(2):
        work.bounded.ask(SERVERS_LOOKED_AT)
    work.bounded.stop()
    work.bounded.stop()
    work.clock.advance(1)
    assert work.done == 1
