"""One socket that an EpollSet watches: what it tells of, and what is sent over it.

Not Twisted's own transports: its TCP connections drop the errno of a loss, and on its epoll reactor
a UDP port dies of the first ICMP error instead of telling of it.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from pybal.net.addresses import endpoint
from pybal.net.epoll import AT_END, BROKEN, CONNECTED, READABLE, UNTIL_CONNECTED, WRITABLE, EpollSet
from pybal.net.icmp import echo_request, read_echo_reply, without_ipv4_header
from pybal.net.port import ConnectionKeeper, Keepalive, TCPEvents, UDPEvents

# What a turn of the reactor takes of a connection: most answers whole, and not too many of the
# smallest chunks that an answer can be made of, each of which takes as long to read as a large one.
STREAM_BYTES = 8192
_DATAGRAM_BYTES = 65536
# Enough to keep up, few enough that one noisy peer cannot keep the reactor from the others.
_DATAGRAMS_PER_TURN = 16


class _Channel:
    """A socket in an EpollSet (see Watched), closed once."""

    __slots__ = ("_closing", "_epoll", "_socket", "_waited_s", "is_open")

    def __init__(self, epoll: EpollSet, sock: socket.socket) -> None:
        self._epoll = epoll
        self._socket = sock
        self.is_open = True
        self._waited_s = 0.0
        self._closing: Callable[[], None] | None = None

    def keep(self, keeper: ConnectionKeeper) -> int:
        """See Channel."""
        number = keeper.opened(self._socket)
        if number:
            self._closing = partial(keeper.closing, number)
        return number

    def fileno(self) -> int:
        """The descriptor's number; -1 once closed."""
        return self._socket.fileno()

    @property
    def local(self) -> str:
        """See Located."""
        address, port, *_ = self._socket.getsockname()
        return endpoint(address, port)

    def catch_up(self) -> None:
        """See Channel."""
        self._epoll.catch_up(self)

    def waited_s(self) -> float:
        """See Channel."""
        return self._epoll.waited_s()

    def waited_in_all_s(self) -> float:
        """See Channel."""
        return self._waited_s

    def close(self) -> None:
        """See Channel."""
        if self.is_open:
            self.is_open = False
            self._close()

    def _close(self) -> None:
        self._epoll.remove(self)
        if self._closing is not None:
            self._closing()
        self._socket.close()

    def ready(self, events: int) -> None:
        """See Watched."""
        raise NotImplementedError

    def failed(self) -> None:
        """See Watched."""
        raise NotImplementedError

    def _watch(self, events: int) -> None:
        try:
            self._epoll.watch(self, events)
        except OSError:
            self.close()
            raise

    def _pending_error(self) -> OSError | None:
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return _os_error(code) if code else None


