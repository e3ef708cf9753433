"""Reads one HTTP/1.x response to a GET, from bytes, within limits. No I/O.

RFC 9112, as a client that asked for `Connection: close` needs it. Time and memory are linear in the
bytes that are fed, and those are bounded: no server can make the reader hold more than
`max_bytes`.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping

from pybal.errors import HTTPFetchError
from pybal.httpclient import HTTPResponse

MAX_HEADER_BYTES = 64 * 1024
"""No honest server sends more header than this; it is an error even if `max_bytes` is larger."""

_MAX_LINE_BYTES = 4096
_STATUS_LINE = re.compile(rb"HTTP/\d\.\d ([1-9]\d\d)(?: .*)?", re.DOTALL)
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
_HEADER_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTENT_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")
_SWITCHING_PROTOCOLS = 101
_BODILESS = frozenset({_SWITCHING_PROTOCOLS, 204, 304})


class BadResponseError(HTTPFetchError):
    """The server's bytes are no complete, acceptable response."""


class _Part(enum.Enum):
    HEADERS = "headers"
    BODY_OF_LENGTH = "body"
    BODY_TO_CLOSE = "body until close"
    CHUNK_SIZE = "chunk size"
    CHUNK_DATA = "chunk data"
    CHUNK_END = "end of chunk"
    TRAILERS = "trailers"
    DONE = "done"


class ResponseReader:
    """Feed it what the server sends, then `end()` when the connection closes.

    `response` is None until the answer is complete. `truncate`: a body that would go over
    `max_bytes` is cut there and counts as complete, as does one that ends uncleanly where only
    the end of the connection marks its end; for callers that want the status alone.
    Both methods raise BadResponseError, after which the reader is of no further use.
    """

    def __init__(self, max_bytes: int, *, truncate: bool = False) -> None:
        self.response: HTTPResponse | None = None
        self.bytes_received = 0
        self.cut = False
        self._max_bytes = max_bytes
        self._truncate = truncate
        self._part = _Part.HEADERS
        self._buffer = bytearray()
        self._scanned = 0
        self._header_bytes = 0
        self._status = 0
        self._headers: Mapping[str, str] = {}
        self._body = bytearray()
        self._missing = 0  # bytes of the body, or of the current chunk, still to come

    def feed(self, data: bytes) -> None:
        """Take the next bytes; those after the end of the response are an error."""
        if self._complete():
            self._surplus(len(data))
            return
        allowed = self._max_bytes - self.bytes_received
        self.bytes_received += len(data)
        self._buffer += data[:allowed]
        while self._advance():
            pass
        if self._complete():
            self._surplus(len(self._buffer) + max(0, len(data) - allowed))
        elif len(data) > allowed:
            self._over_limit()

    def end(self, *, clean: bool) -> None:
        """The connection is closed; `clean` unless it was reset or, with TLS, cut off."""
        if self._complete():
            return
        if self._part is _Part.BODY_TO_CLOSE and (clean or self._truncate):
            self._finish()
            return
        if not self.bytes_received:
            raise BadResponseError("connection closed without an answer")
        raise BadResponseError(f"connection closed {self.progress()}")

    def progress(self) -> str:
        """How far the answer has come, in words that follow `connection closed` and the like."""
        if self._part is _Part.HEADERS:
            return f"within the headers, {self.bytes_received} bytes received"
        if self._part is _Part.BODY_OF_LENGTH:
            whole = len(self._body) + self._missing
            return f"after {len(self._body)} of {whole} bytes of body"
        return f"in mid-body, after {len(self._body)} bytes of it"

    def _complete(self) -> bool:
        return self.response is not None

    def _advance(self) -> bool:
        """Consume something from the buffer; false if that needs more bytes."""
        match self._part:
            case _Part.HEADERS:
                return self._read_headers()
            case _Part.BODY_OF_LENGTH:
                return self._read_body(_Part.DONE)
            case _Part.BODY_TO_CLOSE:
                self._body += self._buffer
                self._buffer.clear()
                return False
            case _Part.CHUNK_SIZE:
                return self._read_chunk_size()
            case _Part.CHUNK_DATA:
                return self._read_body(_Part.CHUNK_END)
            case _Part.CHUNK_END:
                return self._read_chunk_end()
            case _Part.TRAILERS:
                return self._read_trailer()
            case _Part.DONE:
                return False

    def _read_headers(self) -> bool:
        end = _END_OF_HEADERS.search(self._buffer, max(0, self._scanned - 3))
        size = self._header_bytes + (end.end() if end else len(self._buffer))
        if size > MAX_HEADER_BYTES:
            raise BadResponseError(f"headers of more than {MAX_HEADER_BYTES} bytes")
        if end is None:
            self._scanned = len(self._buffer)
            if len(self._buffer) >= 5 and not self._buffer.startswith(b"HTTP/"):
                raise BadResponseError(f"not an HTTP response: {_shown(self._buffer)}")
            return False
        head = bytes(self._buffer[: end.start()])
        del self._buffer[: end.end()]
        self._header_bytes = size
        self._scanned = 0
        self._status, self._headers = _parse_head(head)
        if self._status >= 200 or self._status == _SWITCHING_PROTOCOLS:
            self._choose_body()
        return True

    def _choose_body(self) -> None:
        coding = self._headers.get("transfer-encoding")
        length = self._headers.get("content-length")
        if self._status in _BODILESS:
            self._finish()
        elif coding is not None:
            if coding.lower() != "chunked":
                raise BadResponseError(f"unknown Transfer-Encoding {coding!r:.80}")
            self._part = _Part.CHUNK_SIZE
        elif length is not None:
            if not _CONTENT_LENGTH.fullmatch(length):
                raise BadResponseError(f"bad Content-Length {length!r:.80}")
            self._missing = int(length)
            self._part = _Part.BODY_OF_LENGTH
        else:
            self._part = _Part.BODY_TO_CLOSE

    def _read_body(self, then: _Part) -> bool:
        piece = self._buffer[: self._missing]
        del self._buffer[: len(piece)]
        self._body += piece
        self._missing -= len(piece)
        if self._missing:
            return False
        self._part = then
        if then is _Part.DONE:
            self._finish()
        return True

    def _read_chunk_size(self) -> bool:
        line = self._take_line()
        if line is None:
            return False
        size = line.partition(b";")[0].strip()
        if not _CHUNK_SIZE.fullmatch(size):
            raise BadResponseError(f"bad chunk size {_shown(line)}")
        self._missing = int(size, 16)
        self._part = _Part.CHUNK_DATA if self._missing else _Part.TRAILERS
        return True

    def _read_chunk_end(self) -> bool:
        line = self._take_line()
        if line is None:
            return False
        if line:
            raise BadResponseError(f"chunk longer than it said, by {_shown(line)}")
        self._part = _Part.CHUNK_SIZE
        return True

    def _read_trailer(self) -> bool:
        line = self._take_line()
        if line is None:
            return False
        if not line:
            self._finish()
        return True

    def _take_line(self) -> bytes | None:
        end = self._buffer.find(b"\n", 0, _MAX_LINE_BYTES)
        if end < 0:
            if len(self._buffer) >= _MAX_LINE_BYTES:
                raise BadResponseError(f"endless line in a chunked body: {_shown(self._buffer)}")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line.removesuffix(b"\r")

    def _over_limit(self) -> None:
        if self._part is _Part.HEADERS or not self._truncate:
            raise BadResponseError(f"more than {self._max_bytes} bytes, {self.progress()}")
        self.cut = True
        self._finish()

    def _surplus(self, count: int) -> None:
        if count and not self._truncate:
            raise BadResponseError(
                f"{count} bytes more than the answer's own length of {len(self._body)}"
            )

    def _finish(self) -> None:
        self._part = _Part.DONE
        self.response = HTTPResponse(self._status, self._headers, bytes(self._body))


