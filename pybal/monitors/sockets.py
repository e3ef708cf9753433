"""Network on non-blocking sockets watched by a reactor (IReactorFDSet, IReactorTime).

Not on Twisted's own transports: its TCP connections drop the errno of a loss, and on its epoll
reactor a UDP port dies of the first ICMP error instead of telling of it.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from twisted.internet.interfaces import IReadDescriptor, IReadWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from pybal.model import IPAddress
from pybal.monitors.network import Channel, Keepalive, TCPEvents, UDPEvents

_RECEIVE_BYTES = 65536
# Enough to keep up, few enough that one noisy peer cannot keep the reactor from the others.
_DATAGRAMS_PER_TURN = 16


class SocketNetwork:
    """See Network."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def connect_tcp(
        self,
        address: IPAddress,
        port: int,
        events: TCPEvents,
        *,
        keepalive: Keepalive | None = None,
    ) -> Channel:
        """See Network."""
        sock = _new_socket(address, socket.SOCK_STREAM)
        try:
            if keepalive is not None:
                _set_keepalive(sock, keepalive)
            code = sock.connect_ex((str(address), port))
        except OSError:
            sock.close()
            raise
        return _TCPChannel(self._reactor, sock, events, code)

    def connect_udp(self, address: IPAddress, port: int, events: UDPEvents) -> Channel:
        """See Network; a connected socket takes datagrams of that one peer alone."""
        sock = _new_socket(address, socket.SOCK_DGRAM)
        try:
            sock.connect((str(address), port))
        except OSError:
            sock.close()
            raise
        return _UDPChannel(self._reactor, sock, events)


class _Channel:
    """A socket in a reactor, closed once. Also half of a Twisted descriptor."""

    __slots__ = ("_open", "_reactor", "_socket")

    def __init__(self, reactor: Any, sock: socket.socket) -> None:
        self._reactor = reactor
        self._socket = sock
        self._open = True

    def fileno(self) -> int:
        """The descriptor's number; -1 once closed."""
        return self._socket.fileno()

    def logPrefix(self) -> str:  # noqa: N802
        """Twisted's name for this in a traceback."""
        return type(self).__name__

    def close(self) -> None:
        """See Channel."""
        if self._open:
            self._open = False
            self._reactor.removeReader(self)
            self._reactor.removeWriter(self)
            self._socket.close()

    def _pending_error(self) -> OSError | None:
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return _os_error(code) if code else None


@implementer(IReadWriteDescriptor)
class _TCPChannel(_Channel):
    """One TCP connection; `code` is what connect() answered."""

    __slots__ = ("_connected", "_events")

    def __init__(self, reactor: Any, sock: socket.socket, events: TCPEvents, code: int) -> None:
        super().__init__(reactor, sock)
        self._events = events
        self._connected = False
        if code in (0, errno.EINPROGRESS):
            reactor.addWriter(self)
        else:
            reactor.callLater(0, self._end, _os_error(code))

    def send(self, data: bytes) -> None:
        """See Channel; a connection that takes only a part of a small message is of no use."""
        if self._socket.send(data) != len(data):
            raise _os_error(errno.ENOBUFS)

    def doWrite(self) -> None:  # noqa: N802
        """The attempt to connect has ended."""
        error = self._pending_error()
        if error is not None:
            self._end(error)
            return
        self._connected = True
        self._reactor.removeWriter(self)
        self._reactor.addReader(self)
        self._events.connected()

    def doRead(self) -> None:  # noqa: N802
        """There is data, an end, or an error."""
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error)
            return
        if data:
            self._events.received(data)
        else:
            self._end(None)

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002
        """The reactor saw the connection broken before it could be read from or written to."""
        if self._open:
            self._end(self._pending_error() or _os_error(errno.ECONNABORTED))

    def _end(self, error: OSError | None) -> None:
        if self._open:
            self.close()
            self._events.closed(error)


@implementer(IReadDescriptor)
class _UDPChannel(_Channel):
    """One connected UDP socket."""

    __slots__ = ("_events",)

    def __init__(self, reactor: Any, sock: socket.socket, events: UDPEvents) -> None:
        super().__init__(reactor, sock)
        self._events = events
        reactor.addReader(self)

    def send(self, data: bytes) -> None:
        """See Channel. An ICMP error that waits on the socket comes out here, too."""
        self._socket.send(data)

    def doRead(self) -> None:  # noqa: N802
        """There are datagrams or an ICMP error."""
        for _ in range(_DATAGRAMS_PER_TURN):
            if not self._open:
                return
            try:
                data = self._socket.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                self._events.failed(error)
            else:
                self._events.received(data)

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002
        """An ICMP error came: an epoll reactor takes that for the socket's end, which it is not."""
        if not self._open:
            return
        self._reactor.addReader(self)
        error = self._pending_error()
        if error is not None:
            self._events.failed(error)


def _new_socket(address: IPAddress, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    return socket.socket(family, kind | socket.SOCK_NONBLOCK)


def _set_keepalive(sock: socket.socket, keepalive: Keepalive) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, keepalive.idle_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, keepalive.interval_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, keepalive.retries)


def _os_error(code: int) -> OSError:
    return OSError(code, os.strerror(code))
