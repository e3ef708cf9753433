"""Literals are read and never run, and RunCommand's arguments are a closed grammar."""

from __future__ import annotations

import gc
import warnings
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.config.bad_value import BadValueError
from pybal.config.literals import MAX_LITERAL, parse_literal, repeated_key
from pybal.monitors.runcommand import LiteralArgument, ServerArgument, parse_arguments

HOSTILE = {
    "unary": "-" * 16000 + "1",
    "sum": "1" + "+1" * 8000,
    "attributes": "a" + ".b" * 8000,
    "calls": "a" + "()" * 7000,
    "parentheses": "(" * 8000 + ")" * 8000,
    "brackets": "[" * 8000 + "]" * 8000,
    "braces": "{" * 16000,
    "unhashable": "{[]: 1}",
    "nul": "'\0'",
    "nul outside": "\0",
    "surrogate": "'\ud800'",
    "digits": "9" * 10000,
    "too long": "[" + "1," * MAX_LITERAL + "]",
    "empty": "",
    "two": "1; 2",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_a_bad_value(text: str) -> None:
    with pytest.raises(BadValueError):
        parse_literal(text)
    with pytest.raises(BadValueError):
        parse_arguments(text)


def test_a_literal_is_its_value() -> None:
    assert parse_literal(" { 'a': [1, -2.5, True, None] } # comment") == {
        "a": [1, -2.5, True, None]
    }


def test_what_is_not_hashable_or_not_constant_in_a_dict_is_read_as_ever() -> None:
    assert parse_literal("{'a': -1, 'b': (), 'a': 2}") == {"a": 2, "b": ()}
    assert parse_literal("{'a': 1, 'a': 2}") == {"a": 2}
    for text in ("{**{'a': 1}}", "{'a': 1, **b}", "{'a': b}", "{b: 'a'}"):
        with pytest.raises(BadValueError):
            parse_literal(text)


def test_a_line_of_a_pool_list_leaves_no_garbage() -> None:
    """Else a search for it holds up the process, again and again while a long list is read."""
    gc.collect()
    gc.disable()
    try:
        assert parse_literal("{'host': 'mw1.example', 'weight': 10, 'enabled': True}")
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_nothing_in_a_literal_is_executed(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for code in (
        f"open({str(mark)!r}, 'w')",
        f"[__import__('os').mkdir({str(mark)!r})]",
        f"[x for x in [open({str(mark)!r}, 'w')]]",
        f"(lambda: open({str(mark)!r}, 'w'))()",
        f"[f'{{open({str(mark)!r}, chr(119))}}']",
    ):
        for read in (parse_literal, parse_arguments):
            with pytest.raises(BadValueError):
                read(code)
    assert not mark.exists()


def test_an_odd_escape_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parse_literal(r"'\d'") == r"\d"


def test_arguments_are_strings_numbers_and_words_of_the_server() -> None:
    text = "[ '/etc/pybal/check', \"two words\", server.host, server.ip, server.port, 2, -3, .5, ]"
    assert parse_arguments(text) == (
        LiteralArgument("/etc/pybal/check"),
        LiteralArgument("two words"),
        ServerArgument("host"),
        ServerArgument("ip"),
        ServerArgument("port"),
        LiteralArgument("2"),
        LiteralArgument("-3"),
        LiteralArgument("0.5"),
    )
    assert parse_arguments("[]") == ()


@pytest.mark.parametrize(
    "element",
    [
        "server", "server.name", "server.host.x", "client.host", "server.__class__", "True", "None",
        "b'x'", "...", "1j", "1e999", "-'x'", "- -1", "+1", "1 + 1", "'%s' % 1", "f'{server.host}'",
        "[1]", "*[1]", "server.host()", "x := 1", "'\\0'", "'\\ud800'", "0x" + "f" * 5000,
    ],
)  # fmt: skip
def test_any_other_element_is_refused_by_its_number(element: str) -> None:
    with pytest.raises(BadValueError, match=r"element 2 is|cannot be read"):
        parse_arguments(f"['first', {element}]")


@pytest.mark.parametrize("text", ["'a'", "{'a'}", "{'a': 1}", "server.host", "1"])
def test_arguments_are_a_list(text: str) -> None:
    with pytest.raises(BadValueError, match="not a list"):
        parse_arguments(text)


@given(st.text("[](){},:'\"\\serv.hotipn0123456789abx#-+=* \n", max_size=60) | st.text(max_size=60))
def test_any_text_is_a_value_or_a_bad_value(text: str) -> None:
    for read in (parse_literal, parse_arguments):
        with suppress(BadValueError):
            read(text)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("{'a': 1, 'b': 2}", ""),
        ("{'a': 1, 'b': 2, 'b': 3, 'a': 1}", "'a'"),
        ("{\"a\": 1, 'a': 2}", "'a'"),
        ("{**{}, **{}, 'b': 2, 'b': 3}", "'b'"),
        ("['a', 'a']", ""),
    ],
)
def test_a_key_that_is_given_twice_is_found(text: str, key: str) -> None:
    assert repeated_key(text) == key


def test_what_cannot_be_read_says_why() -> None:
    with pytest.raises(BadValueError, match="is a quote, a comma or a bracket missing"):
        parse_literal("[1")
    with pytest.raises(BadValueError, match="quote"):
        parse_literal("\u201ca\u201d")
    longest = "1" + " " * 16383
    assert parse_literal(longest) == 1
    with pytest.raises(BadValueError, match="longer than 16384 characters"):
        parse_literal(longest + " ")
