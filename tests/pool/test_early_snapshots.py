"""After a storm the snapshots are made before anyone asks, some in each turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from random import Random
from types import MappingProxyType
from typing import cast

import pytest
from twisted.logger import Logger

from pybal.model import MonitorSnapshot, ServerSnapshot, ServerSpec
from pybal.pool.member import Member
from pybal.pool.members import Members
from pybal.pool.pool_state import PoolState
from pybal.pool.server import Server
from pybal.pool.snapshots import ServerSnapshots
from pybal.runtime.pieces import PIECE, in_one_go
from pybal.runtime.time_slices import LEISURE_WITHIN_S, SLICE_S, TimeSlices
from tests.fakes.log import FakeLog
from tests.fakes.turns import Reactor
from tests.pool.listed import listed

HOSTS = [f"h{n}" for n in range(300)]
LONG = [f"h{n}" for n in range(3 * PIECE)]
MOST_IN_A_TURN = 60
COSTS_S = SLICE_S / 40


class Made:
    """A Server, and how many snapshots of such were made."""

    address = None

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def monitor_snapshots(self) -> tuple[MonitorSnapshot, ...]:
        self.bench.made += 1
        self.bench.reactor.now_s += COSTS_S
        return ()


class Bench:
    def __init__(self, hosts: Sequence[str] = HOSTS) -> None:
        self.reactor = Reactor()
        self.made = 0
        self.most = 0
        one = Member(ServerSpec("h"), True, True, True, MappingProxyType({}))
        members = Members(replace(one, spec=ServerSpec(host)) for host in hosts)
        self.state = PoolState(Fraction(0), (), members)
        self.servers = {host: cast(Server, Made(self)) for host in hosts}
        self.log = FakeLog()
        slices, log = TimeSlices(self.reactor), self.log.logger("web")
        self.shown = ServerSnapshots(lambda: self.state, self.servers, slices, log)
        self.shown.all()
        self.made = 0

    def go_down(self) -> None:
        """All at once."""
        down = (replace(m, up=False, pooled=False) for m in self.state.members.in_order())
        self.state = self.state.with_members(self.state.members.changed(down))

    def say_up(self, host: str) -> None:
        up = replace(self.state.members[host], up=True, pooled=True)
        self.state = self.state.with_members(self.state.members.changed([up]))

    def turns(self, most: int = 1000) -> None:
        while self.reactor.calls and most:
            most -= 1
            before = self.made
            self.reactor.turn()
            self.most = max(self.most, self.made - before)


def test_who_asks_amid_a_storm_has_them_made_in_pieces() -> None:
    bench = Bench()
    bench.go_down()
    pieces = 0
    for _ in bench.shown.preparing():
        pieces += 1
        if pieces == 3:
            bench.shown.touch(HOSTS[0])
    assert pieces == len(HOSTS) / 20
    assert bench.made == len(HOSTS)
    shown = bench.shown.all()
    assert bench.made == len(HOSTS) + 1, "what changed meanwhile"
    assert not any(server.up for server in shown)
    assert list(bench.shown.preparing()) == []
    pieces = 0
    bench.shown.touch(HOSTS[0])
    for _ in bench.shown.preparing():
        pieces += 1
        bench.state = bench.state.with_members(Members(map(replace, bench.state.members.values())))
    assert pieces == 1 + len(HOSTS) / 20, "they change all the time"


def test_what_a_step_changed_after_it_was_made_is_not_made_in_one_turn() -> None:
    bench = Bench()
    for host in HOSTS:
        bench.shown.touch(host)
    while bench.made < len(HOSTS) - MOST_IN_A_TURN:
        bench.reactor.turn()
    bench.go_down()
    bench.turns()
    assert bench.most <= MOST_IN_A_TURN
    made = bench.made
    assert {each.up for each in bench.shown.all()} == {False}
    assert bench.made == made, "all were there when somebody asked"


def test_however_busy_the_reactor_is_all_are_made_when_they_are_due() -> None:
    bench = Bench()
    began_s = bench.reactor.now_s
    for host in HOSTS:
        bench.shown.touch(host)
    while bench.made < len(HOSTS):
        bench.reactor.now_s += 0.05  # The work of others.
        bench.turns(most=1)
    assert bench.most <= MOST_IN_A_TURN
    assert bench.reactor.now_s - began_s < 2 * LEISURE_WITHIN_S


def test_what_cannot_be_made_early_is_said_and_made_when_somebody_asks() -> None:
    bench = Bench()
    broken = bench.servers.pop(HOSTS[0]), bench.servers.pop(HOSTS[1])
    bench.servers[HOSTS[0]] = cast(Server, None)
    for host in HOSTS:
        bench.shown.touch(host)
    bench.turns()
    [line] = bench.log.take()
    assert "Snapshots of servers cannot be made early: AttributeError" in line
    bench.servers[HOSTS[0]], bench.servers[HOSTS[1]] = broken
    for host in HOSTS:
        bench.shown.touch(host)
    bench.turns()
    assert bench.made >= len(HOSTS)
    assert bench.log.take() == []


class Noting(ServerSnapshots):
    """How many are new when all are asked for."""

    def __init__(self, bench: Bench) -> None:
        slices, log = TimeSlices(bench.reactor), bench.log.logger("web")
        super().__init__(lambda: bench.state, bench.servers, slices, log)
        self.most_new = 0

    def _changed(self, members: Members) -> dict[str, ServerSnapshot]:
        found = super()._changed(members)
        self.most_new = max(self.most_new, len(found))
        return found


@pytest.mark.parametrize("asks", [False, True])
def test_of_a_long_list_those_that_were_made_early_are_put_in_place_in_pieces(asks: bool) -> None:
    bench = Bench(LONG)
    shown = Noting(bench)
    shown.all()
    shown.most_new = 0
    bench.go_down()
    if asks:
        pieces = sum(1 for _ in shown.preparing())
        made_of_20 = len(LONG) // 20
        assert pieces >= made_of_20 + 2 * len(LONG) // PIECE
    else:
        for host in LONG:
            shown.touch(host)
        for turn in range(1000):
            bench.turns(most=1)
            if turn == 3:
                bench.go_down()
    made = bench.made
    assert {each.up for each in shown.all()} == {False}
    assert bench.made == made
    assert shown.most_new == 0


def test_a_snapshot_that_is_made_while_others_are_put_in_place_is_not_lost() -> None:
    bench = Bench(LONG)
    bench.go_down()
    pieces = bench.shown.preparing()
    for number, _ in enumerate(pieces):
        if number % 2:
            bench.say_up(LONG[number])
        if number % 40 == 0:
            bench.shown.all()
    found = bench.shown.all()
    assert [each.up for each in found] == [each.up for each in bench.state.members.in_order()]


class Said:
    """A Server of which something can be said."""

    address = None

    def __init__(self, reactor: Reactor) -> None:
        self.reactor = reactor
        self.said: tuple[MonitorSnapshot, ...] = ()

    def monitor_snapshots(self) -> tuple[MonitorSnapshot, ...]:
        self.reactor.now_s += COSTS_S
        return self.said


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize("found", range(1, 4))
def test_what_is_shown_meanwhile_is_newer_than_what_is_put_in_place(found: int, asks: bool) -> None:
    bench = Bench(LONG)
    servers = {host: Said(bench.reactor) for host in LONG}
    bench.servers.update(cast(dict[str, Server], servers))
    for host in LONG:
        bench.shown.touch(host)
    pieces = bench.shown.preparing()
    for _ in range(len(LONG) // 20 + found):
        next(pieces)
    servers[LONG[0]].said = (MonitorSnapshot("new", False, None, None),)
    bench.shown.touch(LONG[0])
    if asks:
        bench.shown.all()
    else:
        for _ in bench.shown.preparing():
            pass
    in_one_go(pieces)
    assert bench.shown.all()[0].monitors == servers[LONG[0]].said


@pytest.mark.parametrize("seed", range(12))
def test_whatever_was_made_early_all_are_shown_as_they_are(seed: int) -> None:
    random, reactor = Random(seed), Reactor()
    servers = {host: Said(reactor) for host in HOSTS}
    one = Member(ServerSpec("h"), True, True, True, MappingProxyType({}))
    members = Members(replace(one, spec=ServerSpec(host)) for host in HOSTS)
    slices = TimeSlices(reactor)
    shown = ServerSnapshots(
        lambda: PoolState(Fraction(0), (), members),
        cast(dict[str, Server], servers),
        slices,
        Logger(),
    )
    for number in range(40):
        some = random.sample(HOSTS, random.choice([1, 30, 300]))
        match random.randrange(5):
            case 0 | 1:
                for host in some:
                    servers[host].said = (MonitorSnapshot(str(number), True, None, None),)
                    shown.touch(host)
            case 2:
                old = [members[host] for host in some if host in members]
                members = members.changed([replace(each, up=not each.up) for each in old])
            case 3:
                new = {host: replace(one, spec=ServerSpec(host)) for host in some}
                members = listed(members, [members.get(host) or new[host] for host in some])
            case _:
                for _ in range(random.choice([1, 3, 20])):
                    reactor.turn()
        if random.random() < 0.3:
            found = shown.all()
            assert [each.host for each in found] == list(members)
            assert [each.up for each in found] == [each.up for each in members.in_order()]
            assert [each.monitors for each in found] == [servers[h].said for h in members]
            assert shown.all() is found
