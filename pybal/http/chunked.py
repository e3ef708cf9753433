"""Takes a chunked body apart, in time linear in its bytes (RFC 9112, section 7.1). Pure."""

from __future__ import annotations

import re
from io import BytesIO

from pybal.http.head import BadResponseError
from pybal.runtime.naming import quoted_bytes

MAX_LINE_BYTES = 64 * 1024
"""Of a line between chunks, and of all trailers together."""

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t\v\f\r]*(?:;[^\n]*)?\n")
_EMPTY_LINES = (b"\r\n", b"\n")
_MOST_SHOWN = 60


class ChunkedBody:
    """`is_complete` once the last chunk and its trailers have come. Trailers are not kept."""

    def __init__(self) -> None:
        self.is_complete = False
        self._left = 0  # bytes of the chunk that have not come
        self._ends_chunk = False  # the next line
        self._in_trailers = False
        self._trailer_bytes = 0
        self._scanned = 0  # bytes that are known to hold no end of a line

    def take(self, unread: bytearray, body: BytesIO) -> None:
        """Move what `unread` has of the body; BadResponseError if that is not chunked."""
        at = 0
        while not self.is_complete and (size := self._step(unread, at, body)):
            at += size
        del unread[:at]
        self._scanned = max(0, self._scanned - at)

    def _step(self, unread: bytearray, at: int, body: BytesIO) -> int:
        """Take a piece of a chunk or a line; how many bytes that was, 0 if more must come."""
        if self._left:
            piece = unread[at : at + self._left]
            body.write(piece)
            self._left -= len(piece)
            return len(piece)
        end = unread.find(b"\n", max(at, self._scanned)) + 1
        if not end:
            self._scanned = len(unread)
        if (end or len(unread)) - at > MAX_LINE_BYTES:
            raise BadResponseError("an endless line in a chunked body")
        if end:
            self._line(bytes(unread[at:end]))
        return max(0, end - at)

    def _line(self, line: bytes) -> None:
        if self._ends_chunk:
            if line not in _EMPTY_LINES:
                raise BadResponseError(
                    f"a chunk that is longer than its size: {quoted_bytes(line, _MOST_SHOWN)}"
                )
            self._ends_chunk = False
        elif self._in_trailers:
            self._trailer_bytes += len(line)
            if self._trailer_bytes > MAX_LINE_BYTES:
                raise BadResponseError("endless trailers of a chunked body")
            self.is_complete = line in _EMPTY_LINES
        else:
            match = _SIZE.fullmatch(line)
            if match is None:
                raise BadResponseError(f"illegal chunk header: {quoted_bytes(line, _MOST_SHOWN)}")
            self._left = int(match[1], 16)
            self._in_trailers = not self._left
            self._ends_chunk = not self._in_trailers
