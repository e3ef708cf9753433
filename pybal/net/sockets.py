"""Network on non-blocking sockets: of which kind, from which address, and how many there may be.

What a socket tells of, once it is open, is in channels.py.
"""

from __future__ import annotations

import errno
import os
import resource
import socket
import struct
from collections.abc import Callable
from typing import Any

from pybal.model import IPAddress
from pybal.net.channels import PingChannel, TCPChannel, UDPChannel, set_keepalive
from pybal.net.epoll import EpollSet
from pybal.net.icmp import REPLY_TYPES
from pybal.net.port import Channel, Keepalive, TCPEvents, UDPEvents

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
        return TCPChannel(self._epoll, sock, events, self._reactor, code, keepalive)

    def adopt_tcp(
        self,
        connection: socket.socket,
        events: TCPEvents,
        *,
        keepalive: Keepalive | None = None,
    ) -> Channel:
        """See Network."""
        if keepalive is not None:
            set_keepalive(connection, keepalive)
        return TCPChannel(self._epoll, connection, events, self._reactor, None)

    def connect_udp(
        self, address: IPAddress, port: int, events: UDPEvents, *, source: IPAddress | None = None
    ) -> Channel:
        """See Network; a connected socket takes datagrams of that one peer alone."""
        sock = self._new_socket(address, socket.SOCK_DGRAM, source=source)
        _connect(sock, address, port)
        return UDPChannel(self._epoll, sock, events)

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
        return PingChannel(self._epoll, sock, events, address.version)

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
