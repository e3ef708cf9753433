"""Statements of a keepalived.conf, and what is odd about its text."""

from __future__ import annotations

import pytest

from pybal.migration.keepalived_text import Statement, read_keepalived


def said(text: str, config_id: str = "") -> list[str]:
    return list(map(str, read_keepalived(text, config_id)[1]))


def test_a_statement_knows_its_lines_and_its_words_but_no_comment() -> None:
    (top,), remarks = read_keepalived("a 'b c' {\n  d 6 # e f\n  ! g\n  h \"i\"\n}\n")
    assert remarks == []
    inside = [Statement(2, ("d", "6"), 2), Statement(4, ("h", "i"), 4)]
    assert top == Statement(1, ("a", "b c"), 5, inside)


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        ("a {\nb\n", "1: a: its block has no end"),
        ("a\n}\n", "2: }: it ends nothing"),
        ("{\n}\n", "1: {: what is this the block of?"),
        ("a {\n{\n}\n", "2: {: what is this the block of?"),
        ("a {\nb\n} {\n", "3: {: what is this the block of?"),
        ("@x a 1\n", "1: @x a 1: left out: it holds only with the id x (see --id)"),
    ],
)
def test_what_is_odd_is_said(text: str, remark: str) -> None:
    assert remark in said(text)


def test_what_holds_for_other_hosts_is_left_out_and_said() -> None:
    text = "@x a 1\n@^x a 2\n"
    (first,), _ = read_keepalived(text, "x")
    assert first.words == ("a", "1")
    assert said(text, "x") == ["2: @^x a 2: left out: it holds with other ids only (see --id)"]


def test_definitions_are_filled_in_however_they_are_written() -> None:
    (statement,), _ = read_keepalived("$NAME = x\na $NAME ${NAME} $OTHER ${OTHER}\n")
    assert statement.words == ("a", "x", "x", "$OTHER", "${OTHER}")


def test_blocks_go_32_deep() -> None:
    assert said("a {\n" * 32 + "}\n" * 32) == []
    assert "33: {: what is this the block of?" in said("a {\n" * 33)


def test_of_a_file_beyond_measure_the_beginning_is_read_and_that_is_said() -> None:
    text = "#" * (4 * 1024 * 1024)
    assert read_keepalived(text) == ([], [])
    _, (remark,) = read_keepalived(text + "#")
    assert str(remark) == "0: only the first 4194304 characters were read"


def test_definitions_that_double_each_other_fill_no_memory() -> None:
    doubling = "".join(f"$A{n} = $A{n - 1}$A{n - 1}\n" for n in range(1, 60))
    (statement,), remarks = read_keepalived(f"$A0 = x\n{doubling}a $A59\n")
    assert statement.words == ("a",)
    assert list(map(str, remarks)) == [
        "23: $A21$A21: left out: definitions add more than 4194304 characters in all"
    ]