def _parse_head(head: bytes) -> tuple[int, Mapping[str, str]]:
    first, *lines = (line.removesuffix(b"\r") for line in head.split(b"\n"))
    status_line = _STATUS_LINE.fullmatch(first)
    if status_line is None:
        raise BadResponseError(f"bad status line {_shown(first)}")
    headers: dict[str, str] = {}
    for name, value in _header_fields(lines):
        if name == "content-length" and headers.get(name, value) != value:
            raise BadResponseError(f"contradicting Content-Length {value!r:.80}")
        headers[name] = value
    return int(status_line[1]), headers


def _header_fields(lines: list[bytes]) -> list[tuple[str, str]]:
    """The fields in order, names in lower case, folded lines (RFC 9112 section 5.2) joined."""
    folded: list[list[bytes]] = []
    for line in lines:
        if line[:1] in (b" ", b"\t") and folded:
            folded[-1].append(line)
        else:
            folded.append([line])
    fields = []
    for parts in folded:
        name, colon, value = b" ".join(parts).partition(b":")
        if not colon or not _HEADER_NAME.fullmatch(name):
            raise BadResponseError(f"bad header line {_shown(parts[0])}")
        fields.append((name.decode("ascii").lower(), value.strip().decode("latin-1")))
    return fields


def _shown(data: bytes | bytearray) -> str:
    """A short printable form of the server's bytes."""
    return repr(bytes(data[:60])) + ("..." if len(data) > 60 else "")
