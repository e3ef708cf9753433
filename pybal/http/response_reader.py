"""Reads one HTTP/1.x response to a GET or HEAD, from bytes, within limits. No I/O.

Time and memory are linear in the bytes that are fed, and those are bounded: no server can make the
reader hold more than `max_bytes`.
"""

from __future__ import annotations

import re
from io import BytesIO

from pybal.http.chunked import ChunkedBody
from pybal.http.head import BadResponseError, Head, no_status_line, read_head
from pybal.http.port import HTTPResponse

MAX_HEADER_BYTES = 256 * 1024
"""No honest server sends more header than this; it is an error even if `max_bytes` is larger."""

_END_OF_HEAD = re.compile(rb"\n\r?\n")


class ResponseReader:
    """Feed it what the server sends, then `end()` when the connection closes.

    `response` is None until the answer is complete. `truncate`: a body that would go over
    `max_bytes` is cut there and counts as complete, as does one that ends uncleanly where only
    the end of the connection marks its end; for callers that want the status alone. `lenient`: see
    read_head(); headers may then end with the connection, too.
    Both methods raise BadResponseError, after which the reader is of no further use.
    """

    def __init__(
        self,
        max_bytes: int,
        *,
        method: str = "GET",
        truncate: bool = False,
        lenient: bool = False,
    ) -> None:
        self.response: HTTPResponse | None = None
        self.bytes_received = 0
        self._max_bytes = max_bytes
        self._method = method
        self._truncate = truncate
        self._lenient = lenient
        self._unread = bytearray()
        self._scanned = 0  # bytes of it that do not end the head
        self._header_bytes = 0
        self._head: Head | None = None
        self._chunks: ChunkedBody | None = None
        self._body = BytesIO()
        """Its bytes are handed over as they lie there: of an answer of 64 MB a copy takes 30 ms."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes; those after the end of the response are an error, unless the status
        is all."""
        allowed = max(0, self._max_bytes - self.bytes_received)
        over = max(0, len(data) - allowed)
        self.bytes_received += len(data)
        self._unread += data[:allowed]
        while self._head is None and self._read_head():
            pass
        if self._head is not None and self.response is None:
            self._read_body(self._head)
        if self.response is not None:
            surplus = len(self._unread) + over
            if surplus and not self._truncate:
                own = f"the answer's own length of {self._body.tell()}"
                raise BadResponseError(f"{surplus} bytes more than {own}")
        elif over:
            if self._head is None or not self._truncate:
                raise BadResponseError(f"more than {self._max_bytes} bytes, {self.progress()}")
            self._finish(self._head)

    def end(self, *, clean: bool) -> None:
        """The connection is closed; `clean` unless it was reset or, with TLS, cut off."""
        if self.response is not None:
            return
        if not self.bytes_received:
            raise BadResponseError("connection closed without an answer")
        head = self._head
        if head is None and clean and self._lenient:
            head = self._head_that_ends_here()
        if head is None or head.is_chunked or head.length or not (clean or self._truncate):
            raise BadResponseError(f"connection closed {self.progress()}")
        self._finish(head)

    def progress(self) -> str:
        """How far the answer has come, in words that follow `connection closed` and the like."""
        if self._head is None:
            return f"within the headers, {self.bytes_received} bytes received"
        if self._head.length is None:
            return f"in mid-body, after {self._body.tell()} bytes of it"
        return f"after {self._body.tell()} of {self._head.length} bytes of body"

    def _read_head(self) -> bool:
        """Whether there was a head; the next one is to be read if it was an interim answer's."""
        if not b"HTTP/".startswith(self._unread[:5]):
            raise no_status_line(bytes(self._unread))
        end = _END_OF_HEAD.search(self._unread, self._scanned)
        size = end.end() if end else len(self._unread)
        if self._header_bytes + size > MAX_HEADER_BYTES:
            raise BadResponseError(f"headers of more than {MAX_HEADER_BYTES} bytes")
        if end is None:
            self._scanned = max(0, size - 2)
            return False
        self._header_bytes += size
        self._scanned = 0
        head = read_head(bytes(self._unread[:size]), lenient=self._lenient)
        del self._unread[:size]
        if not head.is_interim:
            self._head = head
            self._chunks = ChunkedBody() if head.is_chunked else None
        return True

    def _head_that_ends_here(self) -> Head | None:
        """The head without its empty line, if it promises nothing that is to follow."""
        if b"\n" not in self._unread:
            return None
        head = read_head(bytes(self._unread) + b"\n\n", lenient=True)
        promises = head.length is None and "content-length" in head.headers
        return None if promises or head.is_interim else head

    def _read_body(self, head: Head) -> None:
        if self._method == "HEAD":
            self._finish(head)
            return
        if self._chunks is not None:
            self._chunks.take(self._unread, self._body)
            if self._chunks.is_complete:
                self._finish(head)
            return
        length = len(self._unread) if head.length is None else head.length - self._body.tell()
        self._body.write(self._unread[:length])
        del self._unread[:length]
        if self._body.tell() == head.length:
            self._finish(head)

    def _finish(self, head: Head) -> None:
        self.response = HTTPResponse(head.status, head.headers, self._body.getvalue())
