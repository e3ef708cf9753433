"""Heads of answers: what the strict reading relies on, and what the lenient one passes over."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.http.head import MAX_HEADER_LINES, BadResponseError, Head, read_head

OK = b"HTTP/1.1 200 OK\r\n"


def read(*lines: bytes, lenient: bool = False) -> Head:
    return read_head(OK + b"".join(line + b"\r\n" for line in lines) + b"\r\n", lenient=lenient)


def refusal(data: bytes, lenient: bool) -> str:
    """Why the head is refused, if it is."""
    try:
        head = read_head(data, lenient=lenient)
    except BadResponseError as error:
        return str(error)
    assert head.length is None or head.length >= 0
    return ""


def test_names_are_lower_case_and_the_last_of_equal_names_wins() -> None:
    head = read(b"X-A: 1", b"ETag:  W/x \t", b"x-a: 2", b"Content-Length: 3", b"X-Empty:")
    headers = {"x-a": "2", "etag": "W/x", "content-length": "3", "x-empty": ""}
    assert head == Head(200, headers, False, 3)


def test_a_folded_header_is_one() -> None:
    assert read(b"X-A: 1", b"  and", b"\t2", b"X-B: 3").headers == {"x-a": "1 and 2", "x-b": "3"}


STATUS_LINES = {
    b"HTTP/1.1 200 OK": 200,
    b"HTTP/1.0 404 Not  Found": 404,
    b"HTTP/1.1 200": 200,
    b"HTTP/1.1 200 ": 200,
    b"HTTP/1.1  503 \xe9\0": 503,
    b"HTTP/1.1 999 Odd": 999,
    b"HTTP/1.1 OK": None,
    b"HTTP/1.1 020 OK": None,
    b"HTTP/1.1 20 OK": None,
    b"HTTP/1.1 2000 OK": None,
    b"HTTP/1.1 200OK": None,
    b"HTTP/1.1": None,
    b"HTTP/2 200 OK": None,
    b"HTTP/1 200 OK": None,
    b"ICY 200 OK": None,
    b"": None,
}


@pytest.mark.parametrize("line", STATUS_LINES)
def test_a_status_line_is_read_or_shown(line: bytes) -> None:
    status = STATUS_LINES[line]
    if status is not None:
        assert read_head(line + b"\r\n\r\n", lenient=True).status == status
        return
    for lenient in (True, False):
        with pytest.raises(BadResponseError, match="no HTTP status line: '") as caught:
            read_head(line + b"\r\nX-A: b\r\n\r\n", lenient=lenient)
        assert repr(line)[2:-1] in str(caught.value)


def test_a_status_line_that_is_too_long_for_a_log_is_shown_in_part() -> None:
    with pytest.raises(BadResponseError) as caught:
        read_head(b"\xff" * 5000 + b"\n\n", lenient=True)
    assert str(caught.value) == "no HTTP status line: '" + r"\xff" * 60 + "'…"


UNREADABLE = {
    b"nonsense": "illegal header line: 'nonsense'",
    b"X : y": "illegal header line: 'X : y'",
    b": y": "illegal header line: ': y'",
    b"X\xe9: y": r"illegal header line: 'X\\xe9: y'",
    b"X: \0": r"headers that hold the byte '\\x00'",
    b"X: a\x0bb": r"headers that hold the byte '\\x0b'",
    b"X: a\x0cb": r"headers that hold the byte '\\x0c'",
    b"X: a\rb": r"headers that hold the byte '\\r'",
    b" X: y": "a continuation line before the first header",
    b"Content-Length: -1": "bad Content-Length: '-1'",
    b"Content-Length: +1": r"bad Content-Length: '\+1'",
    b"Content-Length: 1_0": "bad Content-Length: '1_0'",
    b"Content-Length: \xb2": "bad Content-Length",
    b"Content-Length:": "bad Content-Length: ''",
    b"Content-Length: " + b"9" * 16: "bad Content-Length",
    b"Transfer-Encoding: br": "a transfer coding other than chunked: 'br'",
    b"Transfer-Encoding: chunked, chunked": "a transfer coding other than chunked",
}


@pytest.mark.parametrize("line", UNREADABLE)
def test_an_unreadable_line_is_refused_or_passed_over(line: bytes) -> None:
    with pytest.raises(BadResponseError, match=UNREADABLE[line]):
        read(line)
    assert read(line, b"X-B: c", lenient=True).headers["x-b"] == "c"


def test_a_line_that_is_passed_over_does_not_tell_where_the_body_ends() -> None:
    for line in (b"Content-Length : 9", b" Content-Length: 9", b"Transfer-Encoding : chunked"):
        assert read(b"X: y", line, lenient=True) == Head(200, {"x": "y"}, False, None)


LENGTHS: dict[tuple[bytes, ...], int | None] = {
    (b"5",): 5,
    (b" 5\t ",): 5,
    (b"+5",): 5,
    (b"0",): 0,
    (b"000",): 0,
    (b"0" * 9000 + b"7",): 7,
    (b"5", b"5"): 5,
    (b"5", b"6"): 6,
    (b"6", b"5"): 6,
    (b"many", b"5"): 5,
    (b"5 bytes",): None,
    (b"-5",): None,
    (b"",): None,
    (b"+",): None,
    (b"\xb2",): None,
    (b"9" * 5000,): None,
}


@pytest.mark.parametrize("values", LENGTHS)
def test_a_length_that_is_unclear_is_none_to_the_lenient(values: tuple[bytes, ...]) -> None:
    head = read(*(b"Content-Length: " + value for value in values), lenient=True)
    assert (head.is_chunked, head.length) == (False, LENGTHS[values])


def test_two_different_lengths_are_refused_by_the_strict_and_two_equal_ones_taken() -> None:
    assert read(b"Content-Length: 5", b"Content-Length: 5").length == 5
    assert read(b"Content-Length: 5, 5").length == 5
    for lines in ([b"Content-Length: 5", b"Content-Length: 6"], [b"Content-Length: 5, 6"]):
        with pytest.raises(BadResponseError, match="conflicting Content-Length headers: '5, 6'"):
            read(*lines)


def test_chunks_come_before_a_length() -> None:
    for lenient in (True, False):
        head = read(b"Content-Length: 5", b"transfer-encoding:CHUNKED ", lenient=lenient)
        assert (head.is_chunked, head.length) == (True, None)


@pytest.mark.parametrize("status", [101, 204, 304])
def test_some_answers_have_no_body_whatever_their_headers_say(status: int) -> None:
    data = b"HTTP/1.1 %d X\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" % status
    head = read_head(data, lenient=True)
    assert (head.is_interim, head.is_chunked, head.length) == (False, False, 0)


def test_a_switch_of_protocols_is_refused_by_the_strict() -> None:
    with pytest.raises(BadResponseError, match="a switch of protocols that nobody asked for"):
        read_head(b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n", lenient=False)


def test_more_lines_than_any_client_takes_are_refused() -> None:
    for lenient in (True, False):
        read(*[b"X: y"] * MAX_HEADER_LINES, lenient=lenient)
        with pytest.raises(BadResponseError, match="headers of more than 1000 lines"):
            read(*[b"X: y"] * (MAX_HEADER_LINES + 1), lenient=lenient)


SLOW = {
    "blanks before a NUL": b"X:" + b" " * 250_000 + b"\0",
    "blanks before a colon": b"X" + b" " * 250_000 + b": y",
    "a long name": b"x" * 250_000 + b"\xff: y",
    "zeros before a letter": b"Content-Length: " + b"0" * 250_000 + b"x",
    "commas": b"Transfer-Encoding: " + b"," * 250_000,
    "returns": b"X: " + b"\r" * 250_000,
    "folds": b"X: y" + b"\r\n  y" * 900,
}


@pytest.mark.parametrize("name", SLOW)
def test_no_line_takes_more_than_its_length_in_time(name: str) -> None:
    began_s = time.process_time()
    for lenient in (True, False):
        assert len(refusal(OK + SLOW[name] + b"\r\n\r\n", lenient)) < 200
    assert time.process_time() - began_s < 1, "it takes some milliseconds; minutes if quadratic"


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_end_in_a_head_or_a_refusal(tail: bytes, lenient: bool) -> None:
    for data in (
        tail,
        OK + tail,
        OK + b"Content-Length:" + tail,
        OK + b"Transfer-Encoding:" + tail,
    ):
        assert refusal(data + b"\r\n\r\n", lenient).isprintable()


@given(st.lists(st.binary(max_size=20), max_size=5))
def test_what_the_strict_take_the_lenient_take_the_same(lines: list[bytes]) -> None:
    try:
        strict = read(*lines)
    except BadResponseError:
        return
    lenient = read(*lines, lenient=True)
    assert (lenient.status, lenient.is_chunked) == (strict.status, strict.is_chunked)
    assert lenient.length in (strict.length, None)
