"""The port to the outside: opening, accepting; and its adapter on Twisted.

Keys (tcp_auth.py) and TTLs (RFC 5082) are set on the sockets before a byte is exchanged.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Protocol

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ClientFactory, ServerFactory
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure

from pybal.bgp.advertisement import IPNetwork
from pybal.bgp.connection import BGPConnection
from pybal.bgp.discovery import Advertiser
from pybal.bgp.settings import PeerSettings, SpeakerSettings
from pybal.bgp.tcp_auth import set_key
from pybal.errors import describe_os_error
from pybal.handover.legacy import NO_LEGACY
from pybal.handover.listeners import KeptListeners
from pybal.model import IPAddress

# The socket module does not name these; the numbers are Linux's.
_IP_MINTTL = 21
_IPV6_MINHOPCOUNT = 73
_MAX_TTL = 255
_BACKLOG = 50
# So the kernel notices within 25 s that the other end is gone: before the session stands, and
# with a hold time of 0, BGP itself has no way to.
_KEEPALIVES = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)

Accept = Callable[[IPAddress], "BGPConnection | None"]
Close = Callable[[], "Deferred[None]"]


class BGPNetwork(Protocol):
    """What the speaker needs of the world besides time."""

    def dial(
        self, peer: PeerSettings, connection: BGPConnection, failed: Callable[[str], None]
    ) -> Callable[[], None]:
        """Connect to a peer. Either the connection is made or `failed(reason)` is called, both
        later than this call; the function returned gives the attempt up."""

    def adopt(self, handle: socket.socket, connection: BGPConnection) -> None:
        """Go on with a connection that is established: it is made within this call. `handle` is
        closed. Raises OSError."""

    def listen(self, address: IPAddress, settings: SpeakerSettings, accept: Accept) -> Close:
        """Accept connections of all that the settings name; `accept` gives the protocol for one
        from that address, or None to close it. Raises OSError. The function returned stops
        listening."""

    def discover(self, interface: str, found: Callable[[IPv6Address], None]) -> Callable[[], None]:
        """Look for the router at the other end of a link, and let it find us; `found` is called
        with its link-local address again and again. Raises OSError. The function returned ends
        that."""


class TwistedNetwork:
    """BGPNetwork on a reactor with IReactorTCP and IReactorSocket."""

    def __init__(self, reactor: Any, listeners: KeptListeners | None) -> None:
        self._reactor = reactor
        self._listeners = listeners or KeptListeners(NO_LEGACY)

    def dial(
        self, peer: PeerSettings, connection: BGPConnection, failed: Callable[[str], None]
    ) -> Callable[[], None]:
        """See BGPNetwork."""
        local = (str(peer.local_address), 0) if peer.local_address is not None else None
        # A VRF's addresses can only be bound by a socket that is in the VRF.
        bind = None if peer.interface is not None else local
        # The FSM's ConnectRetryTimer bounds the attempt; Twisted's own limit lies far beyond.
        connector = self._reactor.connectTCP(
            str(peer.address), peer.port, _Outgoing(connection, failed), 86400, bind
        )
        # The connection attempt proper begins in the next turn of the reactor: now is the time.
        handle = getattr(connector.transport, "socket", None)
        if handle is not None:
            try:
                keep_alive(handle)
                secure_socket(handle, peer)
                if bind is None and local is not None:
                    handle.bind(local)
            except OSError as error:
                connector.disconnect()
                self._reactor.callLater(0, failed, f"socket options: {error.strerror}")
        return connector.disconnect  # type: ignore[no-any-return]

    def adopt(self, handle: socket.socket, connection: BGPConnection) -> None:
        """See BGPNetwork."""
        with handle:
            self._reactor.adoptStreamConnection(
                handle.fileno(), handle.family, _Adopted(connection)
            )

    def listen(self, address: IPAddress, settings: SpeakerSettings, accept: Accept) -> Close:
        """See BGPNetwork."""
        peers = {_whole(peer.address): peer for peer in settings.peers}
        peers |= {group.network: group.peer for group in settings.groups}
        own_kind = {n: peer for n, peer in peers.items() if n.version == address.version}
        # Keys and TTLs are the socket's; one of other peers is another one.
        secured = [
            (str(network), peer.password, peer.ao, peer.ttl_security_hops)
            for network, peer in own_kind.items()
        ]
        what = f"bgp {address} {settings.listen_port} {secured}"

        def make() -> socket.socket:
            return _listening(address, settings.listen_port, own_kind)

        listener = self._listeners.open(what, make)
        try:
            opened = self._reactor.adoptStreamPort(
                listener.fileno(), listener.family, _Incoming(accept)
            )
        except BaseException:
            self._listeners.close(what, listener)
            raise

        def closed(_: object) -> None:
            self._listeners.close(what, listener)

        return lambda: maybeDeferred(opened.stopListening).addCallback(closed)

    def discover(self, interface: str, found: Callable[[IPv6Address], None]) -> Callable[[], None]:
        """See BGPNetwork."""
        return Advertiser(self._reactor, interface, found).start()


def _listening(
    address: IPAddress, port: int, peers: Mapping[IPNetwork, PeerSettings]
) -> socket.socket:
    family = socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        for network, peer in peers.items():
            set_key(listener, network, peer)
        keep_alive(listener)  # what it accepts inherits that
        _expect_ttl(listener, tuple(peers.values()))
        listener.bind((str(address), port))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _whole(address: IPAddress) -> IPNetwork:
    """The network of one address; a link-local one is the same on every link here."""
    return ip_network(address.packed)


def _expect_ttl(listener: socket.socket, peers: tuple[PeerSettings, ...]) -> None:
    """Connections inherit the listener's TTLs, and get the limit of their own peer when they are
    accepted. What a peer has sent by then is held to the listener's limit, which is that of the
    furthest peer, and none if there is a peer without TTL security."""
    hops = [peer.ttl_security_hops for peer in peers]
    limits = [limit for limit in hops if limit is not None]
    if limits:
        set_ttl(listener, _MAX_TTL)
        if len(limits) == len(hops):
            set_min_ttl(listener, max(limits))


class _Outgoing(ClientFactory):
    noisy = False

    def __init__(self, connection: BGPConnection, failed: Callable[[str], None]) -> None:
        self._connection = connection
        self._failed = failed

    def buildProtocol(self, addr: IAddress | None) -> TwistedProtocol | None:  # noqa: ARG002
        return self._connection

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:  # noqa: ARG002
        self._failed(_in_words(reason))  # others go on behind it


def _in_words(reason: Failure) -> str:
    """Why there is no connection: the kernel's words, where it was the kernel."""
    number = getattr(reason.value, "osError", None)
    if isinstance(number, int):
        return describe_os_error(OSError(number, ""))
    return reason.getErrorMessage().rstrip(".")


