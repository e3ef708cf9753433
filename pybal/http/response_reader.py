"""Reads one HTTP/1.x response to a GET or HEAD, from bytes, within limits. No I/O.

h11 parses all but the plainest answers; this bounds what it is given. Time and memory are linear
in the bytes that are fed, and those are bounded: no server can make the reader hold more than
`max_bytes`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import h11

from pybal.errors import HTTPFetchError
from pybal.http.plain_head import read_plain_head
from pybal.http.port import HTTPResponse

MAX_HEADER_BYTES = 64 * 1024
"""No honest server sends more header than this; it is an error even if `max_bytes` is larger."""

# On a line that it refuses, h11 takes time quadratic in the blanks: 20 s for 64 KiB of them. So it
# gets headers whole, with nothing in them that it would refuse in a value, and bodies in pieces,
# which keep the lines between chunks and the trailers below twice this size.
_PIECE_BYTES = 1024
_END_OF_HEADERS = re.compile(rb"\n\r?\n")
_REFUSED_IN_VALUES = re.compile(rb"[\0\v\f]|\r(?!\n)")
# h11 reads a response only to a request; each of these stands for any of its method.
_REQUESTS = {
    method: h11.Request(method=method, target="/", headers=[("Host", ""), ("Connection", "close")])
    for method in ("GET", "HEAD")
}


class BadResponseError(HTTPFetchError):
    """The server's bytes are no complete, acceptable response."""


class ResponseReader:
    """Feed it what the server sends, then `end()` when the connection closes.

    `response` is None until the answer is complete. `truncate`: a body that would go over
    `max_bytes` is cut there and counts as complete, as does one that ends uncleanly where only
    the end of the connection marks its end; for callers that want the status alone.
    Both methods raise BadResponseError, after which the reader is of no further use.
    """

    def __init__(self, max_bytes: int, *, method: str = "GET", truncate: bool = False) -> None:
        self.response: HTTPResponse | None = None
        self.bytes_received = 0
        self.cut = False
        self._max_bytes = max_bytes
        self._truncate = truncate
        self._method = method
        self._h11: h11.Connection | None = None
        self._length: int | None = None  # the body's, of a plain answer
        self._unread = bytearray()
        self._scanned = 0  # bytes of it that do not end the headers
        self._header_bytes = 0
        self._status = 0  # until the headers are complete
        self._headers: Mapping[str, str] = {}
        self._body = bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next bytes; those after the end of the response are an error."""
        allowed = max(0, self._max_bytes - self.bytes_received)
        over = max(0, len(data) - allowed)
        self.bytes_received += len(data)
        self._unread += data[:allowed]
        while self.response is None and (size := self._next_piece()):
            self._parse(bytes(self._unread[:size]))
            del self._unread[:size]
        if self.response is not None:
            trailing = b"" if self._h11 is None else self._h11.trailing_data[0]
            surplus = len(trailing) + len(self._unread) + over
            if surplus and not self._truncate:
                own = f"the answer's own length of {len(self._body)}"
                raise BadResponseError(f"{surplus} bytes more than {own}")
        elif over:
            if not (self._status and self._truncate):
                raise BadResponseError(f"more than {self._max_bytes} bytes, {self.progress()}")
            self.cut = True
            self._finish()

    def end(self, *, clean: bool) -> None:
        """The connection is closed; `clean` unless it was reset or, with TLS, cut off."""
        if self.response is not None:
            return
        if not self.bytes_received:
            raise BadResponseError("connection closed without an answer")
        framed = not self._status or {"content-length", "transfer-encoding"} & {*self._headers}
        if framed or not (clean or self._truncate):
            raise BadResponseError(f"connection closed {self.progress()}")
        self._finish()

    def progress(self) -> str:
        """How far the answer has come, in words that follow `connection closed` and the like."""
        if not self._status:
            return f"within the headers, {self.bytes_received} bytes received"
        length = self._headers.get("content-length")
        if length is None or "transfer-encoding" in self._headers:
            return f"in mid-body, after {len(self._body)} bytes of it"
        return f"after {len(self._body)} of {length:.20} bytes of body"

    def _next_piece(self) -> int:
        """How many of the unread bytes may be parsed now; 0 while there are too few."""
        if self._length is not None:
            return min(len(self._unread), self._length - len(self._body))
        if self._status:
            return min(len(self._unread), _PIECE_BYTES)
        if not b"HTTP/".startswith(self._unread[:5]):
            raise BadResponseError(f"not an HTTP response: {bytes(self._unread[:60])!r}")
        end = _END_OF_HEADERS.search(self._unread, self._scanned)
        size = end.end() if end else len(self._unread)
        if self._header_bytes + size > MAX_HEADER_BYTES:
            raise BadResponseError(f"headers of more than {MAX_HEADER_BYTES} bytes")
        if end is None:
            self._scanned = max(0, size - 2)
            return 0
        if refused := _REFUSED_IN_VALUES.search(self._unread, 0, size):
            raise BadResponseError(f"headers that hold the byte {refused[0]!r}")
        self._header_bytes += size
        self._scanned = 0
        return size

    def _parse(self, data: bytes) -> None:
        if self._length is not None:
            self._body += data
        elif self._h11 is not None or not self._is_plain(data):
            self._parse_by_h11(data)
        if self._length is not None and len(self._body) == self._length:
            self._finish()

    def _is_plain(self, head: bytes) -> bool:
        plain = read_plain_head(head) if self._method == "GET" else None
        if plain is not None:
            self._status, self._headers, self._length = plain.status, plain.headers, plain.length
        return plain is not None

    def _parse_by_h11(self, data: bytes) -> None:
        if self._h11 is None:
            self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=_PIECE_BYTES)
            self._h11.send(_REQUESTS[self._method])
        self._h11.receive_data(data)
        try:
            while self.response is None and (event := self._h11.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Response):
                    self._status = event.status_code
                    self._headers = {k.decode(): v.decode("latin-1") for k, v in event.headers}
                elif isinstance(event, h11.Data):
                    self._body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    self._finish()
        except (h11.RemoteProtocolError, ValueError) as error:
            # ValueError: to h11 0.14, a length of more digits than Python reads.
            text = str(error).replace("bytearray(", "(")
            text = text.replace("Receive buffer too long", "endless line in a chunked body")
            raise BadResponseError(f"unacceptable answer: {text:.160}") from error

    def _finish(self) -> None:
        self.response = HTTPResponse(self._status, self._headers, bytes(self._body))
