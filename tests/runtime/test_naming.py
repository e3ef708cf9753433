"""Many names are the first few, and how many more; what is counted has its word."""

from __future__ import annotations

import pytest

from pybal.runtime.naming import counted, duration, ends_of, named, printable, quoted, shortened


def test_ten_are_named_and_the_others_counted() -> None:
    assert named([]) == ""
    assert named("ab") == "a, b"
    assert named(range(10)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert named(range(11)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 1 more"
    assert named(range(4), 3, between="; ") == "0; 1; 2 and 1 more"


def test_nobody_is_looked_at_who_is_not_named() -> None:
    looked_at: list[int] = []

    class Name:
        def __str__(self) -> str:
            looked_at.append(1)
            return "x"

    names = {number: Name() for number in range(100)}
    assert named(names.values(), 2) == "x, x and 98 more"
    assert len(looked_at) == 2


def test_what_is_one_has_another_word_than_several() -> None:
    assert [counted(n, "server") for n in (0, 1, 2)] == ["0 servers", "1 server", "2 servers"]
    assert [counted(n, "prefix", "prefixes") for n in (1, 9)] == ["1 prefix", "9 prefixes"]


def test_what_is_cut_has_a_sign_and_maybe_where_all_of_it_is() -> None:
    assert shortened("abcd", 4) == shortened("abcd", 4, "the log") == "abcd"
    assert shortened("abcde", 4) == "abc…"
    assert shortened("abcde", 4, "the log") == "abc… (all of it: the log)"


def test_of_a_long_text_both_ends_are_said() -> None:
    assert ends_of("a" * 8, 8, "the log") == "a" * 8
    assert ends_of("abcdefghi", 8, "the log") == "abcdef… (all of it: the log) …hi"
    assert quoted("a", 3) == "'a'"
    assert quoted("ab\n", 5) == "'ab\\…"


def test_what_a_terminal_would_obey_is_escaped() -> None:
    assert printable("é and ~") == "é and ~"
    assert printable("a\nb\x1b[2J\u2028") == "a\\nb\\x1b[2J\\u2028"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5.0, "0 s"),
        (0.0, "0 s"),
        (0.00025, "0.25 ms"),
        (0.0994, "99.4 ms"),
        (0.0995, "0.0995 s"),
        (0.25, "0.25 s"),
        (59.94, "59.9 s"),
        (119.0, "119 s"),
        (120.0, "2 min"),
        (7199.0, "119 min"),
        (7200.0, "2 h"),
        (172_799.0, "47 h"),
        (172_800.0, "2 d"),
        (20 * 86_400.0 - 1, "19 d"),
    ],
)
def test_a_duration_is_read_at_a_glance(seconds: float, words: str) -> None:
    assert duration(seconds) == words
