"""The servers of a large pool, and of many pools, stop in several turns of the reactor."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from pybal.pool.server import stop_in_portions
from pybal.runtime.time_slices import SLICE_S, TimeSlices
from tests.fakes.deferreds import result_of
from tests.fakes.log import FakeLog
from tests.fakes.turns import Reactor

SERVERS = 4000
EACH_S = 0.00002


class SlowServer:
    """To stop it takes a moment."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self.stopped = 0

    def stop(self) -> None:
        self.stopped += 1
        self._reactor.now_s += EACH_S


def stopping(count: int) -> tuple[Reactor, list[Any], Deferred[None]]:
    reactor = Reactor()
    servers: list[Any] = [SlowServer(reactor) for _ in range(count)]
    stopping = stop_in_portions(servers, TimeSlices(reactor), FakeLog().logger("web"))
    return reactor, servers, Deferred.fromCoroutine(stopping)


def test_no_turn_takes_much_longer_than_a_slice() -> None:
    reactor, servers, done = stopping(SERVERS)
    turns = 0
    while not done.called:
        begun_s = reactor.now_s
        reactor.turn()
        turns += 1
        assert reactor.now_s - begun_s < SLICE_S + 0.001
    result_of(done)
    assert [server.stopped for server in servers] == [1] * SERVERS
    assert turns >= SERVERS * EACH_S / (SLICE_S + 0.001) - 1


def test_many_small_pools_that_stop_together_share_the_turns() -> None:
    reactor, log = Reactor(), FakeLog().logger("web")
    time_slices, pools = TimeSlices(reactor), range(SERVERS // 10)
    servers: list[list[Any]] = [[SlowServer(reactor) for _ in range(10)] for _ in pools]
    done = [Deferred.fromCoroutine(stop_in_portions(pool, time_slices, log)) for pool in servers]
    turns = 0
    while not all(each.called for each in done):
        begun_s = reactor.now_s
        reactor.turn()
        turns += 1
        assert reactor.now_s - begun_s < SLICE_S + 0.001
    assert turns >= SERVERS * EACH_S / (SLICE_S + 0.001) - 1
    assert all(server.stopped for pool in servers for server in pool)


def test_a_small_pool_has_stopped_at_once() -> None:
    _, servers, done = stopping(10)
    result_of(done)
    assert all(server.stopped for server in servers)


def test_who_does_not_wait_any_more_leaves_the_rest_to_the_end_of_the_process() -> None:
    reactor, servers, done = stopping(SERVERS)
    done.addErrback(lambda _: None)
    done.cancel()
    for _ in range(3):
        reactor.turn()
    assert 0 < sum(server.stopped for server in servers) < SERVERS
