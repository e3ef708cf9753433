"""The HTTP response reader: what it accepts, what it refuses, and that any bytes end in either."""

from __future__ import annotations

import itertools
import time
import tracemalloc
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.http.chunked import MAX_LINE_BYTES
from pybal.http.head import BadResponseError
from pybal.http.port import HTTPResponse
from pybal.http.response_reader import MAX_HEADER_BYTES, ResponseReader
from tests.http.odd_answers import ODD_ANSWERS

LIMIT = 1_000_000

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
    "in one large chunk": (
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

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

REFUSED = {
    "junk": (b"\x16\x03\x01\x02\x00\x01\x00\x01", "no HTTP status line: '.x16.x03"),
    "a mail server": (
        b"220 mail.example.org ESMTP\r\n\r\n",
        "no HTTP status line: '220 mail.example.org ESMTP'$",
    ),
    "a status of letters": (b"HTTP/1.1 OK 200\r\n\r\n", "no HTTP status line: 'HTTP/1.1 OK 200'"),
    "a header without colon": (b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", "illegal header line"),
    "a length too short": (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc", "2 bytes more than"),
    "chunked garbage": (CHUNKED + b"zz\r\n", "illegal chunk header: 'zz"),
    "a chunk without a size": (CHUNKED + b"\r\n", "illegal chunk header"),
    "a chunk of a negative size": (CHUNKED + b"-1\r\n", "illegal chunk header"),
    "a chunk of too large a size": (CHUNKED + b"1" * 17 + b"\r\n", "illegal chunk header"),
    "a chunk too long": (CHUNKED + b"1\r\nabc\r\n", "a chunk that is longer than its size"),
    "an endless chunk line": (CHUNKED + b"1" * (MAX_LINE_BYTES + 1), "an endless line in a"),
    "an endless extension": (CHUNKED + b"1;" + b" " * MAX_LINE_BYTES + b"\n", "an endless line in"),
    "endless trailers": (CHUNKED + b"0\r\n" + b"X: y\r\n" * 20_000, "endless trailers of a"),
    "a line that is too long for a log": (
        b"HTTP/1.1 200 OK\r\n" + b"x" * 5000 + b"\r\n\r\n",
        "illegal header line: .*xxx",
    ),
}  # fmt: skip

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
    """What the strict reader makes of it."""
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


def test_a_long_body_is_handed_over_without_a_copy() -> None:
    """Which would take the reactor tens of milliseconds, and the memory twice."""
    size = 8 * 2**20
    reader = ResponseReader(max_bytes=2 * size)
    tracemalloc.start()
    try:
        reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        reader.feed(b"x" * (size - 1))
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        reader.feed(b"x")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reader.response is not None and len(reader.response.body) == size
    assert most - before < size // 4


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


class Ends(NamedTuple):
    """Headers that end with the connection, and what the lenient reader makes of them."""

    data: bytes
    status: int | None


@pytest.mark.parametrize(
    "ends",
    [
        Ends(b"HTTP/1.1 200 OK\r\n", 200),
        Ends(b"HTTP/1.1 200 OK\r\nX-A: b\r\n", 200),
        Ends(b"HTTP/1.1 200 OK\r\nX-A: b", 200),
        Ends(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", 200),
        Ends(b"HTTP/1.1 200 OK", None),
        Ends(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", None),
        Ends(b"HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n", None),
        Ends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", None),
        Ends(b"HTTP/1.1 100 Continue\r\n", None),
        Ends(b"HTTP/1.1 100 Continue\r\n\r\n", None),
    ],
)
def test_headers_may_end_with_the_connection_for_the_lenient_alone(ends: Ends) -> None:
    for lenient, clean in itertools.product((True, False), (True, False)):
        reader = ResponseReader(LIMIT, truncate=True, lenient=lenient)
        reader.feed(ends.data)
        if lenient and clean and ends.status is not None:
            reader.end(clean=clean)
            assert reader.response is not None
            assert (reader.response.status, reader.response.body) == (ends.status, b"")
            continue
        with pytest.raises(BadResponseError, match="connection closed within the headers"):
            reader.end(clean=clean)


TAKEN = {
    "an ordinary one", "a blank before a colon", "no colon", "no name", "a NUL in a value",
    "Latin-1 in a name", "a folded header", "bare line feeds", "ninety long headers",
    "a reason in Latin-1", "HTTP/1.0", "chunked in lower case", "blanks around the length",
    "the same length twice", "interim answers",
}  # fmt: skip


@pytest.mark.parametrize("name", ODD_ANSWERS)
def test_an_odd_answer_is_read_at_once_in_pieces_and_in_little_time(name: str) -> None:
    data = ODD_ANSWERS[name]
    began_s = time.process_time()
    whole = outcome([data], lenient=True)
    assert time.process_time() - began_s < 0.5, "it takes less than a millisecond"
    if name in TAKEN:
        assert isinstance(whole, HTTPResponse)
        assert (whole.status, whole.body) == (200, b"hi")
    size = max(1, len(data) // 1000)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    in_pieces = outcome(pieces, lenient=True)
    assert type(in_pieces) is type(whole)
    if isinstance(whole, HTTPResponse):
        assert in_pieces == whole


def test_headers_byte_by_byte_take_no_more_than_linear_time() -> None:
    reader = ResponseReader(LIMIT, lenient=True)
    began_s = time.process_time()
    for byte in b"HTTP/1.1 200 OK\r\nX-A: " + b" " * 100_000 + b"\r\n\r\n" + b"x":
        reader.feed(bytes((byte,)))
    reader.end(clean=True)
    assert time.process_time() - began_s < 5, "it takes a fifth of a second"


def test_chunks_byte_by_byte_take_no_more_than_linear_time() -> None:
    reader = ResponseReader(LIMIT)
    reader.feed(CHUNKED)
    began_s = time.process_time()
    for byte in b"1;" + b" " * 60_000 + b"\r\nx\r\n0\r\n\r\n":
        reader.feed(bytes((byte,)))
    assert reader.response is not None
    assert time.process_time() - began_s < 5, "it takes a tenth of a second"


def outcome(
    pieces: list[bytes], *, truncate: bool = True, lenient: bool = False, limit: int = LIMIT
) -> HTTPResponse | str:
    reader = ResponseReader(limit, truncate=truncate, lenient=lenient)
    try:
        for piece in pieces:
            reader.feed(piece)
            if reader.response is not None and lenient:
                break
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
    for lenient, start in itertools.product((True, False), (b"", b"HTTP/1.1 200 OK\r\n", CHUNKED)):
        result = outcome([start, *tail], truncate=truncate, lenient=lenient, limit=200)
        assert isinstance(result, HTTPResponse | str)


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
