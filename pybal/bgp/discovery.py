"""Finding the router at the other end of a link, and being found by it: router advertisements
(RFC 4861), as routers do it for BGP over links without addresses.

We say that we are no router to send packets through (a lifetime of 0) and announce no prefix.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

from pybal.runtime.clock import cancel

_ALL_NODES, _ALL_ROUTERS = "ff02::1", "ff02::2"
_SOLICITATION, _ADVERTISEMENT = 133, 134
_ICMP6_FILTER = 1
_HOP_LIMIT = 255  # RFC 4861 section 6.1.2: what comes from further away is discarded
_INTERVAL_S = 10.0
_SOLICIT = struct.pack("!BBHI", _SOLICITATION, 0, 0, 0)
# Hop limit, flags, a router lifetime of 0; reachable time and retransmission timer: unspecified.
_ADVERTISE = struct.pack("!BBHBBHII", _ADVERTISEMENT, 0, 0, 0, 0, 0, 0, 0)
_PACKETS_A_TURN = 16


def advertiser_of(data: bytes, source: str, hop_limit: int) -> IPv6Address | None:
    """Who sent a router advertisement, or None if it is none, or none of this link. `source` with
    its interface."""
    if len(data) < 16 or data[0] != _ADVERTISEMENT or data[1] != 0 or hop_limit != _HOP_LIMIT:
        return None
    address = IPv6Address(source)
    return address if address.is_link_local else None


@implementer(IReadDescriptor)
class Advertiser:
    """Advertises and listens on one interface; `reactor` provides IReactorTime and IReactorFDSet.
    A link that goes and comes back is taken up again, and an interface of the same name as well."""

    def __init__(self, reactor: Any, interface: str, found: Callable[[IPv6Address], None]) -> None:
        self._reactor = reactor
        self._interface = interface
        self._found = found
        self._socket: socket.socket | None = None
        self._index = 0
        self._timer: Any = None

    def start(self) -> Callable[[], None]:
        """Raises OSError if there is no such interface, or we may not."""
        self._open()
        self._advertise()
        return self.stop

    def stop(self) -> None:
        cancel(self._timer)
        self._timer = None
        self._close()

    def _open(self) -> None:
        opened = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        try:
            index = socket.if_nametoindex(self._interface)
            opened.setblocking(False)
            name = self._interface.encode()
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name)
            for option, value in (
                (socket.IPV6_MULTICAST_IF, index),
                (socket.IPV6_MULTICAST_HOPS, _HOP_LIMIT),
                (socket.IPV6_MULTICAST_LOOP, 0),
                (socket.IPV6_RECVHOPLIMIT, 1),
            ):
                opened.setsockopt(socket.IPPROTO_IPV6, option, value)
            opened.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, _only(_ADVERTISEMENT))
            opened.sendto(_SOLICIT, (_ALL_ROUTERS, 0, 0, index))
        except OSError:
            opened.close()
            raise
        self._socket, self._index = opened, index
        self._reactor.addReader(self)

    def _close(self) -> None:
        opened, self._socket = self._socket, None
        if opened is not None:
            self._reactor.removeReader(self)
            opened.close()

    def _advertise(self) -> None:
        self._timer = self._reactor.callLater(_INTERVAL_S, self._advertise)
        try:
            index = socket.if_nametoindex(self._interface)
            if index != self._index:
                self._close()  # it is bound to one that has gone; another has that name now
            if self._socket is None:
                self._open()
            if self._socket is not None:
                self._socket.sendto(_ADVERTISE, (_ALL_NODES, 0, 0, index))
        except OSError:
            self._close()  # the link is down or gone

    # IReadDescriptor

    def fileno(self) -> int:
        return self._socket.fileno() if self._socket is not None else -1

    def logPrefix(self) -> str:  # noqa: N802 - Twisted's name
        return "bgp-discovery"

    def doRead(self) -> None:  # noqa: N802 - Twisted's name
        for _ in range(_PACKETS_A_TURN):
            if self._socket is None:
                return
            try:
                data, ancillary, _, source = self._socket.recvmsg(1500, 64)
            except OSError:
                return
            limit = next((struct.unpack("=i", v[:4])[0] for _, _, v in ancillary if len(v) > 3), 0)
            address = advertiser_of(data, f"{source[0]}%{self._interface}", limit)
            if address is not None:
                self._found(address)

    def connectionLost(self, reason: Any) -> None:
        """The reactor ends: nothing more will come."""


def _only(kind: int) -> bytes:
    """An ICMP6_FILTER that lets one type pass; its bits say what is blocked."""
    words = [0xFFFFFFFF] * 8
    words[kind >> 5] &= ~(1 << (kind & 31)) & 0xFFFFFFFF
    return struct.pack("=8I", *words)
