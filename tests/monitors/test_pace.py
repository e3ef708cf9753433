"""First checks: how fast they are begun, and in which order."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.monitors.pace import (
    BEGIN_PER_S,
    BUSY_S,
    HOST_GAP_S,
    LEAST_PER_S,
    MOST_PER_S,
    HostQueue,
    Pace,
    step,
)

TICK_S = 0.01
seconds = st.floats(0, 10)
paces = st.builds(Pace, st.floats(LEAST_PER_S, MOST_PER_S), st.floats(0, 100))


@given(st.lists(st.tuples(seconds, seconds, st.integers(0, 3), st.integers(0, 50)), max_size=50))
def test_the_pace_keeps_its_bounds_whatever_happens(
    happens: list[tuple[float, float, int, int]],
) -> None:
    pace = Pace()
    for passed_s, busy_s, faults, taken in happens:
        pace = step(pace, passed_s, busy_s, faults)
        assert LEAST_PER_S <= pace.per_s <= MOST_PER_S
        assert pace.allowance <= MOST_PER_S * 0.05
        for _ in range(taken):
            if pace.allowance >= 1:
                pace = pace.took_one()
        assert pace.allowance >= 0
        pace = pace.out_of_time() if taken == 50 else pace


@given(paces, st.floats(BUSY_S * 1.01, 10))
def test_a_turn_that_took_long_gets_less_and_a_short_one_more(pace: Pace, busy_s: float) -> None:
    slower, faster = step(pace, TICK_S, busy_s, 0), step(pace, TICK_S, 0.0, 0)
    assert slower.per_s < pace.per_s or pace.per_s == LEAST_PER_S
    assert faster.per_s > pace.per_s or pace.per_s == MOST_PER_S
    assert pace.out_of_time().allowance == 0


@given(paces)
def test_what_this_host_lacks_slows_down_at_once(pace: Pace) -> None:
    assert step(pace, TICK_S, 0.0, 1).per_s == LEAST_PER_S


@pytest.mark.parametrize(
    ("busy_s", "faults", "per_s"),
    [
        (0.0, 0, 1040.0),  # by 4 % each hundredth of a second
        (0.02, 0, 1040.0),
        (0.0201, 0, 700.0),
        (0.0, 1, 200.0),
        (9.0, 1, 200.0),
    ],
)
def test_from_a_thousand_a_second_it_goes_up_and_down(
    busy_s: float, faults: int, per_s: float
) -> None:
    assert step(Pace(), 0.01, busy_s, faults).per_s == pytest.approx(per_s)


def test_it_is_never_more_than_2500_a_second_nor_less_than_200() -> None:
    assert step(Pace(2499.0), 0.01, 0.0, 0).per_s == 2500.0
    assert step(Pace(201.0), 0.01, 1.0, 0).per_s == 200.0


@pytest.mark.parametrize(
    ("allowance", "passed_s", "allowed"),
    [
        (4.0, 0.0, 4.0),
        (0.0, 0.01, 10.4),
        (0.0, 60.0, 27.5),  # of a pause no more than a fortieth of a second counts
        (20.0, 60.0, 27.5),
        (3.0, -1.0, 3.0),
    ],
)
def test_what_is_allowed_at_once_is_bounded(
    allowance: float, passed_s: float, allowed: float
) -> None:
    assert step(Pace(1000.0, allowance), passed_s, 0.0, 0).allowance == pytest.approx(allowed)
    assert Pace().allowance == 4.0


def test_hosts_that_have_rested_go_on_in_the_order_in_which_they_began() -> None:
    queue: HostQueue[str] = HostQueue()
    for item in ("c1", "a1", "b1", "a2", "b2", "c2"):
        queue.add(item[0], item)
    assert [queue.take(0.0) for _ in range(3)] == ["c1", "a1", "b1"]
    assert [queue.take(1.0) for _ in range(3)] == ["c2", "a2", "b2"]


def test_an_idle_process_begins_twelve_thousand_within_eight_seconds() -> None:
    pace, begun, ticks = Pace(), 0, 0
    while begun < 12_000:
        ticks += 1
        pace = step(pace, TICK_S, 0.0, 0)
        while pace.allowance >= 1:
            pace, begun = pace.took_one(), begun + 1
    assert ticks * TICK_S < 8


def test_the_first_tick_begins_a_few_and_a_long_pause_no_storm() -> None:
    assert 1 <= step(Pace(), 0.0, 0.0, 0).allowance < 10
    assert step(Pace(), 60.0, 0.0, 0).allowance <= BEGIN_PER_S * 0.05


def test_hosts_take_turns_and_rest_between() -> None:
    queue: HostQueue[str] = HostQueue()
    for item in ("a1", "a2", "a3", "b1", "c1"):
        queue.add(item[0], item)
    assert [queue.take(0.0) for _ in range(4)] == ["a1", "b1", "c1", None]
    assert len(queue) == 2
    assert queue.take(HOST_GAP_S) == "a2"
    assert queue.take(HOST_GAP_S) is None


def test_who_comes_late_makes_up_for_a_little_of_it() -> None:
    queue: HostQueue[int] = HostQueue()
    for number in range(100):
        queue.add("a", number)
    assert queue.take(0.0) == 0
    late = [queue.take(10.0) for _ in range(50)]
    assert late[:5] == [1, 2, 3, 4, 5]
    assert 10 < sum(each is not None for each in late) < 30


def test_a_host_without_more_to_do_rests_all_the_same() -> None:
    queue: HostQueue[int] = HostQueue()
    queue.add("a", 1)
    assert queue.take(0.0) == 1
    queue.add("a", 2)
    assert queue.take(HOST_GAP_S / 2) is None
    assert queue.take(HOST_GAP_S) == 2
    queue.add("b", 3)
    assert queue.take(9.0) == 3
    assert len(queue._waiting) == 1, "hosts are forgotten once they have rested"


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=60))
def test_all_come_in_their_hosts_order_and_no_host_too_often(
    happens: list[tuple[str, bool]],
) -> None:
    queue: HostQueue[tuple[str, int]] = HostQueue()
    added: Counter[str] = Counter()
    taken: list[tuple[float, tuple[str, int]]] = []
    at = 0.0
    for host, takes in happens:
        queue.add(host, (host, added[host]))
        added[host] += 1
        if takes and (item := queue.take(at)) is not None:
            taken.append((at, item))
        at += HOST_GAP_S / 3
    while queue:
        at += HOST_GAP_S / 3
        if (item := queue.take(at)) is not None:
            taken.append((at, item))
    for host, count in added.items():
        own = [(when, number) for when, (of, number) in taken if of == host]
        assert [number for _, number in own] == list(range(count))
        # Somebody came each third of the time that a host rests.
        gaps = [b - a for (a, _), (b, _) in pairwise(own)]
        assert sum(gaps) > HOST_GAP_S * (len(gaps) - 1)
