"""history-retention and history-size."""

from __future__ import annotations

import pytest

from pybal.history.settings import HistorySettings
from tests.config.test_global import of
from tests.config.texts import problem_of, service


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", HistorySettings(30 * 86400, 256 << 20)),
        ("history-retention = 12h", HistorySettings(12 * 3600, 256 << 20)),
        ("history-retention = 86400", HistorySettings(86400, 256 << 20)),
        ("history-retention = 2 W", HistorySettings(14 * 86400, 256 << 20)),
        ("history-size = 1G", HistorySettings(30 * 86400, 1 << 30)),
        ("history-size = 16 MiB", HistorySettings(30 * 86400, 16 << 20)),
        ("history-retention = 0\nhistory-size = 0", HistorySettings(0, 0)),
        ("history-retention = 90s", HistorySettings(90, 256 << 20)),
        ("history-retention = 5m", HistorySettings(300, 256 << 20)),
        ("history-retention = 3650d", HistorySettings(315_360_000, 256 << 20)),
        ("history-size = 4194304", HistorySettings(30 * 86400, 4_194_304)),
        ("history-size = 5000K", HistorySettings(30 * 86400, 5_120_000)),
        ("history-size = 64G", HistorySettings(30 * 86400, 68_719_476_736)),
    ],
)
def test_times_and_sizes_have_units(text: str, wanted: HistorySettings) -> None:
    assert of(text).history == wanted


def test_a_few_seconds_were_probably_meant_to_be_days() -> None:
    warned = problem_of("history-retention", f"[global]\nhistory-retention = 30\n{service()}")
    assert warned.message == "these are seconds; write 30d for so many days"
    assert of("history-retention = 30s").history.retention_s == 30


def test_either_0_is_off() -> None:
    assert HistorySettings().on_disk
    assert HistorySettings(retention_s=1.0, size_bytes=1).on_disk
    assert not HistorySettings(retention_s=0).on_disk
    assert not HistorySettings(size_bytes=0).on_disk


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("history-retention", "a month", "must be a time such as 30d, 12h or a number of seconds"),
        ("history-retention", "-1d", "must be a time"),
        ("history-retention", "99999d", "the most is ten years"),
        ("history-retention", "\N{ARABIC-INDIC DIGIT THREE}d", "must be a time"),
        ("history-size", "\N{FULLWIDTH DIGIT EIGHT}M", "must be a size"),
        ("history-size", "lots", "must be a size such as 256M or 1G, or 0"),
        ("history-retention", "315360001", "the most is ten years"),
        ("history-size", "1M", "from 4M to 64G, or 0"),
        ("history-size", "4194303", "from 4M to 64G, or 0"),
        ("history-size", "68719476737", "from 4M to 64G, or 0"),
    ],
)
def test_a_wrong_value_says_what_is_wanted(key: str, value: str, wanted: str) -> None:
    problem = problem_of(key, f"[global]\n{key} = {value}\n{service()}")
    assert wanted in problem.message
    assert problem.line == 2