class TCPChannel(_Channel):
    """One TCP connection; `code` is what connect() answered, None for one that stands."""

    __slots__ = ("_connected", "_events", "_is_told_once", "_keepalive")

    def __init__(
        self,
        epoll: EpollSet,
        sock: socket.socket,
        events: TCPEvents,
        clock: Any,
        code: int | None,
        keepalive: Keepalive | None = None,
    ) -> None:
        super().__init__(epoll, sock)
        self._events = events
        self._keepalive = keepalive
        self._connected = code is None
        self._is_told_once = True
        """Of each change. Who is told again and again must not be left open."""
        if code is None:
            self._watch(CONNECTED)
        elif code in (0, errno.EINPROGRESS):
            self._watch(UNTIL_CONNECTED)
        else:
            clock.callLater(0, self._end, _os_error(code))

    def send(self, data: bytes) -> None:
        """See Channel; a connection that takes only a part of a small message is of no use."""
        if self._socket.send(data) != len(data):
            raise _os_error(errno.ENOBUFS)

    def ready(self, events: int) -> None:
        """See Watched: the attempt to connect has ended, or there is data, an end, or an error."""
        self._waited_s += self._epoll.waited_s()
        if not self._connected:
            error = self._pending_error() if events & BROKEN else None
            if error is not None:
                self._not_made(error)
                return
            if not events & WRITABLE:
                return
            self._connected = True
            if self._keepalive is not None:
                # Not before: of servers that are down most attempts come to nothing.
                set_keepalive(self._socket, self._keepalive)
            self._events.connected()
            if not events & (READABLE | AT_END):
                return
        if self.is_open:
            if events & BROKEN or self._events.wants_last or not events & AT_END:
                self._read(at_end=bool(events & AT_END))
            else:
                self._end(None)

    def _not_made(self, error: OSError) -> None:
        self.is_open = False
        self._epoll.close(self._close_broken)
        self._events.closed(error)

    def _close_broken(self) -> None:
        # Nobody keeps a connection that never stood.
        self._epoll.forget(self)
        self._socket.close()

    def failed(self) -> None:
        """See Watched."""
        if self.is_open:
            self._end(self._pending_error() or _os_error(errno.ECONNABORTED))

    def _read(self, *, at_end: bool) -> None:
        try:
            data = self._socket.recv(STREAM_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error)
            return
        if not data:
            self._end(None)
            return
        self._events.received(data)
        if self.is_open and (at_end or len(data) == STREAM_BYTES):
            # There is more, which is not told a second time.
            self._is_told_once = False
            self._epoll.watch_anew(self, READABLE)

    def _end(self, error: OSError | None) -> None:
        if self.is_open:
            self.is_open = False
            if self._is_told_once:
                self._epoll.close(self._close)
            else:
                self._close()
            self._events.closed(error)


class UDPChannel(_Channel):
    """One connected UDP socket."""

    __slots__ = ("_events",)

    def __init__(self, epoll: EpollSet, sock: socket.socket, events: UDPEvents) -> None:
        super().__init__(epoll, sock)
        self._events = events
        self._watch(READABLE)

    def send(self, data: bytes) -> None:
        """See Channel. An ICMP error that waits on the socket comes out here, too."""
        self._socket.send(data)

    def ready(self, events: int) -> None:  # noqa: ARG002 - an ICMP error is read as well
        """See Watched: there are datagrams or an ICMP error."""
        self._waited_s += self._epoll.waited_s()
        for _ in range(_DATAGRAMS_PER_TURN):
            if not self.is_open:
                return
            try:
                data = self._socket.recv(_DATAGRAM_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                self._events.failed(error)
            else:
                self._events.received(data)

    def failed(self) -> None:
        """See Watched; who asks over it learns by its timeout."""
        self.close()


class PingChannel(UDPChannel):
    """One connected ICMP socket. The identifier of our requests is ours to choose on a raw socket,
    the kernel's on the other kind."""

    __slots__ = ("_identifier", "_is_raw", "_payload_received", "_sequence", "_version")

    def __init__(
        self, epoll: EpollSet, sock: socket.socket, events: UDPEvents, version: int
    ) -> None:
        super().__init__(
            epoll, sock, UDPEvents(received=self._packet_received, failed=events.failed)
        )
        self._payload_received = events.received
        self._version = version
        self._is_raw = sock.type == socket.SOCK_RAW
        # The descriptor's number is no other open channel's.
        self._identifier = sock.fileno() & 0xFFFF
        self._sequence = 0

    def send(self, data: bytes) -> None:
        """See Network.connect_ping."""
        self._sequence = (self._sequence + 1) & 0xFFFF
        super().send(echo_request(self._version, self._identifier, self._sequence, data))

    def _packet_received(self, packet: bytes) -> None:
        if self._is_raw and self._version == 4:
            packet = without_ipv4_header(packet)
        reply = read_echo_reply(self._version, packet)
        if reply is not None and (not self._is_raw or reply[0] == self._identifier):
            self._payload_received(reply[1])


def set_keepalive(sock: socket.socket, keepalive: Keepalive) -> None:
    """Have the kernel ask whether the other end still lives."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, keepalive.idle_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, keepalive.interval_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, keepalive.retries)


def _os_error(code: int) -> OSError:
    return OSError(code, os.strerror(code))
