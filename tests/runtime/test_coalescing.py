"""Timers in step: never later than was asked for, and never drifting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.runtime.coalescing import STEP_S, coalesced

moments = st.floats(0, 1e8)


@given(moments, st.floats(0, 1e4))
def test_a_delay_ends_on_a_step_or_is_short(now_s: float, delay_s: float) -> None:
    shortened_s = coalesced(now_s, delay_s)
    assert delay_s - STEP_S < shortened_s <= delay_s
    if delay_s >= 1:
        steps = (now_s + shortened_s) / STEP_S
        assert abs(steps - round(steps)) * STEP_S < 1e-5


@given(moments, st.integers(1, 100), st.lists(st.floats(0, 0.01), min_size=1, max_size=50))
def test_a_beat_of_whole_seconds_is_kept_however_late_the_timers_come(
    now_s: float, interval_s: int, late_s: list[float]
) -> None:
    began_s = now_s + coalesced(now_s, interval_s)
    first_s = began_s
    for late in late_s:
        began_s += late
        began_s += coalesced(began_s, interval_s)
    assert abs(began_s - first_s - interval_s * len(late_s)) < 1e-3


@pytest.mark.parametrize(
    ("now_s", "delay_s", "shortened_s"),
    [
        (0.1, 0.79, 0.79),  # shorter than four steps
        (0.1, 0.8, 0.7),
        (0.1, 0.9, 0.9),  # on a step already, though binary numbers make it a little less
        (0.1, 0.95, 0.9),
        (7.3, 10.0, 9.9),
    ],
)
def test_a_delay_is_shortened_to_the_step_before(
    now_s: float, delay_s: float, shortened_s: float
) -> None:
    assert coalesced(now_s, delay_s) == pytest.approx(shortened_s, abs=1e-5)
