"""Sections and keys, their lines, and lines that fit no format."""

from __future__ import annotations

import configparser
import gc
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.config.ini import MAX_LINE, MAX_NAME, Document, Entry, read_ini
from pybal.config.ini_lines import LINE_FORMS


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
        ("80 ; the usual", "80"),
        ("; nothing", ""),
        ("text;with it", "text;with it"),
        ("'quoted ; text' ; comment", "quoted ; text"),
        ("[ 'a ; b', 'c' ] ; comment", "[ 'a ; b', 'c' ]"),
        ("[0-9];x[^;]", "[0-9];x[^;]"),
        ("{ 'X-Colour': '#fff' } # comment", "{ 'X-Colour': '#fff' }"),
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
        ("[a\nk = 1", 1, "the closing ] is missing"),
        ("[a]\nkey http://h", 2, "must be 'key = value'"),
        ("[a]\n  indented, with no key before", 2, "must be 'key = value'"),
        ('[a]\nk = """x""" y', 2, "must be 'key = value'"),
        ("[a]\nK = 1\nk = 2", 3, "already set in line 2"),
        ("[a]\nk: 1\nk = 2", 3, "already set in line 2"),
        ("[a]\nk = [ 'x',\n\n  'y' ]\n\nk = 2", 6, "already set in line 2"),
        ("[DEFAULT]\nk = 1\n[DEFAULT]\n", 3, "already defined in line 1"),
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


def test_a_section_that_has_lost_its_header_is_one_fault_that_says_so() -> None:
    section = "ip = 1\nport = 2\nbgp = no\nconfig = x\n"
    text = f"[a]\n{section}# lost\n{section}[b]\n{section}port = 3\nip = 4\nip = 5\nno entry\n"
    assert faults(text) == [
        (
            7,
            "ip, port, bgp and 1 more are already set (ip in line 2): is a [section] missing above"
            " this line?",
        ),
        (16, "this key is already set in line 13"),
        (17, "this key is already set in line 12"),
        (18, "this key is already set in line 12"),
        (19, LINE_FORMS),
    ]


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


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (": 80", "80"),
        (":80", "80"),
        (" : 80", "80"),
        (": http://h:80/?a=b", "http://h:80/?a=b"),
        ("= a: b", "a: b"),
        (": a = b", "a = b"),
    ],
)
def test_a_colon_is_as_good_as_an_equals_sign(written: str, value: str) -> None:
    assert entries(f"[a]\nk{written}\n")["a"] == {"k": Entry(value, 2)}


def test_keys_may_be_in_any_case_and_section_names_may_not() -> None:
    found = entries("[Web]\nDepool-Threshold = .5\nproxyFetch.URL = http://H/\n[web]\nk = 1")
    assert list(found) == ["Web", "web"]
    assert found["Web"] == {
        "depool-threshold": Entry(".5", 2),
        "proxyfetch.url": Entry("http://H/", 3),
    }


def test_lines_that_begin_with_a_semicolon_are_comments_wherever_they_stand() -> None:
    text = "; head\n[a] ; the first\n ; k = 0\nk = [ 'x',\n;  'y',\n  'z' ]\nm = 1"
    assert entries(text)["a"] == {"k": Entry("[ 'x',\n'z' ]", 4), "m": Entry("1", 7)}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("k = [ 'a',\n      'b' ]", "[ 'a',\n'b' ]"),
        ("k = [\n  'a', # first\n\n  'b', ; second\n]", "[\n'a',\n'b',\n]"),
        ("k = [\n'a',\n'b'\n]", "[\n'a',\n'b'\n]"),
        ("k =\n  [ 'a', 'b' ]", "[ 'a', 'b' ]"),
        ("k =\n\t64600\n\t64601", "64600\n64601"),
        ("k = 64600\n  64601  # mine\n# c\n  64602", "64600\n64601\n64602"),
        ("k = { 'A': 'x',\n  'B': 'y' }", "{ 'A': 'x',\n'B': 'y' }"),
        (
            "k = [ 'http://h/?a=b',\n  'http://h/?c = d' ]",
            "[ 'http://h/?a=b',\n'http://h/?c = d' ]",
        ),
        ("k =\n  http://h/", "http://h/"),
        ("k = ( 'a',\n)", "( 'a',\n)"),
    ],
)
def test_a_value_goes_on_in_lines_that_are_indented_further_or_until_its_bracket_closes(
    written: str, value: str
) -> None:
    text = f"[a]\n{written}\nlast = 1"
    assert read_ini(text).faults == ()
    assert entries(text)["a"] == {"k": Entry(value, 2), "last": Entry("1", text.count("\n") + 1)}


