"""The HTTP response reader: what it accepts, what it refuses, and that any bytes end in either."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.http1 import MAX_HEADER_BYTES, BadResponseError, ResponseReader
from pybal.httpclient import HTTPResponse

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
    "a status of letters": (b"HTTP/1.1 OK 200\r\n\r\n", "bad status line"),
    "a header without colon": (b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", "bad header line"),
    "a folded first header": (b"HTTP/1.1 200 OK\r\n folded: x\r\n\r\n", "bad header line"),
    "a negative length": (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "bad Content-Length"),
    "two lengths": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "contradicting Content-Length",
    ),
    "an unknown coding": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: br\r\n\r\n", "unknown Transfer"),
    "a length too short": (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc", "2 bytes more than"),
    "chunked garbage": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "bad chunk size",
    ),
    "a chunk too long": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        "chunk longer than it said",
    ),
    "an endless chunk line": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 5000,
        "endless line",
    ),
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
    with pytest.raises(BadResponseError, match=why):
        read(data)


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
    assert response.headers == {"x-a": "2   and 3", "etag": 'W/"x"', "content-length": "0"}


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
