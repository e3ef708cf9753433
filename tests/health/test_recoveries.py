"""Recoveries are told to the monitors of the same host, and make no storm."""

from __future__ import annotations

import errno
from weakref import ref

from pybal.health.recoveries import EXPEDITE_WITHIN_S, Recoveries
from pybal.monitors.idleconnection import IdleConnectionSettings
from pybal.monitors.proxyfetch import ProxyFetchSettings
from tests.fakes.environment import MonitorBench

FETCH = ProxyFetchSettings(urls=("http://en.example/",))


class Board:
    """A board with monitors that only count how often they are expedited."""

    def __init__(self, count: int) -> None:
        self.now_s = 0.0
        self.recoveries = Recoveries(lambda: self.now_s)
        self.expedited = dict.fromkeys(range(count), 0)
        self.within_s: set[float] = set()
        for number in self.expedited:
            self.down(number)

    def down(self, number: int) -> None:
        def expedite(within_s: float) -> None:
            self.expedited[number] += 1
            self.within_s.add(within_s)

        self.recoveries.is_down("cp1", number, expedite)


def test_a_recovery_is_told_to_the_others_of_the_host_alone() -> None:
    board = Board(3)
    board.recoveries.is_down("cp2", 9, lambda _: board.expedited.update({9: 1}))
    board.recoveries.came_up("cp1", 0)
    assert board.expedited == {0: 0, 1: 1, 2: 1}
    assert board.within_s == {1.0}
    assert board.recoveries.expedited_total == 2


def test_a_host_of_a_hundred_monitors_that_flaps_hurries_each_but_once_in_a_while() -> None:
    board, seconds = Board(100), 60
    for second in range(seconds):
        board.now_s = float(second)
        for _ in range(100):
            board.recoveries.came_up("cp1", "another")
    assert set(board.expedited.values()) == {seconds / 5}


def test_nothing_is_left_of_those_that_are_up_or_gone() -> None:
    board = Board(3)
    for number in range(3):
        board.recoveries.forget("cp1", number)
        board.recoveries.forget("cp1", number)
    board.recoveries.came_up("cp1", 0)
    assert set(board.expedited.values()) == {0}


def test_after_isolation_all_that_are_down_check_again_within_the_time_given() -> None:
    board = Board(3)
    board.recoveries.is_down("cp2", 9, lambda _: board.expedited.update({9: 1}))
    board.recoveries.forget("cp1", 0)
    board.recoveries.recheck_all(7.0)
    assert board.expedited == {0: 0, 1: 1, 2: 1, 9: 1}
    assert board.within_s == {7.0}


def test_hosts_that_are_named_check_again_alone() -> None:
    board = Board(2)
    board.recoveries.is_down("cp2", 9, lambda _: board.expedited.update({9: 1}))
    board.recoveries.recheck({"cp1", "unknown"}, 3.0)
    assert board.expedited == {0: 1, 1: 1}
    assert board.within_s == {3.0}


def test_a_monitor_that_ended_is_not_kept_in_memory() -> None:
    class Ended:
        """A monitor that was expedited and is gone."""

    board, monitor = Board(1), Ended()
    board.recoveries.is_down("cp1", monitor, lambda _: None)
    board.recoveries.came_up("cp1", 0)
    board.recoveries.forget("cp1", monitor)
    gone = ref(monitor)
    del monitor
    assert gone() is None


def test_a_monitor_in_long_back_off_tries_soon_after_another_of_the_host_came_up() -> None:
    bench = MonitorBench()
    idle = bench.start(IdleConnectionSettings(max_delay_s=300))
    bench.advance(1)
    while bench.network.open or not bench.next_call_at > bench.clock.seconds() + 100:
        for channel in bench.network.open:
            channel.end(errno.ECONNREFUSED)
        bench.advance(1)
    fetch = bench.start(FETCH)
    for ok in (False, True):
        while not bench.http.under_way:
            bench.advance(0.1)
        bench.http.under_way[0].answer(200 if ok else 500)
    bench.advance(EXPEDITE_WITHIN_S)
    (channel,) = bench.network.open
    channel.connect()
    assert bench.ups[-1] is True
    idle.stop()
    fetch.stop()
    assert bench.idle