@pytest.mark.parametrize("bad", ["[ 'a'", "[ 'a',", "'a", "[", "", "80"])
@pytest.mark.parametrize("indent", ["", "  "])
def test_what_is_a_key_or_a_header_is_never_taken_into_the_value_before(
    bad: str, indent: str
) -> None:
    text = f"[a]\nk = {bad}\n{indent}m = 1\n{indent}n: 2\n{indent}[b]\n{indent}k = 3"
    found = entries(text)
    assert {name: list(section) for name, section in found.items()} == {
        "a": ["k", "m", "n"],
        "b": ["k"],
    }
    assert found["b"]["k"] == Entry("3", 6)


@pytest.mark.parametrize(
    "name",
    ["a#b", "[b] #", "a'b", "'a", "%41", "%61;", "/a", "__many__", "a  b", "é", "a\tb", "\ud800"],
)
def test_a_name_that_configobj_would_take_for_something_else_is_kept(name: str) -> None:
    document = read_ini(f'[a]\n"{name}" = 1\na = 2\n["{name.strip("[]# ")}"]\nk = 3')
    assert document.faults == ()
    first, second = document.sections
    assert first.entries == {name: Entry("1", 2), "a": Entry("2", 3)}
    assert (second.name, second.line) == (name.strip("[]# "), 4)
    assert second.entries == {"k": Entry("3", 5)}


def test_a_sub_section_may_be_called_like_a_key_and_a_section_like_a_stray_key() -> None:
    document = read_ini("[[x]]\na = 0\n[a]\nk = 1\n[[k]]\nk = 2")
    assert [fault.line for fault in document.faults] == [1]
    (section,) = document.sections
    assert section.entries == {"k": Entry("1", 4)}
    assert section.subsections["k"].entries == {"k": Entry("2", 6)}


def test_after_a_repeated_section_its_sub_sections_belong_nowhere() -> None:
    text = "[a]\n[[x]]\nk = 1\n[a]\nk = 2\n[[x]]\nk = 3\n[[y]]\nk = 4\n[b]\n[[y]]\nk = 5"
    assert [line for line, _ in faults(text)] == [4, 6, 8]
    a, b = read_ini(text).sections
    assert {name: sub.entries for name, sub in a.subsections.items()} == {"x": {"k": Entry("1", 3)}}
    assert b.subsections["y"].entries == {"k": Entry("5", 12)}


def test_every_section_inherits_from_default() -> None:
    text = "[a]\nk = 1\n[DEFAULT]\nK = 2\nm: 3\n[b]\n[[c]]\nn = 4"
    document = read_ini(text)
    a, b = document.sections
    assert document.defaults is not None and document.defaults.line == 3
    assert a.entries == {"k": Entry("1", 2), "m": Entry("3", 5, inherited=True)}
    assert b.entries == {
        "k": Entry("2", 4, inherited=True),
        "m": Entry("3", 5, inherited=True),
    }
    assert set(b.subsections["c"].entries) == {"n"}


