"""The HTTP response reader: what it accepts, what it refuses, and that any bytes end in either."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.http.port import HTTPResponse
from pybal.http.response_reader import MAX_HEADER_BYTES, BadResponseError, ResponseReader

LIMIT = 100_000

COMPLETE = {
    "with a length": (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, b"abc"),
    "without a body": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, b""),
    "with an empty body": (b"HTTP/1.0 503 No\r\nContent-Length: 0\r\n\r\n", 503, b""),
    "without a reason phrase": (b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nz", 200, b"z"),
    "with bare line feeds": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, b"ok"),
    "in chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\n",
        200,
        b"abcde",
    ),
    "in a chunk that h11 gets piecemeal": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"1388\r\n" + bytes(range(250)) * 20 + b"\r\n0\r\n\r\n",
        200,
        bytes(range(250)) * 20,
    ),
    "after interim answers": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: a\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nq",
        200,
        b"q",
    ),
    "with one length twice": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nq",
        200,
        b"q",
    ),
}  # fmt: skip

REFUSED = {
    "junk": (b"\x16\x03\x01\x02\x00\x01\x00\x01", "not an HTTP response"),
    "a mail server": (b"220 mail.example.org ESMTP\r\n\r\n", "not an HTTP response|status line"),
    "a status of letters": (b"HTTP/1.1 OK 200\r\n\r\n", "illegal status line"),
    "a header without colon": (b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", "illegal header line"),
    "a folded first header": (
        b"HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
        "continuation line at start",
    ),
    "a negative length": (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "bad Content-Length"),
    "two lengths": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "conflicting Content-Length",
    ),
    "an unknown coding": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: br\r\n\r\n", "Only Transfer-Enc"),
    "a length too short": (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc", "2 bytes more than"),
    "chunked garbage": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "illegal chunk header",
    ),
    "a chunk too long": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        "malformed chunk footer|illegal chunk header",  # the second: h11 0.14.0 as on PyPI
    ),
    "an endless chunk line": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 5000,
        "endless line",
    ),
    "a switch of protocols that nobody asked for": (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
        "without a pending proposal",
    ),
    "a line that is too long for a log": (
        b"HTTP/1.1 200 OK\r\n" + b"x" * 5000 + b"\r\n\r\n",
        "illegal header line: .*xxx",
    ),
}

# On these h11 by itself takes time quadratic in the length, or raises what is no error of its own.
TOO_MUCH_FOR_H11 = {
    "blanks before a NUL": (b"X:" + b" " * 60_000 + b"\0\r\n\r\n", r"the byte b'\\x00'"),
    "blanks before a vertical tab": (b"X:" + b"\t" * 60_000 + b"\v\r\n\r\n", r"the byte b'\\x0b'"),
    "blanks before a form feed": (b"X:" + b" " * 60_000 + b"\f\r\n\r\n", r"the byte b'\\x0c'"),
    "blanks before a bare return": (b"X:" + b" " * 60_000 + b"\r\r\n\r\n", r"the byte b'\\r'"),
    "folded blanks": (b"X:" + b"\r\n " * 20_000 + b"a\0\r\n\r\n", r"the byte b'\\x00'"),
    "a chunk's blanks": (
        b"Transfer-Encoding: chunked\r\n\r\n1;" + b" " * 60_000 + b"\nx\r\n",
        "endless line",
    ),
    "blanks in a trailer": (
        b"Transfer-Encoding: chunked\r\n\r\n0\r\nX:" + b" " * 60_000 + b"\0\r\n\r\n",
        "endless line",
    ),
    "a length of 5000 digits": (b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", "Length|digits"),
}

UNFINISHED = {
    "nothing": (b"", "without an answer"),
    "half a header": (b"HTTP/1.1 200 OK\r\nContent-Le", "within the headers, 27 bytes received"),
    "half a body": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "after 3 of 9 bytes"),
    "half the chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "in mid-body, after 3 bytes",
    ),
}


def read(data: bytes, *, limit: int = LIMIT, truncate: bool = False) -> HTTPResponse | None:
    reader = ResponseReader(limit, truncate=truncate)
    reader.feed(data)
    return reader.response


def feed_for_ever(reader: ResponseReader, data: bytes) -> None:
    for _ in range(1000):
        reader.feed(data)


@pytest.mark.parametrize("name", COMPLETE)
def test_a_complete_answer_is_read(name: str) -> None:
    data, status, body = COMPLETE[name]
    response = read(data)
    assert response is not None
    assert (response.status, response.body) == (status, body)


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_answer_is_refused_with_its_reason(name: str) -> None:
    data, why = REFUSED[name]
    with pytest.raises(BadResponseError, match=why) as caught:
        read(data)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("name", TOO_MUCH_FOR_H11)
def test_what_would_hold_h11_up_or_break_it_is_refused(name: str) -> None:
    data, why = TOO_MUCH_FOR_H11[name]
    with pytest.raises(BadResponseError, match=why):
        read(b"HTTP/1.1 200 OK\r\n" + data)


@pytest.mark.parametrize("name", UNFINISHED)
def test_an_answer_cut_off_is_an_error_that_says_how_far_it_came(name: str) -> None:
    data, why = UNFINISHED[name]
    reader = ResponseReader(LIMIT)
    reader.feed(data)
    assert reader.response is None
    with pytest.raises(BadResponseError, match=why):
        reader.end(clean=True)


def test_header_names_are_lower_case_and_the_last_of_equal_names_wins() -> None:
    response = read(
        b'HTTP/1.1 200 OK\r\nX-A: 1\r\nETag:  W/"x" \r\nx-a: 2\r\n  and 3\r\n'
        b"Content-Length: 0\r\n\r\n"
    )
    assert response is not None
    assert response.headers == {"x-a": "2 and 3", "etag": 'W/"x"', "content-length": "0"}


def test_a_body_without_length_ends_with_the_connection() -> None:
    reader = ResponseReader(LIMIT)
    reader.feed(b"HTTP/1.0 200 OK\r\n\r\nab")
    reader.feed(b"cd")
    assert reader.response is None
    reader.end(clean=True)
    assert reader.response == HTTPResponse(200, {}, b"abcd")


def test_a_body_without_length_that_ends_in_a_reset_is_an_error() -> None:
    reader = ResponseReader(LIMIT)
    reader.feed(b"HTTP/1.0 200 OK\r\n\r\nab")
    with pytest.raises(BadResponseError, match="in mid-body, after 2 bytes"):
        reader.end(clean=False)


def test_a_body_without_length_that_ends_in_a_reset_counts_where_the_status_is_all() -> None:
    reader = ResponseReader(LIMIT, truncate=True)
    reader.feed(b"HTTP/1.0 200 OK\r\n\r\nab")
    reader.end(clean=False)
    assert reader.response == HTTPResponse(200, {}, b"ab")


def test_endless_headers_end_at_the_limit() -> None:
    for limit in (1000, 10 * MAX_HEADER_BYTES):
        reader = ResponseReader(limit)
        reader.feed(b"HTTP/1.1 200 OK\r\n")
        with pytest.raises(BadResponseError, match="more"):
            feed_for_ever(reader, b"X-Header: value\r\n" * 100)
        assert reader.bytes_received <= limit + 1700


def test_endless_interim_answers_end_at_the_limit() -> None:
    reader = ResponseReader(10 * MAX_HEADER_BYTES)
    with pytest.raises(BadResponseError, match="headers of more"):
        feed_for_ever(reader, b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def test_a_body_over_the_limit_is_an_error() -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    read(head + b"x" * 10, limit=len(head) + 10)
    with pytest.raises(BadResponseError, match="more than 29 bytes, in mid-body"):
        read(head + b"x" * 11, limit=len(head) + 10)


def test_a_body_over_the_limit_is_cut_where_the_status_is_all() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"
    response = read(head + b"x" * 500, limit=len(head) + 10, truncate=True)
    assert response is not None
    assert (response.status, response.body) == (200, b"x" * 10)


def test_headers_over_the_limit_are_an_error_even_where_the_status_is_all() -> None:
    with pytest.raises(BadResponseError, match="more than 20 bytes, within the headers"):
        read(b"HTTP/1.1 200 OK\r\nX: yyyyyyyyyyyyyyyyyyyy", limit=20, truncate=True)


def test_bytes_after_the_answer_do_not_matter_where_the_status_is_all() -> None:
    response = read(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc", truncate=True)
    assert response is not None
    assert response.body == b"a"


def outcome(pieces: list[bytes], *, truncate: bool) -> HTTPResponse | str:
    reader = ResponseReader(200, truncate=truncate)
    try:
        for piece in pieces:
            reader.feed(piece)
        reader.end(clean=True)
    except BadResponseError as error:
        return str(error)
    assert reader.response is not None
    return reader.response


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


some_answer = st.sampled_from(
    [data for data, *_ in (*COMPLETE.values(), *REFUSED.values(), *UNFINISHED.values())]
)


@given(st.lists(st.binary(max_size=80), max_size=6), st.booleans())
def test_any_bytes_end_in_a_response_or_a_bad_response(tail: list[bytes], truncate: bool) -> None:
    assert isinstance(outcome(tail, truncate=truncate), HTTPResponse | str)
    framed = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *tail]
    assert isinstance(outcome(framed, truncate=truncate), HTTPResponse | str)


@given(some_answer, st.binary(max_size=3), st.lists(st.integers(min_value=0), max_size=8))
def test_how_the_bytes_are_cut_into_pieces_changes_neither_answer_nor_refusal(
    data: bytes, tail: bytes, places: list[int]
) -> None:
    whole = outcome([data + tail], truncate=False)
    pieces = outcome(cut(data + tail, places), truncate=False)
    if isinstance(whole, HTTPResponse):
        assert pieces == whole
    else:
        assert isinstance(pieces, str)
