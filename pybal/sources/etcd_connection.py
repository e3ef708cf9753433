"""The HTTPS connections to etcd: bounded in bytes and time, which neither python-etcd nor urllib3
does, and closed soon when the other end is gone."""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from pybal.config.pool_list import MAX_ENTRIES
from pybal.model import IPAddress
from pybal.runtime.naming import quoted

_KEEPALIVE = (
    (socket.SO_KEEPALIVE, socket.SOL_SOCKET, 1),
    (socket.TCP_KEEPIDLE, socket.IPPROTO_TCP, 3),
    (socket.TCP_KEEPINTVL, socket.IPPROTO_TCP, 2),
    (socket.TCP_KEEPCNT, socket.IPPROTO_TCP, 3),
    (socket.TCP_USER_TIMEOUT, socket.IPPROTO_TCP, 8000),
)
"""A path that has died under a silent watch is found out within eight seconds."""

MAX_BYTES = 16 * 1024 * 1024
"""python-etcd takes some 600 bytes for a server: eight times what the largest list has."""

MAX_VALUES = 20 * MAX_ENTRIES
"""Of JSON, twice what the largest list has: while json makes them no other thread runs."""

CONNECT_S = 5.0
"""For one address, and less if there are more than two; for a watch, too, which may then last."""


class Budget:
    """What one answer may take: bytes, values of JSON, and seconds until its end. For a watch,
    whose answer may be long in coming, the seconds count from the body's first byte if that is
    earlier."""

    def __init__(self) -> None:
        self._bytes_left = 0
        self._values_left = 0
        self._ends_at_s = 0.0
        self._body_s = 0.0

    def renew(self, seconds: float, body_s: float) -> None:
        """Another answer begins."""
        self._bytes_left = MAX_BYTES
        self._values_left = MAX_VALUES
        self._ends_at_s = time.monotonic() + seconds
        self._body_s = body_s

    @property
    def seconds_left(self) -> float:
        """Raises TimeoutError if there are none."""
        left_s = self._ends_at_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer takes too long")
        return left_s

    def spend(self, data: bytes) -> None:
        """This has come; OSError if it is too much."""
        self._bytes_left -= len(data)
        self._values_left -= sum(map(data.count, (b",", b"[", b"{")))
        if self._bytes_left < 0:
            raise OSError("the answer is too long")
        if self._values_left < 0:
            raise OSError(f"the answer has more than {MAX_VALUES} values")

    def body_begins(self) -> None:
        """The body's first byte is there."""
        self._ends_at_s = min(self._ends_at_s, time.monotonic() + self._body_s)


class _BoundedInput(io.RawIOBase):
    """What comes from a socket, within a budget."""

    def __init__(self, raw: Any, opened: socket.socket, budget: Budget) -> None:
        super().__init__()
        self._raw = raw
        self._opened = opened
        self._budget = budget
        self._timeout_s = opened.gettimeout() or 0.0
        self.within_body = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left_s = self._budget.seconds_left
        self._opened.settimeout(min(left_s, self._timeout_s) if self._timeout_s else left_s)
        count: int = self._raw.readinto(buffer) or 0
        self._budget.spend(bytes(buffer[:count]))
        if self.within_body:
            self.within_body = False
            self._budget.body_begins()
        return count

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._raw.close()


def pool_class(
    addresses: Sequence[IPAddress], opened: Callable[[socket.socket], None], budget: Budget
) -> type[Any]:
    """A connection pool that connects to the first of the addresses that takes it, tells of each
    socket it has opened, and reads within the budget."""

    class BoundedResponse(http.client.HTTPResponse):
        def __init__(self, sock: Any, *arguments: Any, **options: Any) -> None:
            super().__init__(sock, *arguments, **options)
            raw = self.fp.detach()
            self._input = _BoundedInput(raw, sock, budget)
            self.fp = io.BufferedReader(self._input)

        def begin(self) -> None:
            super().begin()
            self._input.within_body = True
            if why := _why_unfit(self):
                raise http.client.HTTPException(why)

    class BoundedConnection(HTTPSConnection):
        response_class = BoundedResponse

        _dns_host: str

        def _new_conn(self) -> socket.socket:
            name = self._dns_host
            try:
                return self._first_to_answer()
            finally:
                self._dns_host = name  # the certificate is for that

        def _first_to_answer(self) -> socket.socket:
            for number, address in enumerate(addresses):
                self._dns_host = str(address)
                left = len(addresses) - number
                # However many are silent, each gets its share, and the reading its end.
                self.timeout = min(CONNECT_S, budget.seconds_left / left)
                try:
                    return super()._new_conn()
                except HTTPError:
                    if left == 1:
                        raise
            raise OSError("the host has no address")

        def connect(self) -> None:
            super().connect()
            for option, level, value in _KEEPALIVE:
                self.sock.setsockopt(level, option, value)
            opened(self.sock)

    class BoundedPool(HTTPSConnectionPool):
        ConnectionCls: Any = BoundedConnection

    return BoundedPool


def _why_unfit(answer: http.client.HTTPResponse) -> str:
    """Why an answer cannot be a whole listing, by its head; empty if it can."""
    encoding = answer.headers.get("content-encoding", "identity").lower()
    if encoding not in ("", "identity"):
        return f"the answer is encoded as {quoted(encoding, 40)}, which was not asked for"
    if answer.status == 201 or "content-range" in answer.headers:
        return "the answer is no whole listing"
    if answer.length is None and not answer.chunked:
        return "the answer does not say where it ends"
    return ""


def shut_down(opened: socket.socket) -> None:
    """Make what another thread does with the socket end. Not SSLSocket's own shutdown, which
    would take the TLS state away from under that thread."""
    with suppress(OSError):  # it may be closed already
        socket.socket.shutdown(opened, socket.SHUT_RDWR)
