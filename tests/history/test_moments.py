"""Moments in words."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from pybal.history.moments import MomentError, moment

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 28, 2, 0, 0, tzinfo=UTC).timestamp()
"""03:00 in Berlin."""


def at(text: str) -> str:
    found = datetime.fromtimestamp(moment(text, NOW, BERLIN), BERLIN)
    return found.strftime("%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("03:12", "11-27 03:12:00"),
        ("02:59", "11-28 02:59:00"),
        ("3:00", "11-28 03:00:00"),
        ("02:59:30", "11-28 02:59:30"),
        ("yesterday 02:59", "11-27 02:59:00"),
        ("yesterday", "11-27 00:00:00"),
        ("Today 01:00", "11-28 01:00:00"),
        ("1h", "11-28 02:00:00"),
        ("1h ago", "11-28 02:00:00"),
        ("90 minutes ago", "11-28 01:30:00"),
        ("1.5h", "11-28 01:30:00"),
        ("1h30m", "11-28 01:30:00"),
        ("1h 30min ago", "11-28 01:30:00"),
        ("-1h", "11-28 02:00:00"),
        ("2d", "11-26 03:00:00"),
        ("1w", "11-21 03:00:00"),
        ("now", "11-28 03:00:00"),
        ("2026-11-28T01:12", "11-28 01:12:00"),
        ("2026-11-28 01:12:05", "11-28 01:12:05"),
        ("2026-11-28T01:12Z", "11-28 02:12:00"),
        ("2026-11-28T01:12:00+02:00", "11-28 00:12:00"),
        ("2026-11-28T01:12:00 02:00", "11-28 00:12:00"),
        ("2026-11-27", "11-27 00:00:00"),
        (str(int(NOW) - 60), "11-28 02:59:00"),
        (f"@{NOW - 60}", "11-28 02:59:00"),
        (f"{NOW - 60:.12e}".replace("+", ""), "11-28 02:59:00"),
    ],
)
def test_people_and_programs_say_a_moment_in_many_ways(text: str, wanted: str) -> None:
    assert at(text) == wanted


def test_in_a_night_that_sets_the_clocks_the_last_such_moment_is_meant() -> None:
    after = datetime(2026, 10, 25, 4, 0, tzinfo=BERLIN).timestamp()
    found = moment("01:30", after, BERLIN)
    assert datetime.fromtimestamp(found, BERLIN) == datetime(2026, 10, 25, 1, 30, tzinfo=BERLIN)
    assert after - found == 3.5 * 3600


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "25:00",
        "03:60",
        "-",
        "1hx",
        "1h30",
        "1mo",
        "1y",
        "2026-13-01",
        "nan",
        "inf",
        "9" * 40,
        "\0",
        "\N{ARABIC-INDIC DIGIT THREE}",
        "0\N{ARABIC-INDIC DIGIT THREE}:12",
        "\N{FULLWIDTH DIGIT TWO}026-11-28T03:12",
    ],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(MomentError, match="is no moment"):
        moment(text, NOW, BERLIN)


@pytest.mark.parametrize(
    ("text", "ago_s"),
    [("1s", 1), ("90s", 90), ("2m", 120), ("1h", 3600), ("1d", 86_400), ("1w", 604_800)],
)
def test_each_unit_is_so_many_seconds(text: str, ago_s: float) -> None:
    assert moment(text, 1e9) == 1e9 - ago_s


def test_the_latest_moment_lies_in_the_year_5138() -> None:
    assert moment("99999999999", 1e9) == 99_999_999_999
    with pytest.raises(MomentError):
        moment("99999999999.5", 1e9)
    with pytest.raises(MomentError):
        moment("100000000000", 1e9)
