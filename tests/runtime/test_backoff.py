"""Back-off: doubling, bounded, jittered."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from pybal.runtime.backoff import backoff_s


@given(attempt=st.integers(0, 10**9), maximum_s=st.floats(0.1, 1000), seed=st.integers())
def test_a_delay_lies_within_half_of_its_ceiling(attempt: int, maximum_s: float, seed: int) -> None:
    ceiling_s = min(maximum_s, 2.0 ** min(attempt, 100))
    delay_s = backoff_s(attempt, 1.0, maximum_s, random.Random(seed))
    assert ceiling_s / 2 <= delay_s <= ceiling_s


def test_delays_of_equal_attempts_differ() -> None:
    source = random.Random(1)
    assert len({backoff_s(5, 1.0, 300.0, source) for _ in range(10)}) == 10