@pytest.mark.parametrize(
    "unit", ["[", "'", "\\", "'\\", " ", "a ", ";", " ;", "(", "'a'", "\t=", ":"]
)
def test_hostile_lines_take_no_more_than_linear_time(unit: str) -> None:
    began_s = time.process_time()
    long = unit * (30_000 // len(unit))
    for text in (long, f"k = {long}", f"k = [{long}", f"k = '{long}"):
        read_ini(f"[a]\n{text}\n{text}\nk = [ 'a',\n" + "'b',\n" * 2_500)
    assert time.process_time() - began_s < 3


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            ["[a]", "[b]", "[[c]]", "[[[d]]]", "[a", "]", "k = 1", "k", "m = '''", "'''"]
        ),
        st.sampled_from(
            [
                "k = [",
                "  'x',",
                "; c",
                "[DEFAULT]",
                "k: 1",
                'x = """',
                '"""',
                "# c",
                "",
                "  ",
                "'q' = 1",
                '"',
                "'' = 1",
                "[''']",
                "=",
                "[ ]",
            ]
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
@pytest.mark.slow
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


@given(
    st.lists(
        st.sampled_from(
            ["[a]", "[b]", "[DEFAULT]", "k = 1", "K: 2", "m=[ 'x',", "    'y' ]", "    more", "",
             "# c", "; c", "    # c", "n : http://h/?a=b%20", "o =", "p = %(k)s"]
        ),
        max_size=20,
    )
)  # fmt: skip
def test_what_pythons_own_parser_reads_is_read_alike(lines: list[str]) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string("\n".join(lines))
    except configparser.Error:
        return
    if lines.count("[DEFAULT]") > 1:
        return  # this section alone that parser takes twice
    document = read_ini("\n".join(lines))
    assert document.faults == ()
    ours = {s.name: {k: e.text.split() for k, e in s.entries.items()} for s in document.sections}
    theirs = {
        name: {key: value.split() for key, value in parser.items(name)}
        for name in parser.sections()
    }
    assert ours == theirs


def test_what_stands_in_default_is_inherited_and_nothing_else() -> None:
    found = entries("[DEFAULT]\nk = 1\nm = 2\n[a]\nk = 3")["a"]
    assert found == {"k": Entry("3", 5, inherited=False), "m": Entry("2", 3, inherited=True)}
    assert found["k"].inherited is False


def test_a_section_may_have_several_sub_sections() -> None:
    (section,) = read_ini("[a]\n[[b]]\nk = 1\n[[c]]\nk = 2\n").sections
    assert [(sub.name, sub.entries["k"].text) for sub in section.subsections.values()] == [
        ("b", "1"),
        ("c", "2"),
    ]


def test_a_sub_section_of_a_faulty_section_is_a_fault_of_its_own() -> None:
    for faulty in ("[a]", "[x", "[]"):
        text = f"[a]\n[b]\n{faulty}\n[[c]]\nk = 1\n"
        assert [line for line, _ in faults(text)] == [3, 4]
        assert all(section.subsections == {} for section in read_ini(text).sections)


def test_no_entry_is_a_fault_but_after_a_faulty_header_only_if_it_is_too_long() -> None:
    assert [line for line, _ in faults("junk\n[a]\njunk")] == [1, 3]
    assert [line for line, _ in faults("[a\njunk\n[b]\njunk")] == [1, 4]
    assert [line for line, _ in faults(f"[a\nk = {'x' * MAX_LINE}\njunk")] == [1, 2]


@pytest.mark.parametrize("header", ["[b]", "[b] # comment", f"  [{'b' * 254}]"])
def test_a_header_ends_a_value_whose_bracket_is_open(header: str) -> None:
    first, second = read_ini(f"[a]\nk = [ 'x',\n{header}\nm = 1").sections
    assert first.entries == {"k": Entry("[ 'x',", 2)}
    assert (second.line, second.entries) == (3, {"m": Entry("1", 4)})


def test_a_line_of_a_value_may_be_as_long_as_any() -> None:
    line = f"'{'x' * (MAX_LINE - 3)}',"
    (section,) = read_ini(f"[a]\nk = [\n  {line}\n]\n").sections
    assert section.entries["k"].text == f"[\n{line}\n]"


def test_a_missing_bracket_is_said_only_where_one_is() -> None:
    assert faults("[a] junk")[0][1].endswith("'[section]' or '# comment'")
    assert faults("[a")[0][1].endswith("; the closing ] is missing")
    assert faults(f"[{'a' * 300}]")[0][1].endswith("too long to be a section, a key or a value")
    assert faults("[]")[0][1].endswith("'[section]' or '# comment'")


@pytest.mark.parametrize(
    "text",
    [
        "[a]\nk = 1\n[[b]]\nk = 2",
        "[a]\n[a]\nk = 1\nk = 1",
        "[a]\n[[[b]]]",
        "[a\nx",
        "[a]\nk = 1\nk = 2",
    ],
)
def test_what_has_been_read_leaves_no_garbage(text: str) -> None:
    gc.disable()
    gc.freeze()
    try:
        read_ini(text)
        assert gc.collect() == 0
    finally:
        gc.unfreeze()
        gc.enable()
