"""Places in the interval: how evenly they are spread."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.monitors.spread import Spread

MANY = 12_000


@pytest.mark.parametrize("interval_s", [1.0, 10.0, 60.0])
def test_those_with_a_beat_fill_the_interval_evenly(interval_s: float) -> None:
    spread = Spread(random.Random(1))
    tenths = Counter(int(spread.within(interval_s) * 10 / interval_s) for _ in range(MANY))
    assert set(tenths) == set(range(10))
    assert all(abs(count - MANY / 10) < MANY / 1000 for count in tenths.values())


@given(seed=st.integers(0, 2**32), count=st.integers(1, 300))
def test_a_few_are_spread_as_well_as_many(seed: int, count: int) -> None:
    spread = Spread(random.Random(seed))
    places = sorted(spread.within(1.0) for _ in range(count))
    assert all(0 <= place < 1 for place in places)
    gaps = [b - a for a, b in zip(places, [*places[1:], places[0] + 1], strict=True)]
    assert max(gaps) <= 6 / count


def test_two_directors_have_different_places() -> None:
    first, second = Spread(random.Random(1)), Spread(random.Random(2))
    assert first.within(10.0) != second.within(10.0)
