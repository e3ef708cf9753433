"""Tables and screens."""

from __future__ import annotations

from pathlib import Path

import pytest

from pybal.ctl.table import Line, Style, age, fitted, painted, printable, row, table, width
from tests.ctl.served import ServedSite, ctl
from tests.fakes.view import FakeView, server, service


@pytest.mark.parametrize(
    ("text", "columns"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("ﾊﾝ", 2), ("é", 1), ("", 0)]
)
def test_a_text_takes_as_many_columns_as_a_terminal_gives_it(text: str, columns: int) -> None:
    assert width(text) == columns


def test_columns_stand_under_each_other_whatever_is_written_in_them() -> None:
    rows = [row("日本", 1), row("e\u0301", 20), row("plain", None), row("\u202eevil\x1b[2J", 3)]
    _, *lines = [line.text for line in table(("NAME", "N"), rows)]
    assert {width(line) for line in lines} == {len("\\u202eevil\\x1b[2J") + 2 + 2}
    assert all(line.isprintable() for line in lines)


def test_texts_stand_left_and_numbers_right_in_the_style_of_their_row() -> None:
    rows = [row("a", 1, "x", style=Style.BAD), row("bcdef", 20, None)]
    assert table(("NAME", "N", "Z"), rows) == [
        Line("NAME    N  Z", Style.HEAD),
        Line("a       1  x", Style.BAD),
        Line("bcdef  20  -"),
    ]
    assert table(("NAME", "N"), []) == [Line("NAME  N", Style.HEAD)]


def test_what_a_terminal_would_obey_is_escaped() -> None:
    assert printable("a\tb\xe9 \x1b[2J\u202e\n") == "a\tb\xe9 \\x1b[2J\\u202e\\n"


def test_colours_are_for_those_who_want_them_and_for_what_is_not_plain() -> None:
    lines = [Line("a"), Line("b", Style.BAD)]
    assert list(painted(lines, colour=True)) == ["a", "\x1b[31mb\x1b[0m"]
    assert list(painted(lines, colour=False)) == ["a", "b"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (0.9, "0 s"), (1, "1 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"),
     (7200, "2 h"), (172799, "47 h"), (172800, "2 d"), (10 * 86400 - 1, "9 d")],
)  # fmt: skip
def test_an_age_has_two_of_its_unit_at_least(seconds: float, text: str) -> None:
    assert age(seconds) == text


@pytest.mark.parametrize(("columns", "text"), [(10, "0123456789"), (9, "01234567…"), (5, "0123…")])
def test_no_more_is_cut_than_needs_be(columns: int, text: str) -> None:
    assert fitted([Line("0123456789")], columns, 10) == [Line(text)]


def test_what_does_not_fit_on_a_screen_is_counted() -> None:
    lines = [Line(f"line {number}") for number in range(10)]
    assert [line.text for line in fitted(lines, 80, 11)] == [line.text for line in lines]
    shown = [line.text for line in fitted(lines, 80, 5)]
    assert shown == ["line 0", "line 1", "line 2", "… and 7 more lines"]
    assert [line.text for line in fitted(lines, 80, 1)] == ["… and 10 more lines"]


@pytest.mark.parametrize("columns", [1, 2, 7, 8, 20])
@pytest.mark.parametrize("text", ["0123456789" * 9, "日本語" * 30, "e\u0301" * 50, "short"])
def test_a_long_line_is_cut_and_says_so(text: str, columns: int) -> None:
    (line,) = fitted([Line(text)], columns, 10)
    assert width(line.text) <= columns
    assert line.text == text or line.text.endswith("…")
    if width(text) > columns > 3:
        assert width(line.text) >= columns - 2, "no more than needs be"


def test_watch_shows_the_worst_that_fits_and_nothing_else(tmp_path: Path) -> None:
    view = FakeView([service(f"s{number}_80", [server("cp1")]) for number in range(100)])
    with ServedSite(tmp_path / "s", view):
        status, out, _ = ctl(tmp_path / "s", "watch", screen=(40, 12))
        assert status == 0
        screens = out.split("\x1b[H\x1b[2J")
        assert screens[0] == ""
        assert len(screens) == 4
        for each in screens[1:]:
            shown = each.splitlines()
            assert len(shown) == 11
            assert shown[0].startswith("PyBal ")
            assert shown[-1].startswith("… and ")
            assert max(map(width, shown)) <= 40
        _, out, _ = ctl(tmp_path / "s", "status", screen=(40, 12))
        assert len(out.splitlines()) > 100, "who asks once gets all"
