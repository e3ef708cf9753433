"""Chunked bodies, piece by piece (RFC 9112 section 7.1)."""

from __future__ import annotations

from io import BytesIO

import pytest

from pybal.http.chunked import ChunkedBody
from pybal.http.head import BadResponseError

LIMIT = 65536
"""Of a line between chunks, and of all trailers together."""


def read(*pieces: bytes) -> tuple[bytes, bool, bytes]:
    """The body, whether it is complete, and what is left unread."""
    chunked, unread, body = ChunkedBody(), bytearray(), BytesIO()
    for piece in pieces:
        unread += piece
        chunked.take(unread, body)
    return body.getvalue(), chunked.is_complete, bytes(unread)


@pytest.mark.parametrize(
    "pieces",
    [
        (b"5\r\nhello\r\n0\r\n\r\n",),
        (b"5\nhello\n0\n\n",),
        (b"5", b"\r\nhello", b"\n0\n\n"),
        (b"2;x=y\r\nhe\r\n", b"0003 \r\nll", b"o\r\n0\r\nTrailer: 1\r\n", b"\r\n"),
        tuple(bytes([each]) for each in b"5\r\nhello\r\n0\r\nTrailer: 1\r\n\r\n"),
    ],
)
def test_however_it_comes_it_is_one_body(pieces: tuple[bytes, ...]) -> None:
    assert read(*pieces) == (b"hello", True, b"")
    assert read(*pieces[:-1], pieces[-1] + b"next") == (b"hello", True, b"next")


def test_what_has_not_come_is_waited_for() -> None:
    assert read(b"5\r\nhel") == (b"hel", False, b"")
    assert read(b"5\r\nhello\r\n0\r\n") == (b"hello", False, b"")
    assert read(b"5;x") == (b"", False, b"5;x")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\n", r"illegal chunk header: '\\n'"),
        (b"\r\n", "illegal chunk header"),
        (b"x\r\n", "illegal chunk header"),
        (b"-1\r\n", "illegal chunk header"),
        (b"11112222333344445\r\n", "illegal chunk header"),
        (b"2\r\nabc\r\n", r"a chunk that is longer than its size: 'c\\r\\n'$"),
        (b"x" * 61 + b"\n", f"illegal chunk header: '{'x' * 60}'…$"),
    ],
)
def test_what_is_not_chunked_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(BadResponseError, match=words):
        read(data)


def test_a_line_between_chunks_is_bounded() -> None:
    longest = b"5;" + b"x" * (LIMIT - 3) + b"\n"
    assert len(longest) == LIMIT
    assert read(longest, b"hello\n0\n\n") == (b"hello", True, b"")
    assert read(longest[:-1])[1] is False
    for endless in (b"5;" + longest[1:], b"x" * (LIMIT + 1), b"5\nhello\n" + b"x" * (LIMIT + 1)):
        with pytest.raises(BadResponseError, match="an endless line"):
            read(endless)


def test_all_trailers_together_are_bounded() -> None:
    first, second = b"x" * 40_000 + b"\n", b"y" * (LIMIT - 40_003) + b"\n"
    assert len(first + second + b"\n") == LIMIT
    assert read(b"0\n" + first + second + b"\n") == (b"", True, b"")
    with pytest.raises(BadResponseError, match="endless trailers"):
        read(b"0\n" + first + b"y" + second + b"\n")
