"""How long a server that flaps is held: three times within five minutes are free, then it waits
5, 10, 20, 40 and at most 60 s from when it went down last."""

from __future__ import annotations

from fractions import Fraction
from types import MappingProxyType

import pytest

from pybal.model import ServerSpec
from pybal.pool.flap_damping import Flaps, can_spare
from pybal.pool.member import Member
from pybal.pool.members import Members
from pybal.pool.pool_state import PoolState

START = 1000.0


def flapped(times: int, every_s: float = 10.0) -> tuple[Flaps, float]:
    """A server that went down so often, and when it did last."""
    flaps, now_s = Flaps(1), START
    for number in range(times):
        now_s = START + number * every_s
        flaps = flaps.went_down("m", 1, now_s)
        flaps = flaps.came_up("m")
    return flaps, now_s


@pytest.mark.parametrize(
    ("times", "held_s"),
    [(0, 0), (1, 0), (3, 0), (4, 5), (5, 10), (6, 20), (7, 40), (8, 60), (9, 60), (20, 60)],
)
def test_the_oftener_the_longer(times: int, held_s: float) -> None:
    flaps, last_s = flapped(times)
    assert flaps.held_until_s(last_s) == last_s + held_s
    # It counts from the last time that it went down.
    assert flaps.held_until_s(last_s + 1) == last_s + max(held_s, 1)


def test_after_five_minutes_a_flap_counts_no_more() -> None:
    flaps, _ = flapped(4, every_s=1.0)
    assert (flaps.lately(START + 299), flaps.lately(START + 300)) == (4, 3)
    assert flaps.held_until_s(START + 299) == START + 8
    assert flaps.held_until_s(START + 300) == START + 300
    assert not flaps.is_old(START + 302)
    assert flaps.is_old(START + 303)


def test_what_is_older_is_forgotten_when_another_comes() -> None:
    flaps = Flaps(1, (START,)).went_down("m", 1, START + 300)
    assert flaps.downs_at_s == (START + 300,)
    flaps = Flaps(1, (START,)).went_down("m", 1, START + 299)
    assert flaps.downs_at_s == (START, START + 299)


def test_no_more_are_remembered_than_matter() -> None:
    flaps, _ = flapped(20)
    assert len(flaps.downs_at_s) == 8
    assert flaps.downs_at_s[-1] == START + 190


def test_the_first_of_several_monitors_is_the_flap() -> None:
    flaps = Flaps(1).went_down("m", 1, START).went_down("n", 1, START + 1)
    assert flaps == Flaps(1, (START,), frozenset({"m", "n"}))
    flaps = flaps.came_up("m").went_down("m", 1, START + 2)
    assert flaps.downs_at_s == (START,)
    # Other monitors have said nothing yet.
    flaps = flaps.went_down("m", 2, START + 3)
    assert flaps == Flaps(2, (START, START + 3), frozenset({"m"}))


def test_a_report_that_is_retracted_was_no_flap() -> None:
    both = Flaps(1, (START, START + 1), frozenset({"m", "n"}))
    assert both.retracted("m") == Flaps(1, (START, START + 1), frozenset({"n"}))
    assert both.retracted("m").retracted("n") == Flaps(1, (START,), frozenset())
    # Nobody called it down.
    assert Flaps(1, (START,)).retracted("m") == Flaps(1, (START,))


def test_a_monitor_that_the_service_has_no_more_says_nothing() -> None:
    assert Flaps(1, (START,), frozenset({"m", "n"})).only(frozenset({"n", "o"})) == Flaps(
        1, (START,), frozenset({"n"})
    )


def pool(*servers: tuple[bool, int]) -> PoolState:
    """Each is up or not, and has a weight; half must stay."""
    members = (
        Member(ServerSpec(f"h{number}", weight), True, up, up, MappingProxyType({}))
        for number, (up, weight) in enumerate(servers)
    )
    return PoolState(Fraction(1, 2), (), Members(members))


@pytest.mark.parametrize(
    ("state", "spares"),
    [
        (pool((True, 1), (False, 1)), True),
        (pool((True, 1), (False, 1), (False, 1)), False),
        (pool((True, 0), (False, 1)), False),
        (pool((False, 1)), False),
        (pool((True, 1), (True, 0)), True),
    ],
    ids=["half", "a third", "up but serves nobody", "nobody", "one serves"],
)
def test_whether_the_pool_does_without_it(state: PoolState, spares: bool) -> None:
    assert can_spare(state) == spares
