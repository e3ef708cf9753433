"""Connections that a server closes soon: since when, and when that is said."""

from __future__ import annotations

from pybal.monitors.short_lived import SHORT_LIVED_FOR_S, ShortLived


def test_it_is_said_once_after_some_time() -> None:
    assert SHORT_LIVED_FOR_S == 180.0
    short = ShortLived()
    said = [short.is_said]
    assert short.closed(100.0) is None
    assert short.closed(100.0 + SHORT_LIVED_FOR_S - 0.1) is None
    said.append(short.is_said)
    assert short.closed(100.0 + SHORT_LIVED_FOR_S) == SHORT_LIVED_FOR_S
    assert [*said, short.is_said] == [False, False, True]
    assert short.closed(100.0 + 2 * SHORT_LIVED_FOR_S) is None


def test_an_attempt_that_fails_begins_the_time_anew_unless_it_was_said() -> None:
    short = ShortLived()
    short.closed(0.0)
    short.interrupted()
    assert short.closed(SHORT_LIVED_FOR_S) is None
    assert short.closed(2 * SHORT_LIVED_FOR_S) == SHORT_LIVED_FOR_S
    short.interrupted()
    short.is_said = False
    assert short.closed(3 * SHORT_LIVED_FOR_S) == 2 * SHORT_LIVED_FOR_S


def test_a_connection_that_lasts_begins_all_anew() -> None:
    short = ShortLived()
    assert short.in_a_row == 0
    short.closed(0.0)
    short.in_a_row += 3
    short.lasted()
    assert short.in_a_row == 0
    assert short.closed(SHORT_LIVED_FOR_S) is None
