"""Reads the head of an HTTP/1.x answer: status, headers, and how the body's end is told. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from pybal.errors import HTTPFetchError
from pybal.runtime.naming import quoted_bytes

MAX_HEADER_LINES = 1000
"""More are refused: each takes its time, and http.client takes a hundred."""

_REMEMBERED_BYTES = 1024
_STATUS_LINE = re.compile(r"HTTP/1\.[0-9][ \t]+([1-9][0-9]{2})(?:\s.*)?", re.DOTALL)
_TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_FOLD = re.compile(r"\n[ \t]+")
# Some readers end a line here, and so see another header than others do.
_AMBIGUOUS = re.compile("[\0\v\f\r]")
_BLANKS = " \t\r"
_WITHOUT_BODY = (101, 204, 304)
_MOST_DIGITS = 15
_MOST_SHOWN = 60


class BadResponseError(HTTPFetchError):
    """The server's bytes are no complete, acceptable response."""


class Head(NamedTuple):
    """Header names are lower-case, the last of equal names wins. The body comes in chunks, or has
    `length` bytes, or else (None) ends with the connection."""

    status: int
    headers: Mapping[str, str]
    is_chunked: bool
    length: int | None

    @property
    def is_interim(self) -> bool:
        """Whether another head follows, which is the answer."""
        return self.status < 200 and self.status != 101


def read_head(data: bytes, *, lenient: bool) -> Head:
    """`data` ends with the head's empty line. BadResponseError if it cannot be relied on.

    `lenient`: only the status and what tells the body's end matter; whatever else cannot be read
    is passed over. It takes all that curl and Python's http.client both take.
    """
    if len(data) <= _REMEMBERED_BYTES:
        return _remembered(data, lenient)
    return _read_head(data, lenient)


@lru_cache(maxsize=256)
def _remembered(data: bytes, lenient: bool) -> Head:
    """The servers of a pool say the same, to the second."""
    return _read_head(data, lenient)


def _read_head(data: bytes, lenient: bool) -> Head:
    text = data.decode("latin-1").replace("\r\n", "\n").rstrip("\n")
    if not lenient:
        text = _unambiguous(text)
    status_line, *lines = text.split("\n")
    match = _STATUS_LINE.fullmatch(status_line)
    if match is None:
        raise no_status_line(data)
    if len(lines) > MAX_HEADER_LINES:
        raise BadResponseError(f"headers of more than {MAX_HEADER_LINES} lines")
    status = int(match[1])
    if status == 101 and not lenient:
        raise BadResponseError("a switch of protocols that nobody asked for")
    headers: dict[str, str] = {}
    lengths: list[str] = []
    codings: list[str] = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name):
            if lenient:
                continue
            raise BadResponseError(f"illegal header line: {_shown(line.encode('latin-1'))}")
        name, value = name.lower(), value.strip(_BLANKS)
        if name == "content-length":
            lengths.append(value)
        elif name == "transfer-encoding":
            codings.append(value)
        headers[name] = value
    if status in _WITHOUT_BODY:
        return Head(status, headers, False, 0)
    is_chunked = bool(codings) and _is_chunked(codings, lenient)
    length = _length(lengths, lenient) if lengths and not is_chunked else None
    return Head(status, headers, is_chunked, length)


def no_status_line(data: bytes) -> BadResponseError:
    """What came in place of a status line."""
    return BadResponseError(f"no HTTP status line: {_shown(data)}")


def _unambiguous(text: str) -> str:
    """The head with each header on one line; refused if readers may differ in what it says."""
    if byte := _AMBIGUOUS.search(text):
        raise BadResponseError(f"headers that hold the byte {byte[0]!r}")
    first_fold = _FOLD.search(text)
    if first_fold is None:
        return text
    if first_fold.start() == text.index("\n"):
        raise BadResponseError("a continuation line before the first header")
    return _FOLD.sub(" ", text)


def _is_chunked(codings: Sequence[str], lenient: bool) -> bool:
    names = [name.strip(_BLANKS).lower() for coding in codings for name in coding.split(",")]
    if names != ["chunked"] and not lenient:
        raise BadResponseError(f"a transfer coding other than chunked: {_shown_text(codings)}")
    return "chunked" in names


def _length(lengths: Sequence[str], lenient: bool) -> int | None:
    if lenient:
        # Of several, one of our models takes the first, the other the last.
        known = [size for each in lengths if (size := _digits(each.removeprefix("+"))) is not None]
        return max(known[0], known[-1]) if known else None
    values = {each.strip(_BLANKS) for value in lengths for each in value.split(",")}
    if len(values) > 1:
        raise BadResponseError(f"conflicting Content-Length headers: {_shown_text(lengths)}")
    length = _digits(values.pop())
    if length is None:
        raise BadResponseError(f"bad Content-Length: {_shown_text(lengths)}")
    return length


def _digits(text: str) -> int | None:
    digits = text.lstrip("0") or text[:1]
    if digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS:
        return int(digits)
    return None


def _shown_text(values: Sequence[str]) -> str:
    return _shown(", ".join(values).encode("latin-1"))


def _shown(data: bytes) -> str:
    """The first line of what came, as much of it as fits into a log line."""
    start = data[: _MOST_SHOWN + 2]
    line = start.partition(b"\n")[0].removesuffix(b"\r") or start
    return quoted_bytes(line, _MOST_SHOWN)
