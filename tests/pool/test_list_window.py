"""What lists took away within a window: how it begins, slides and stays small."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pybal.pool.list_window import ListWindow


def window(*counts: tuple[float, int]) -> ListWindow:
    found = ListWindow(900.0)
    for at, enabled in counts:
        found = found.counted(at, enabled)
    return found


def test_the_first_list_is_what_there_was_before() -> None:
    assert window((100, 10), (200, 8)).enabled_at_start(300) == 10


def test_the_window_begins_its_length_ago() -> None:
    slid = window((0, 10), (100, 8), (200, 6))
    assert slid.enabled_at_start(1050) == 8
    assert slid.enabled_at_start(1200) == 6


def test_within_a_step_the_most_counts_and_after_it_the_last() -> None:
    slid = window((0, 10), (100, 8), (101, 9), (102, 5), (500, 4))
    assert slid.enabled_at_start(1005) == 9
    assert slid.enabled_at_start(1050) == 5


def test_its_beginning_and_the_end_of_a_step_to_the_second() -> None:
    slid = window((0, 10), (100, 8), (101, 9), (102, 5))
    assert slid.enabled_at_start(950) == 10
    assert slid.enabled_at_start(1000) == 9
    assert slid.enabled_at_start(1008) == slid.enabled_at_start(1008.95) == 9
    assert slid.enabled_at_start(1009) == 5
    assert window((0, 10), (100, 8)).enabled_at_start(1000) == 8
    assert len(window((0, 10), (100, 8), (108, 5)).past(108.0, None).counts) == 2
    assert len(window((0, 10), (100, 8), (109, 5)).past(109.0, None).counts) == 3
    # What was before the window's beginning is forgotten, but for the last.
    assert len(window((0, 10), (100, 8), (1000, 5)).past(1000.0, None).counts) == 2


def test_the_next_run_goes_on_with_it() -> None:
    before = window((0, 10), (100, 8), (101, 9)).changed({"a": 100.0}, set())
    past = before.past(200.0, 7)
    assert (past.at_s, past.reference, tuple(past.taken)) == (200.0, 7, (("a", 100.0),))
    assert ListWindow(900.0).after(past) == before


def test_what_is_added_soon_after_the_first_list_was_not_there_before() -> None:
    assert window((0, 2), (1, 4)).enabled_at_start(1) == 2


def test_a_pool_that_had_nobody_enabled_is_measured_by_what_it_had_next() -> None:
    assert window((0, 0), (100, 4), (200, 2)).enabled_at_start(300) == 4
    assert ListWindow(900.0).enabled_at_start(0) == 0


def test_what_was_taken_long_ago_or_is_back_no_longer_counts() -> None:
    taken = ListWindow(900.0).changed({"a": 100.0, "b": 200.0, "c": 200.0}, {"c"})
    assert taken.taken == {"a": 100.0, "b": 200.0}
    assert taken.without_old(1050.0).taken == {"b": 200.0}
    assert taken.without_old(900.0) is taken
    assert taken.without_old(999.0) is taken
    assert taken.without_old(1000.0).taken == {"b": 200.0}


@given(st.lists(st.tuples(st.floats(0, 50), st.integers(0, 5)), max_size=400))
def test_a_list_that_changes_all_the_time_takes_no_more_memory(
    steps: list[tuple[float, int]],
) -> None:
    at, slid, history = 0.0, ListWindow(90.0), [(0.0, 0)]
    for wait_s, enabled in steps:
        at += wait_s
        slid = slid.counted(at, enabled)
        history.append((at, enabled))
        assert len(slid._counts) <= 102
        known = [count for when, count in history if when <= at - 90.0]
        if known and known[-1]:
            assert slid.enabled_at_start(at) >= known[-1]
