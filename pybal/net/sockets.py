"""Network on non-blocking sockets, watched for a reactor by an EpollSet.

Not on Twisted's own transports: its TCP connections drop the errno of a loss, and on its epoll
reactor a UDP port dies of the first ICMP error instead of telling of it.
"""

from __future__ import annotations

import errno
import os
import resource
import socket
import struct
from collections.abc import Callable
from functools import partial
from typing import Any

from pybal.model import IPAddress
from pybal.net.addresses import endpoint
from pybal.net.epoll import AT_END, BROKEN, CONNECTED, READABLE, UNTIL_CONNECTED, WRITABLE, EpollSet
from pybal.net.icmp import (
    REPLY_TYPES,
    echo_request,
    read_echo_reply,
    without_ipv4_header,
)
from pybal.net.port import Channel, ConnectionKeeper, Keepalive, TCPEvents, UDPEvents

# What a turn of the reactor takes of a connection: most answers whole, and not too many of the
# smallest chunks that an answer can be made of, each of which takes as long to read as a large one.
STREAM_BYTES = 8192
_DATAGRAM_BYTES = 65536
# Enough to keep up, few enough that one noisy peer cannot keep the reactor from the others.
_DATAGRAMS_PER_TURN = 16
# Of linux/in.h, linux/icmp.h and linux/icmpv6.h; Python has no names for them.
_IP_BIND_ADDRESS_NO_PORT = 24
_SOL_RAW = 255
_ICMP_FILTER = 1
_ICMPV6_FILTER = 1


class SocketNetwork:
    """See Network. It leaves the last `left_descriptors` that the process may have to others: a
    socket that would take one of them is refused as if there were none (EMFILE); before that
    `close_some` may free some, and says whether it has."""

    def __init__(
        self,
        reactor: Any,
        left_descriptors: int = 0,
        close_some: Callable[[], bool] | None = None,
    ) -> None:
        self._reactor = reactor
        self._left_descriptors = left_descriptors
        self._free_below = 0
        """Lower numbers than this leave enough to others, as the limit was when it was read."""
        self._epoll = EpollSet(reactor)
        self._close_some = close_some or self._epoll.close_some

    def beside(self) -> SocketNetwork:
        """One whose sockets are told in each turn, however many of this one's wait for theirs. Of
        the descriptors they have the same."""
        return SocketNetwork(self._reactor, self._left_descriptors, self._close_some)

    def connect_tcp(
        self,
        address: IPAddress,
        port: int,
        events: TCPEvents,
        *,
        source: IPAddress | None = None,
        keepalive: Keepalive | None = None,
    ) -> Channel:
        """See Network."""
        sock = self._new_socket(address, socket.SOCK_STREAM, source=source)
        try:
            code = sock.connect_ex((str(address), port))
        except OSError:
            sock.close()
            raise
        return _TCPChannel(self._epoll, sock, events, self._reactor, code, keepalive)

    def adopt_tcp(
        self,
        connection: socket.socket,
        events: TCPEvents,
        *,
        keepalive: Keepalive | None = None,
    ) -> Channel:
        """See Network."""
        if keepalive is not None:
            _set_keepalive(connection, keepalive)
        return _TCPChannel(self._epoll, connection, events, self._reactor, None)

    def connect_udp(
        self, address: IPAddress, port: int, events: UDPEvents, *, source: IPAddress | None = None
    ) -> Channel:
        """See Network; a connected socket takes datagrams of that one peer alone."""
        sock = self._new_socket(address, socket.SOCK_DGRAM, source=source)
        _connect(sock, address, port)
        return _UDPChannel(self._epoll, sock, events)

    def connect_ping(
        self, address: IPAddress, events: UDPEvents, *, source: IPAddress | None = None
    ) -> Channel:
        """See Network. On a datagram ICMP socket, which the kernel gives the replies to its own
        requests alone, if net.ipv4.ping_group_range lets us (it covers IPv6, too, and by default
        does not let even root); else on a raw one, which takes CAP_NET_RAW."""
        protocol = socket.IPPROTO_ICMP if address.version == 4 else socket.IPPROTO_ICMPV6
        try:
            sock = self._new_socket(address, socket.SOCK_DGRAM, protocol, source=source)
        except PermissionError:
            sock = self._new_socket(address, socket.SOCK_RAW, protocol, source=source)
            _take_replies_alone(sock, address.version)
        _connect(sock, address, 0)
        return _PingChannel(self._epoll, sock, events, address.version)

    def _new_socket(
        self,
        address: IPAddress,
        kind: socket.SocketKind,
        protocol: int = 0,
        *,
        source: IPAddress | None = None,
    ) -> socket.socket:
        sock = _new_socket(address, kind, protocol, source=source)
        if self._left_descriptors and not self._may_take(sock.fileno()):
            sock.close()
            if self._close_some():
                return self._new_socket(address, kind, protocol, source=source)
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return sock

    def _may_take(self, descriptor: int) -> bool:
        """The kernel gives the lowest number that is free, so that a high one means that few are
        left. Where the limit is low, fewer are left to others."""
        if descriptor >= self._free_below:
            limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            self._free_below = limit - min(self._left_descriptors, limit // 8)
        return descriptor < self._free_below


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


class _TCPChannel(_Channel):
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
                _set_keepalive(self._socket, self._keepalive)
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


class _UDPChannel(_Channel):
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


class _PingChannel(_UDPChannel):
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


def _new_socket(
    address: IPAddress,
    kind: socket.SocketKind,
    protocol: int = 0,
    *,
    source: IPAddress | None = None,
) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    sock = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
    if source is not None:
        try:
            # The port is chosen as we connect, so that all servers together may use each port. Raw
            # sockets have none, and of version 6 refuse the option.
            if kind != socket.SOCK_RAW:
                sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((str(source), 0))
        except OSError:
            sock.close()
            raise
    return sock


def _connect(sock: socket.socket, address: IPAddress, port: int) -> None:
    try:
        sock.connect((str(address), port))
    except OSError:
        sock.close()
        raise


def _take_replies_alone(sock: socket.socket, version: int) -> None:
    """Have the kernel drop all other messages; a bit that is set blocks its type."""
    blocked = (1 << 256) - 1 ^ 1 << REPLY_TYPES[version]
    if version == 4:
        sock.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", blocked & 0xFFFFFFFF))
    else:
        words = (blocked >> 32 * word & 0xFFFFFFFF for word in range(8))
        sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMPV6_FILTER, struct.pack("=8I", *words))


def _set_keepalive(sock: socket.socket, keepalive: Keepalive) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, keepalive.idle_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, keepalive.interval_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, keepalive.retries)


def _os_error(code: int) -> OSError:
    return OSError(code, os.strerror(code))