class _Adopted(ServerFactory):
    noisy = False

    def __init__(self, connection: BGPConnection) -> None:
        self._connection = connection

    def buildProtocol(self, addr: Any) -> TwistedProtocol | None:  # noqa: ARG002
        return self._connection


class _Incoming(ServerFactory):
    noisy = False

    def __init__(self, accept: Accept) -> None:
        self._accept = accept

    def buildProtocol(self, addr: Any) -> TwistedProtocol | None:
        connection = self._accept(ip_address(addr.host))
        peer = connection.peer if connection is not None else None
        if connection is not None and peer is not None:
            connection.prepare = lambda transport: _limit_ttl(transport.getHandle(), peer)
        return connection


def _limit_ttl(handle: socket.socket, peer: PeerSettings) -> None:
    if peer.ttl_security_hops is not None:
        set_min_ttl(handle, peer.ttl_security_hops)
    elif peer.ttl is not None:
        set_ttl(handle, peer.ttl)


def keep_alive(handle: socket.socket) -> None:
    """Have the kernel ask whether the peer is there while nothing is sent. Raises OSError."""
    for level, option, value in _KEEPALIVES:
        handle.setsockopt(level, option, value)


def secure_socket(handle: socket.socket, peer: PeerSettings) -> None:
    """Interface, key, TTL and GTSM of an outgoing connection, before it is opened. Raises
    OSError."""
    if peer.interface is not None:
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, peer.interface.encode())
    set_key(handle, _whole(peer.address), peer)
    if peer.ttl is not None:
        set_ttl(handle, peer.ttl)
    if peer.ttl_security_hops is not None:
        set_ttl(handle, _MAX_TTL)
        set_min_ttl(handle, peer.ttl_security_hops)


def set_ttl(handle: socket.socket, ttl: int) -> None:
    """Of the packets that leave. Raises OSError."""
    if handle.family == socket.AF_INET6:
        handle.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
    else:
        handle.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)


def set_min_ttl(handle: socket.socket, hops: int) -> None:
    """Packets from further away than `hops` are dropped by the kernel (RFC 5082)."""
    least = _MAX_TTL + 1 - hops
    if handle.family == socket.AF_INET6:
        handle.setsockopt(socket.IPPROTO_IPV6, _IPV6_MINHOPCOUNT, least)
    else:
        handle.setsockopt(socket.IPPROTO_IP, _IP_MINTTL, least)
