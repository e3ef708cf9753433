"""The port to the network: bare TCP and UDP sockets that say exactly what the kernel said.

Errors are OSErrors with their errno, so that a reason can tell a reset from a keepalive that
stayed unanswered. The adapter is pybal/net/sockets.py.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

from pybal.model import IPAddress


class Keepalive(NamedTuple):
    """TCP keepalive: first probe after `idle_s`, then every `interval_s`, lost after `retries`."""

    idle_s: int
    interval_s: int
    retries: int


class TCPEvents(NamedTuple):
    """What a TCP connection tells its owner; never from within connect_tcp() or after close().

    `closed(error)` comes at most once and is the last: None if the peer ended an established
    connection cleanly, else why it could not be made or was lost. Without `wants_last` what the
    peer has sent right before it ended cleanly is not asked for.
    """

    connected: Callable[[], None]
    received: Callable[[bytes], None]
    closed: Callable[[OSError | None], None]
    wants_last: bool = True


class UDPEvents(NamedTuple):
    """What a socket for datagrams tells its owner; never from within the call that opens it or
    after close().

    `failed(error)` is an ICMP error for a datagram sent earlier; the socket stays usable.
    """

    received: Callable[[bytes], None]
    failed: Callable[[OSError], None]


class ConnectionKeeper(Protocol):
    """Who keeps connections for the next process."""

    def opened(self, connection: socket.socket) -> int:
        """One stands; a number of its own, 0 if it is not kept."""

    def closing(self, number: int) -> None:
        """It is about to be closed."""


class Channel(Protocol):
    """An open socket."""

    def keep(self, keeper: ConnectionKeeper) -> int:
        """Have a connection that stands kept; its number, 0 if it is not."""
        ...

    def send(self, data: bytes) -> None:
        """Hand a small message to the kernel, whole; OSError if it does not take it."""

    def catch_up(self) -> None:
        """Tell now what has come and waits for its turn, as in a storm."""

    def waited_s(self) -> float:
        """From within an event: how long it has waited for its turn. The peer's time is less."""
        ...

    def waited_in_all_s(self) -> float:
        """How long all that it has told of had waited for their turns. Also when it is closed."""
        ...

    def close(self) -> None:
        """Let go at once. Idempotent; no event follows."""


@runtime_checkable
class Located(Protocol):
    """A Channel that knows where it is."""

    @property
    def local(self) -> str:
        """Our own `address:port`."""
        ...


class Network(Protocol):
    """Opens sockets to literal addresses, from `source` if there is one, of the same family.
    OSError if there is no socket to be had."""

    def connect_tcp(
        self,
        address: IPAddress,
        port: int,
        events: TCPEvents,
        *,
        source: IPAddress | None = None,
        keepalive: Keepalive | None = None,
    ) -> Channel:
        """Begins to connect; `events` is told what comes of it."""

    def adopt_tcp(
        self,
        connection: socket.socket,
        events: TCPEvents,
        *,
        keepalive: Keepalive | None = None,
    ) -> Channel:
        """One that stands; `events.connected` is not called."""
        ...

    def connect_udp(
        self, address: IPAddress, port: int, events: UDPEvents, *, source: IPAddress | None = None
    ) -> Channel:
        """A socket that sends to this address, and receives from it alone."""

    def connect_ping(
        self, address: IPAddress, events: UDPEvents, *, source: IPAddress | None = None
    ) -> Channel:
        """ICMP echo: what is sent goes out as a request's payload; what is received are the
        payloads of replies to this channel."""
        ...


def label(error: OSError | None) -> str:
    """The error as a metric's label, of few values: its class, or its errno's name."""
    if error is None:
        return "ConnectionDone"
    if type(error) is OSError:
        return errno.errorcode.get(error.errno or 0, "OSError")
    return type(error).__name__
