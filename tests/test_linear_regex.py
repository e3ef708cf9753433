"""Patterns: the same answers as `re`, in linear time."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pybal.linear_regex import Pattern, PatternError

BYTES = st.text("abAB01 \n-", max_size=12).map(str.encode) | st.binary(max_size=6)


def patterns() -> st.SearchStrategy[str]:
    """Texts that are patterns here and in `re`, with the same meaning."""
    atom = st.sampled_from(
        ["a", "b", "B", "0", ".", r"\d", r"\w", r"\s", r"\D", r"\n", r"\x61", "[ab]", "[^a]",
         "[a-b0]", r"[\d-]", "[]a]", r"\-", "{", "{a}"]
    )  # fmt: skip

    def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        group = inner.map(lambda text: f"({text})") | inner.map(lambda text: f"(?:{text})")
        repeat = st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,}", "{,2}", "*?", "+?"])
        repeated = st.builds(str.__add__, group | atom, repeat)
        several = st.lists(repeated | group | atom, max_size=4).map("".join)
        return several | st.lists(several, min_size=2, max_size=3).map("|".join)

    inner = st.recursive(atom, larger, max_leaves=10)
    anchored = st.tuples(
        st.sampled_from(["", "(?i)", "^", "(?i)^"]),
        inner.map(lambda text: f"(?:{text})"),
        st.sampled_from(["", "$"]),
    ).map("".join)
    return inner | anchored


def compiled(text: str) -> Pattern | str:
    """The pattern, or what is wrong with it."""
    try:
        return Pattern(text)
    except PatternError as error:
        return str(error)


@given(text=patterns(), data=BYTES)
@example("a{0}b", b"b")
@example("^(?:a|b)$", b"b\n")
def test_it_finds_what_re_finds(text: str, data: bytes) -> None:
    pattern = compiled(text)
    if isinstance(pattern, Pattern):
        assert pattern.search(data) is bool(re.search(text.encode(), data))
    else:
        # The only other reason to refuse a good pattern.
        assert "too complex" in pattern or "matches anything" in pattern
        assert "too complex" in pattern or re.match(text.encode(), b"")


@given(text=patterns(), pieces=st.lists(BYTES, max_size=4))
def test_data_may_come_in_pieces(text: str, pieces: list[bytes]) -> None:
    pattern = compiled(text)
    if isinstance(pattern, Pattern):
        search = pattern.begin()
        found = [search.feed(piece) for piece in pieces]
        assert found == sorted(found), "found is found"
        assert (any(found) or search.end()) is pattern.search(b"".join(pieces))


@given(st.text(max_size=30) | st.text("ab()[]{}|*+?^$\\.,1-", max_size=30))
def test_any_text_is_a_pattern_or_an_error(text: str) -> None:
    pattern = compiled(text)
    assert isinstance(pattern, Pattern) or (pattern and "\n" not in pattern)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "matches anything"),
        ("a*", "matches anything"),
        ("(a", "not closed (at character 2)"),
        ("a)", "not opened"),
        ("[a", "ends too early"),
        ("a\\", "escape is not supported"),
        (r"\bok\b", "escape is not supported"),
        (r"(a)\1", "escape is not supported"),
        ("(?=a)", "only (?:...)"),
        ("*a", "nothing to repeat"),
        ("a**", "a repeat of a repeat needs brackets"),
        ("a*+", "a repeat of a repeat needs brackets"),
        ("a{3,2}", "greater number must come last"),
        ("a^", "^ is only for the start"),
        ("a$b", "$ is only for the end"),
        ("(a$)", "$ is only for the end"),
        ("^a|b", "brackets around the alternatives after ^"),
        ("a|b$", "brackets around the alternatives before $"),
        ("[z-a]", "no range"),
        (r"[\d-z]", "no range"),
        ("a{300}", "too complex"),
        ("((a{50}){50}){50}", "too complex"),
        (".*a.{20}", "too complex"),
        ("(" * 60 + "a" + ")" * 60, "too complex"),
    ],
)
def test_what_is_no_pattern_here_says_why(text: str, message: str) -> None:
    with pytest.raises(PatternError) as caught:
        Pattern(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "data", "found"),
    [
        ('{"status": *"ok"}', b'{"status":   "ok"}', True),
        ("ä", "Bär".encode(), True),
        ("(?i)OK$", b"all ok\n", True),
        ("^ok", b"not ok", False),
        (r"\+PONG\r\n", b"+PONG\r\n", True),
        (r"^\x00.\xff$", b"\0a\xff", True),
    ],
)
def test_what_operators_write(text: str, data: bytes, found: bool) -> None:
    assert Pattern(text).search(data) is found


@pytest.mark.parametrize("text", ["(a+)+b", "(a|a)*b", "(a*)*b", ".*.*.*=b", "(.*a){8}b"])
def test_patterns_that_blow_up_elsewhere_take_linear_time_here(text: str) -> None:
    pattern = Pattern(text)

    def taken_s(size: int) -> float:
        data = b"a" * size
        began = time.process_time()
        assert not pattern.search(data)
        return time.process_time() - began

    # Four times as much takes four times as long; 16 times, were it only quadratic.
    small, large = (min(taken_s(size) for _ in range(5)) for size in (65_536, 262_144))
    assert large < 10 * small


def test_patterns_are_equal_by_their_text() -> None:
    assert Pattern("a") == Pattern("a") != Pattern("b")
    assert len({Pattern("a"), Pattern("a")}) == 1
    assert (str(Pattern("a")), repr(Pattern("a"))) == ("a", "Pattern('a')")


@pytest.mark.parametrize(
    ("pattern", "least"),
    [
        ("a", 1),
        ("abc", 3),
        ("^abc$", 3),
        ("a{3}|b{2}c*", 2),
        ("a+b?c", 2),
        ("^[^\\x00-\\xff]", None),
        ("a[^\\x00-\\xff]b|cde", 3),
        ("x" * 200, 200),
    ],
)
def test_the_least_data_with_a_match_is_known(pattern: str, least: int | None) -> None:
    assert Pattern(pattern).least_bytes() == least


BYTE = [bytes((byte,)) for byte in range(256)]


@pytest.mark.parametrize(
    "text",
    [".", r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"\n", r"\r", r"\t", r"\f", r"\v", r"\0",
     r"[\d_]", r"[^\w]", r"[a-f]", r"\x80", r"(?i)[a-zA-Z]", r"(?i)\x40", r"(?i)\x5b", r"(?i)\x60",
     r"(?i)\x7b", r"(?i)[^a]", "(?i)z", "(?i)A", "(?i)1"],
)  # fmt: skip
def test_a_class_has_the_bytes_that_re_has_in_it(text: str) -> None:
    pattern, wanted = Pattern(text), re.compile(text.encode())
    found = [byte for byte in BYTE if pattern.search(byte)]
    assert found == [byte for byte in BYTE if wanted.search(byte)]


@pytest.mark.parametrize("text", ["^ba{,2}$", "^(?:|a)b$", "^(?:a|)b$", "^ba{1,}$", "^ba{2}$"])
@pytest.mark.parametrize("data", [b"b", b"ba", b"baa", b"baaa", b"ab"])
def test_nothing_and_few_repeats_are_as_in_re(text: str, data: bytes) -> None:
    assert Pattern(text).search(data) is bool(re.search(text.encode(), data))


def test_how_complex_a_pattern_may_be() -> None:
    for good in ("a" * 256, "a{256}", "(" * 49 + "a" + ")" * 49):
        assert Pattern(good).search(b"a" * 256)
    for wrong in ("a" * 257, "a{257}", "(" * 50 + "a" + ")" * 50):
        with pytest.raises(PatternError, match="too complex"):
            Pattern(wrong)
