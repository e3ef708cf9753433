"""After a storm the snapshots are made before anyone asks, some in each turn."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType
from typing import cast

from pybal.model import MonitorSnapshot, ServerSpec
from pybal.pool.members import Member, Members
from pybal.pool.pool_state import PoolState
from pybal.pool.server import Server
from pybal.pool.snapshots import ServerSnapshots
from pybal.runtime.time_slices import LEISURE_WITHIN_S, SLICE_S, TimeSlices
from tests.fakes.turns import Reactor

HOSTS = [f"h{n}" for n in range(300)]
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
    def __init__(self) -> None:
        self.reactor = Reactor()
        self.made = 0
        self.most = 0
        one = Member(ServerSpec("h"), True, True, True, MappingProxyType({}))
        members = Members(replace(one, spec=ServerSpec(host)) for host in HOSTS)
        self.state = PoolState(Fraction(0), (), members)
        servers = {host: cast(Server, Made(self)) for host in HOSTS}
        self.shown = ServerSnapshots(lambda: self.state, servers, TimeSlices(self.reactor))
        self.shown.all()
        self.made = 0

    def go_down(self) -> None:
        """All at once."""
        down = (replace(m, up=False, pooled=False) for m in self.state.members.in_order())
        self.state = self.state.with_members(self.state.members.changed(down))

    def turns(self, most: int = 1000) -> None:
        while self.reactor.calls and most:
            most -= 1
            before = self.made
            self.reactor.turn()
            self.most = max(self.most, self.made - before)


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
