"""When a whole pool has died, who is down is kept for the next run, some servers in each turn."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType, SimpleNamespace
from typing import cast

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger

from pybal.kept_change import ListPast
from pybal.model import ServerSpec
from pybal.pool.guarded_list import GuardedList
from pybal.pool.list_record import ListRecord
from pybal.pool.list_restart import saved_after_s
from pybal.pool.member import Member
from pybal.pool.members import Members
from pybal.pool.new_servers import NewServers
from pybal.pool.pool_state import PoolState
from pybal.pool.ports import CoordinatorPorts
from pybal.runtime.pieces import in_one_go
from tests.fakes.coordinator import Bench as CoordinatorBench
from tests.fakes.log import FakeLog

HOSTS = tuple(f"h{number:04}" for number in range(2000))
MOST_IN_A_TURN = 250


class Leisure:
    """Time slices; the test takes the turns."""

    due_s = 5.0

    def __init__(self) -> None:
        self.waiting: list[Deferred[None]] = []

    def leisure(self, *, by_s: float) -> Deferred[None]:
        assert by_s == self.due_s
        self.waiting.append(Deferred())
        return self.waiting[-1]

    def turn(self) -> None:
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each.callback(None)


class Results(dict[str, bool | None]):
    """What a server's monitor says, and how often was asked for it."""

    asked = 0

    def values(self) -> object:  # type: ignore[override]
        Results.asked += 1
        return super().values()


class Bench:
    def __init__(self) -> None:
        self.clock = Clock()
        self.slices = Leisure()
        self.log = FakeLog()
        self.kept: list[tuple[str, ...]] = []
        self.state = PoolState(Fraction(0), ("m",), Members(map(self.member, HOSTS)))
        settings = CoordinatorBench().settings
        self.list = GuardedList(
            settings, self.clock, self.clock.seconds, lambda: None, Logger(), lambda *_: None
        )
        in_one_go(self.list.take(tuple(map(ServerSpec, HOSTS)), lambda: self.state))
        ports = SimpleNamespace(clock=self.clock, time_slices=self.slices)
        self.record = ListRecord(
            cast(CoordinatorPorts, ports),
            self,
            self.list,
            lambda: self.state,
            NewServers(settings, None, lambda *_: None),
            self.log.logger("web"),
        )
        self.record.keep()
        assert self.kept.pop() == ()

    def member(self, host: str, up: bool = True) -> Member:
        results = MappingProxyType(Results(m=up))
        return Member(ServerSpec(host), True, up, True, results)

    def in_force(self, servers: tuple[ServerSpec, ...], past: ListPast) -> None:
        assert tuple(server.host for server in servers) == HOSTS
        self.kept.append(past.unproven)

    def say(self, up: bool, *hosts: str) -> None:
        changed = self.state.members.changed([self.member(host, up) for host in hosts])
        self.state = replace(self.state, members=changed)
        self.record.keep_soon()

    def time_for_a_look(self) -> None:
        self.clock.advance(saved_after_s("svc_80", len(HOSTS), math.inf))

    def turn(self) -> None:
        asked = Results.asked
        self.slices.turn()
        assert Results.asked - asked <= MOST_IN_A_TURN


def amid_a_look() -> Bench:
    """At all, who have gone down."""
    bench = Bench()
    bench.say(False, *HOSTS)
    bench.time_for_a_look()
    bench.turn()
    return bench


@pytest.mark.parametrize("count", [1, 99, 100, 101, 1999, 2000])
def test_those_that_went_down_are_kept_some_in_each_turn(count: int) -> None:
    bench = Bench()
    bench.say(False, *HOSTS[:count])
    bench.time_for_a_look()
    while bench.slices.waiting:
        assert bench.kept == []
        bench.turn()
    assert bench.kept == [HOSTS[:count]]


def test_what_a_stop_meets_is_kept_at_once_and_once() -> None:
    bench = amid_a_look()
    bench.say(True, "h0000", "h1999")
    bench.record.stop()
    bench.record.stop()
    assert bench.kept == [HOSTS[1:-1]]
    bench.slices.turn()
    assert bench.kept == [HOSTS[1:-1]]
    assert bench.clock.getDelayedCalls() == []


def test_what_changes_meanwhile_counts() -> None:
    bench = amid_a_look()
    bench.say(True, "h0000", "h1999")
    while bench.slices.waiting:
        bench.turn()
    assert bench.kept == [HOSTS[1:-1]]


def test_those_that_go_down_meanwhile_are_looked_at_some_in_each_turn_too() -> None:
    bench = Bench()
    bench.say(False, *HOSTS[:1000])
    bench.time_for_a_look()
    bench.turn()
    bench.say(False, *HOSTS[1000:])
    while bench.slices.waiting:
        bench.turn()
    assert bench.kept == [HOSTS]


def test_a_list_that_comes_meanwhile_is_kept_with_all_who_are_down() -> None:
    bench = amid_a_look()
    bench.record.keep()
    assert bench.kept == [HOSTS]
    bench.say(True, "h0000")
    while bench.slices.waiting:
        bench.turn()
    assert bench.kept == [HOSTS, HOSTS[1:]]


def test_of_those_that_came_up_again_nothing_is_kept() -> None:
    bench = amid_a_look()
    bench.say(True, *HOSTS)
    while bench.slices.waiting:
        bench.slices.turn()
    assert bench.kept == []


def test_a_stop_amid_a_look_keeps_what_is_known_and_without_one_nothing() -> None:
    bench = amid_a_look()
    assert bench.clock.getDelayedCalls() == []
    bench.record.stop()
    assert bench.kept == [HOSTS]
    rested = Bench()
    rested.say(False, *HOSTS)
    rested.time_for_a_look()
    while rested.slices.waiting:
        rested.turn()
    rested.kept.clear()
    rested.state = bench.state.with_members(rested.state.members.changed([rested.member("h0007")]))
    rested.record.stop()
    assert rested.kept == [], "of that it was not told"


def test_after_a_stop_nothing_is_looked_at() -> None:
    bench = Bench()
    bench.record.stop()
    bench.say(False, "h0001")
    assert bench.clock.getDelayedCalls() == []
    assert bench.kept == []


def test_what_is_kept_at_once_need_not_be_looked_for_later_and_the_next_look_has_time() -> None:
    bench = Bench()
    bench.say(False, "h0001")
    bench.record.keep()
    assert bench.kept.pop() == ("h0001",)
    assert bench.clock.getDelayedCalls() == []
    bench.say(False, "h0002")
    bench.time_for_a_look()
    assert bench.kept.pop() == ("h0001", "h0002")
    bench.say(False, "h0003")
    bench.clock.advance(30)
    assert bench.kept == []
    bench.clock.advance(6)
    assert bench.kept == [("h0001", "h0002", "h0003")]


def test_a_look_that_fails_is_said_and_the_next_one_is_made() -> None:
    bench = amid_a_look()
    well, bench.state = bench.state, cast(PoolState, None)
    bench.slices.waiting.pop().errback(ZeroDivisionError("a mistake"))
    assert "Cannot keep what servers are: ZeroDivisionError: a mistake" in bench.log.take()[0]
    bench.state = well
    bench.say(True, "h0000")
    bench.time_for_a_look()
    while bench.slices.waiting:
        bench.turn()
    assert bench.kept == [HOSTS[1:]]
