"""How long what goes up and down waits to be announced again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pybal.announce.damping import HOLD_S, Damping


def test_what_was_never_withdrawn_does_not_wait() -> None:
    assert Damping().wait_s(0.0) == Damping().wait_s(1e9) == 0.0


def test_the_wait_grows_up_to_its_bound() -> None:
    damping = Damping()
    waits = []
    for number in range(8):
        damping = damping.withdrawn(number * 10.0)
        waits.append(damping.wait_s(number * 10.0))
    assert waits == [0.0, 5.0, 15.0, 30.0, 60.0, 60.0, 60.0, 60.0]
    assert damping.wait_s(70.0 + 59.0) == 1.0
    assert damping.wait_s(70.0 + 60.0) == 0.0


def test_quiet_minutes_are_a_clean_slate() -> None:
    damping = Damping()
    for number in range(8):
        damping = damping.withdrawn(float(number))
    later = 7.0 + 300.0
    assert damping.withdrawn(later - 1).wait_s(later - 1) == 60.0
    assert damping.withdrawn(later) == Damping(1, later)


@given(st.lists(st.floats(0.01, 1000.0), max_size=60))
def test_however_it_flaps_few_announcements_come_in_any_minute(gaps_s: list[float]) -> None:
    now_s, damping, announced = 1000.0, Damping(), []
    for gap_s in gaps_s:
        now_s += gap_s
        damping = damping.withdrawn(now_s)
        now_s += damping.wait_s(now_s)
        announced.append(now_s)
    for at in announced:
        assert sum(at <= each < at + 60.0 for each in announced) <= len(HOLD_S) + 1
