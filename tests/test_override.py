"""What operators say for a time: how long, and in which words."""

from __future__ import annotations

from pybal.override import MAX_DURATION_S, Action, LaidOver, Override, until_text

NOON = 1_700_000_000.0  # 22:13:20 UTC
HOUR = 3600.0


def test_nothing_lasts_longer_than_a_week() -> None:
    assert MAX_DURATION_S == 604_800


def test_the_end_has_its_date_if_that_is_another_days() -> None:
    assert until_text(NOON, NOON + HOUR) == "23:13 UTC"
    assert until_text(NOON, NOON + 2 * HOUR) == "2023-11-15 00:13 UTC"


def test_what_is_suspended_takes_nothing_out() -> None:
    drained = Override("web", "cp1", Action.DRAIN, "anna", "new kernel", NOON, NOON + HOUR)
    words = "drained by anna until 23:13 UTC: new kernel"
    over = LaidOver(drained, 10, True)
    assert (over.takes_out, over.drains, over.text) == (True, True, words)
    suspended = LaidOver(drained, 10, True, "too few would be left")
    assert (suspended.takes_out, suspended.drains) == (False, False)
    assert suspended.text == f"not {words} (suspended: too few would be left)"
