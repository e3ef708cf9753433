"""A long list is decided on, and put in force, in several turns; anything may happen between."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from random import Random

import pytest
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from pybal.config.settings import ListGuardSettings
from pybal.kept_change import ListPast
from pybal.model import ServerSpec, SourceList
from pybal.override import Action
from pybal.pool.events import ListChanged
from pybal.pool.server import Server
from pybal.runtime.pieces import PIECE
from tests.fakes.coordinator import Bench

HOSTS = [f"h{n}" for n in range(2 * PIECE + 50)]
NAMES = {host: f"10.1.{n // 250}.{n % 250 + 1}" for n, host in enumerate([*HOSTS, "new"])}


TURN_S = 1.0


class BusyClock(Clock):
    """Each look at it takes a while, so that no turn has time for a second piece; and what is to be
    done soon is done in the next turn."""

    busy = True

    def seconds(self) -> float:
        self.rightNow += 0.004 * self.busy
        return super().seconds()

    def callLater(
        self,
        delay: float,
        callable: Callable[..., object],
        *args: object,
        **kw: object,
    ) -> IDelayedCall:
        return super().callLater(delay or 0.9 * TURN_S * self.busy, callable, *args, **kw)


class Turns(Bench):
    """A Coordinator on a machine that has little time."""

    def __init__(self, floor: Fraction = Fraction(1, 2), names: dict[str, str] = NAMES) -> None:
        self.busy = BusyClock()
        guard = ListGuardSettings(floor=floor)
        super().__init__(names=names, list_guard=guard, clock=self.busy)

    def begin(self) -> None:
        """All of them are in force, and work."""
        self.list(*HOSTS)
        self.rest()
        for host in HOSTS:
            self.monitor(host).say(True)
        self.rest()

    def turn(self) -> None:
        self.clock.advance(TURN_S)

    def rest(self, seconds: float = 1.0) -> None:
        """Until nothing is left to be done."""
        self.busy.busy = False
        self.clock.advance(seconds)
        self.busy.busy = True

    @property
    def members(self) -> list[str]:
        return list(self.coordinator.state.members)


def test_a_long_list_takes_several_turns() -> None:
    bench = Turns()
    bench.begin()
    bench.list(*HOSTS[1:])
    turns = 0
    while len(bench.members) == len(HOSTS):
        bench.turn()
        turns += 1
    assert turns > 3
    assert bench.members == HOSTS[1:]
    bench.rest()
    assert bench.running == set(HOSTS[1:])


def test_the_turn_in_which_the_policy_takes_a_long_list_looks_at_who_leaves_and_who_comes_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Turns()
    bench.begin()
    looks = [0]

    def admitted(server: Server) -> bool:
        looks[0] += 1
        return bool(vars(server)["is_admitted"])

    def admit(server: Server, is_admitted: bool) -> None:
        vars(server)["is_admitted"] = is_admitted

    monkeypatch.setattr(Server, "is_admitted", property(admitted, admit), raising=False)
    bench.list(*HOSTS[1:], "new")
    bench.rest()
    assert bench.members == [*HOSTS[1:], "new"]
    assert bench.running == {*HOSTS[1:], "new"}
    assert looks[0] < 10


def test_what_an_operator_confirms_meanwhile_counts_and_the_list_is_decided_on_anew() -> None:
    bench = Turns()
    bench.begin()
    few = HOSTS[:100]
    bench.list(*few)
    bench.rest()
    assert bench.members == HOSTS, "too few would be left"
    bench.list(*few[1:])
    bench.turn()
    assert set(bench.coordinator.confirm_list()) == set(HOSTS[100:])
    bench.rest()
    assert bench.members == few[1:]
    assert bench.running == set(few[1:])


def test_what_an_operator_confirms_is_the_cause_in_later_turns_too() -> None:
    bench = Turns()
    bench.begin()
    bench.list(*(ServerSpec(host, enabled=n < 100) for n, host in enumerate(HOSTS)))
    bench.rest()
    steps = len(bench.steps)
    bench.because = "alice confirms"
    bench.coordinator.confirm_list()
    bench.because = "another one"
    for _ in range(20):
        bench.turn()
    assert len(bench.causes[steps:]) > 3
    assert set(bench.causes[steps:]) == {"alice confirms"}
    assert bench.because == "another one"


@pytest.mark.parametrize("turns", [0, 1, 4, 7])
def test_what_an_operator_confirms_amid_another_change_goes_because_of_that(turns: int) -> None:
    bench = Turns()
    bench.begin()
    few = HOSTS[:100]
    bench.list(*few)
    bench.rest()
    bench.list(*(ServerSpec(host, weight=7) for host in few))
    for _ in range(turns):
        bench.turn()
    assert bench.members == HOSTS, "too few would be left"
    steps = len(bench.steps)
    bench.because = "alice confirms"
    bench.coordinator.confirm_list()
    bench.because = None
    bench.coordinator.overrides_changed()
    bench.rest()
    assert bench.members == few
    removal = next(
        cause
        for (event, _, _), cause in zip(bench.steps[steps:], bench.causes[steps:], strict=True)
        if isinstance(event, ListChanged) and len(event.candidates) == len(few)
    )
    assert removal == "alice confirms"
    seen = len(bench.steps)
    bench.list(*few, "new")
    bench.rest()
    assert set(bench.causes[seen:]) == {None}, "what comes later comes for itself"


def test_a_server_that_goes_while_a_list_comes_that_has_it_again_comes_back() -> None:
    bench = Turns()
    bench.begin()
    bench.list(*HOSTS[:100])
    bench.rest()
    bench.list(*HOSTS[:200])
    bench.turn()
    bench.coordinator.confirm_list()
    bench.rest()
    assert bench.members == HOSTS[:200]
    assert bench.running == set(HOSTS[:200])


def test_a_stop_amid_a_list_leaves_nothing_behind() -> None:
    for turns in (0, 3, 7):
        bench = Turns()
        bench.begin()
        bench.list(*HOSTS[1:], "new")
        for _ in range(turns):
            bench.turn()
        with capturedLogs() as logged:
            bench.coordinator.stop()
            bench.rest(60)
        assert bench.running == set()
        assert all(watch.stopped for watch in bench.names.watches.values())
        assert bench.clock.getDelayedCalls() == []
        assert not [event for event in logged if "log_failure" in event]


def test_overrides_before_the_first_list_is_in_force_are_laid_over_it() -> None:
    bench = Turns(names={})
    bench.list(*"ab", last_run="abc")
    assert bench.wish(Action.DRAIN, "a", force=True) == ""
    bench.rest()
    for host, address in (("a", "10.0.0.1"), ("b", "10.0.0.2")):
        bench.names.table[host] = address
    assert bench.members == []
    bench.rest(60)
    assert bench.members == ["a", "b"]
    assert bench.coordinator.state.members["a"].drained


@pytest.mark.parametrize("last", [10, len(HOSTS)])
@pytest.mark.parametrize("disk", [False, True])
def test_what_a_restart_is_to_know_is_not_lost_if_a_list_comes_before_the_first_is_begun(
    last: int, disk: bool
) -> None:
    last_run = tuple(map(ServerSpec, HOSTS))
    past = ListPast(0.0, counts=((0.0,) + 3 * (len(HOSTS),),), unproven=("h0",))
    first = SourceList(last_run if disk else last_run[:30], last_run, past, disk)
    bench = Turns()
    bench.time_slices.pause()
    for found in (first, SourceList(last_run[:20]), SourceList(last_run[:last])):
        bench.coordinator.pool_list(found)
    bench.rest(60)
    assert bench.members == HOSTS
    assert bool(bench.snapshot().held) is (last < len(HOSTS))
    assert bench.past is not None
    assert "h0" in bench.past.unproven


def test_an_override_of_a_server_that_a_list_is_taking_away_meets_no_objection() -> None:
    bench = Turns()
    bench.begin()
    bench.list(*HOSTS[1:])
    asked = 0
    while HOSTS[0] in bench.members:
        asked += 1
        assert bench.wish(Action.DRAIN, HOSTS[0]) == ""
        bench.turn()
    assert asked > 2
    bench.rest()
    assert bench.members == HOSTS[1:]


def test_hundreds_may_ask_for_something_else_while_a_list_is_put() -> None:
    """Each waited for itself, and as many calls within calls followed when their turn came."""
    bench = Turns()
    bench.begin()
    bench.list(*HOSTS[1:])
    bench.turn()
    with capturedLogs() as logged:
        for host in HOSTS[1:301]:
            bench.wish(Action.DRAIN, host, force=True)
        bench.rest()
    assert not [event for event in logged if "log_failure" in event]
    drained = [
        host
        for host in HOSTS
        if host in bench.members and bench.coordinator.state.members[host].drained
    ]
    assert drained == HOSTS[1:301]


def random_specs(random: Random) -> list[ServerSpec]:
    share = random.choice([1, 0.99, 0.9, 0.4])
    chosen = [host for host in HOSTS if random.random() < share] or HOSTS[:1]
    if random.random() < 0.3:
        random.shuffle(chosen)
    weights = random.choice([(10,), (10, 20), (0, 10)])
    return [ServerSpec(h, random.choice(weights), random.random() < 0.98) for h in chosen]


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_between_all_servers_of_the_list_in_force_are_cared_for(seed: int) -> None:
    random = Random(seed)
    bench = Turns(floor=random.choice([Fraction(0), Fraction(1, 2)]))
    with capturedLogs() as logged:
        bench.begin()
        last: list[ServerSpec] = []
        for _ in range(25):
            match random.choice("lrrroouctttttt"):
                case "l":
                    last = random_specs(random)
                    bench.list(*last)
                case "r":
                    up, hosts = random.random() < 0.5, set(random.sample(HOSTS, 200))
                    for monitor in [m for m in bench.made if m.running]:
                        if monitor.target.host in hosts:
                            monitor.say(up)
                case "o":
                    bench.wish(random.choice([*Action]), random.choice(HOSTS), force=True)
                case "u" if bench.overrides:
                    bench.undo(random.choice([*bench.overrides]))
                case "c":
                    bench.coordinator.confirm_list()
                case "t":
                    bench.turn()
        bench.overrides.clear()
        bench.coordinator.overrides_changed()
        bench.coordinator.confirm_list()
        bench.rest()
    bench.coordinator.confirm_list()
    bench.rest()
    assert not [event for event in logged if "log_failure" in event]
    assert [m.spec for m in bench.coordinator.state.members.values()] == (
        last or [ServerSpec(host) for host in HOSTS]
    )
    assert set(bench.coordinator.hosts) == bench.running == set(bench.members)
