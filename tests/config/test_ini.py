"""Sections and keys, their lines, and lines that fit no format."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.config.ini import MAX_LINE, MAX_NAME, Document, Entry, read_ini


def faults(text: str) -> list[tuple[int, str]]:
    return [(fault.line, fault.message) for fault in read_ini(text).faults]


def entries(text: str) -> dict[str, dict[str, Entry]]:
    return {section.name: dict(section.entries) for section in read_ini(text).sections}


def test_entries_and_sections_know_their_lines() -> None:
    document = read_ini("# head\n\n[a]\nk = 1\n  # indented\n\n  m = 2\n[b]\nk=3")
    assert document.faults == ()
    assert [(s.name, s.line) for s in document.sections] == [("a", 3), ("b", 8)]
    assert document.sections[0].entries == {"k": Entry("1", 4), "m": Entry("2", 7)}
    assert document.sections[1].entries == {"k": Entry("3", 9)}


def test_the_first_line_may_be_a_section() -> None:
    (section,) = read_ini("[a]\nk = 1").sections
    assert (section.line, section.entries["k"].line) == (1, 2)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_in_any_way(end: str) -> None:
    assert entries(end.join(["[a]", "k = 1", "m = 2"])) == {
        "a": {"k": Entry("1", 2), "m": Entry("2", 3)}
    }


def test_other_line_separators_do_not_shift_the_lines() -> None:
    assert entries("# \u2028 \x0b \x0c \x85\n[a]\nk = 1")["a"]["k"].line == 3


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert list(entries("\ufeff[a]\nk = 1")) == ["a"]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("80 # the usual", "80"),
        ("80#the usual", "80"),
        ("# nothing", ""),
        ("", ""),
        ("  spaced out  ", "spaced out"),
        ('"quoted # text" # comment', "quoted # text"),
        ("'quoted'", "quoted"),
        ("[ 'a#b', \"c#d\" ] # comment", "[ 'a#b', \"c#d\" ]"),
        ("[ 'it''s' ]", "[ 'it''s' ]"),
        ("[ 'a\\'#b' ] # c", "[ 'a\\'#b' ]"),
        ("[ 'open # not a comment ]", "[ 'open # not a comment ]"),
        ('"a" "b"', '"a" "b"'),
        ("http://h/%(x)s%20$y", "http://h/%(x)s%20$y"),
        ("a = b", "a = b"),
        ("a, b", "a, b"),
        ("'''[ 'a' ]''' # c", "[ 'a' ]"),
    ],
)
def test_values_lose_comments_and_quotes_but_nothing_else(written: str, value: str) -> None:
    assert entries(f"[a]\nk = {written}\nlast = 1")["a"] == {
        "k": Entry(value, 2),
        "last": Entry("1", 3),
    }


def test_a_value_in_triple_quotes_spans_lines_and_the_lines_after_it_stay_right() -> None:
    text = '[a]\nk = """[ \'a\',\n  \'b\'\n]"""\nm = 2'
    assert entries(text)["a"] == {"k": Entry("[ 'a',\n  'b'\n]", 2), "m": Entry("2", 5)}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[a]\nport 80", 2, "must be 'key = value'"),
        ("[a\nk = 1", 1, "must be 'key = value'"),
        ("[a]\n; comment", 2, "must be 'key = value'"),
        ("[a]\n\n= 1", 3, "must be 'key = value'"),
        ("k = 1\n[a]", 1, "before the first [section]"),
        ("[a]\nk = 1\n[b]\n[a]\n", 4, "already defined in line 1"),
        ("[a]\nk = 1\nk = 2", 3, "already set in line 2"),
        ("[a]\n[[[b]]]", 2, "brackets"),
        ("[[a]]", 1, "brackets"),
        ("[[a]\n", 1, "brackets"),
        ("[a]\nk = '''x\nm = 1", 2, "closing triple quotes are missing"),
        (f"[a]\n{'k' * (MAX_NAME + 1)} = 1", 2, "too long"),
        (f"[a]\nk = {'x' * MAX_LINE}", 2, "too long"),
        (f"[{'a' * MAX_NAME}]", 1, "too long"),
    ],
)
def test_a_line_that_does_not_fit_is_a_fault_with_its_line(
    text: str, line: int, message: str
) -> None:
    ((found_line, found),) = faults(text)
    assert found_line == line
    assert message in found


def test_a_repeated_key_names_its_section_and_itself() -> None:
    (fault,) = read_ini("[a]\n'k' = 1\n\"k\" = secret").faults
    assert (fault.section, fault.key) == ("a", "k")
    assert "secret" not in fault.message


def test_a_bad_line_is_not_quoted_because_it_may_hold_a_secret() -> None:
    ((_, message),) = faults("[a]\nbgp-password hunter2")
    assert "hunter2" not in message


@pytest.mark.parametrize("header", ["[a]", "[[[x]]]", "[x", f"[{'x' * 300}]"])
def test_what_follows_a_bad_header_is_not_taken_for_the_section_before(header: str) -> None:
    document = read_ini(f"[a]\nk = 1\n[b]\nk = 1\n{header}\nk = 2\nm = 2\n[c]\nk = 3")
    assert [fault.line for fault in document.faults] == [5]
    assert {s.name: set(s.entries) for s in document.sections} == {
        "a": {"k"},
        "b": {"k"},
        "c": {"k"},
    }


def test_sub_sections_keep_their_keys_to_themselves() -> None:
    (section,) = read_ini("[global]\nk = 1\n[[peer 192.0.2.1]]\nm = 2").sections
    assert set(section.entries) == {"k"}
    (peer,) = section.subsections.values()
    assert (peer.name, peer.line, set(peer.entries)) == ("peer 192.0.2.1", 3, {"m"})


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            ["[a]", "[b]", "[[c]]", "[[[d]]]", "[a", "]", "k = 1", "k", "m = '''", "'''"]
        ),
        st.sampled_from(
            ['x = """', '"""', "# c", "", "  ", "'q' = 1", '"', "'' = 1", "[''']", "=", "[ ]"]
        ),
        st.text("[]'\"=#ka \t", max_size=12),
        st.text(max_size=12).filter(lambda text: "\0" not in text),
    ),
    max_size=20,
)


def in_range(document: Document, last: int) -> bool:
    lines = [fault.line for fault in document.faults]
    for section in document.sections:
        lines += [section.line, *(sub.line for sub in section.subsections.values())]
        lines += [entry.line for entry in section.entries.values()]
    return all(1 <= line <= last for line in lines)


@given(LINES)
def test_any_lines_end_in_a_document_whose_lines_are_in_the_text(lines: list[str]) -> None:
    text = "\n".join(lines)
    last = text.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
    assert in_range(read_ini(text), last)


@given(st.lists(st.sampled_from(["[a]", "[b]", "[c]", "k = 1", "m = 2", "", "# c"]), max_size=20))
def test_each_entry_is_found_on_its_line_in_the_text(lines: list[str]) -> None:
    for section in read_ini("\n".join(lines)).sections:
        assert lines[section.line - 1] == f"[{section.name}]"
        for key, entry in section.entries.items():
            assert lines[entry.line - 1] == f"{key} = {entry.text}"
            headers = [line for line in lines[: entry.line] if line.startswith("[")]
            assert headers[-1] == f"[{section.name}]"
