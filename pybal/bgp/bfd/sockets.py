"""BFD's datagrams on real sockets: port 3784 (RFC 5881), or 4784 over several hops (RFC 5883), sent
with TTL 255."""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from zope.interface import implementer

from pybal.bgp.bfd.filter import program
from pybal.bgp.bfd.ports import Received
from pybal.model import IPAddress

BFD_PORT, BFD_MULTIHOP_PORT = 3784, 4784
_TTL = 255
_IP_RECVTTL, _SO_ATTACH_FILTER = 12, 26  # Linux; the socket module does not name them
_PACKETS_A_TURN = 32
_MAX_SIZE = 256
_SENDERS_KNOWN = 1024
_log = Logger(namespace="bgp-bfd")


class SocketBFDNetwork:
    """BFDNetwork on sockets; `reactor` provides IReactorFDSet. Twisted's own UDP ports cannot
    tell the TTL of what they receive."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def open(
        self, peer: IPAddress, source: IPAddress | None, port: int, *, multihop: bool
    ) -> tuple[Callable[[bytes], None], Callable[[], None]]:
        """See BFDNetwork."""
        sender = _socket(peer.version)
        try:
            if peer.version == 4:
                sender.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, _TTL)
            else:
                sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, _TTL)
            any_address = "0.0.0.0" if peer.version == 4 else "::"
            sender.bind((str(source) if source is not None else any_address, port))
        except OSError:
            sender.close()
            raise
        target = (str(peer), _port(multihop))

        def send(data: bytes) -> None:
            try:
                sender.sendto(data, target)
            except OSError:
                # As good as lost on the way; the peer's detection timer is the judge.
                return

        return send, sender.close

    def listen(self, version: int, received: Received, *, multihop: bool) -> Callable[[], None]:
        """See BFDNetwork."""
        receiver = _socket(version)
        try:
            if version == 4:
                receiver.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
            else:
                receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
            attach(receiver, program(version, multihop=multihop))
            receiver.bind(("" if version == 4 else "::", _port(multihop)))
        except OSError:
            receiver.close()
            raise
        reader = _Reader(receiver, received)
        self._reactor.addReader(reader)

        def close() -> None:
            self._reactor.removeReader(reader)
            receiver.close()

        return close


def _port(multihop: bool) -> int:
    return BFD_MULTIHOP_PORT if multihop else BFD_PORT


def _socket(version: int) -> socket.socket:
    made = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    made.setblocking(False)
    return made


def attach(receiver: socket.socket, instructions: bytes) -> None:
    """Have the kernel run that program on all that comes: struct sock_fprog."""
    held = ctypes.create_string_buffer(instructions, len(instructions))
    count = len(instructions) // 8
    receiver.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", count, ctypes.addressof(held))
    )


@implementer(IReadDescriptor)
class _Reader:
    """Hands on datagrams with their TTL."""

    def __init__(self, receiver: socket.socket, received: Received) -> None:
        self._receiver = receiver
        self._received = received
        self._senders: dict[Any, IPAddress] = {}  # an address takes longer to make than a check

    def fileno(self) -> int:
        return self._receiver.fileno()

    def logPrefix(self) -> str:  # noqa: N802 - Twisted's name
        return "bgp-bfd"

    def doRead(self) -> None:  # noqa: N802 - Twisted's name
        for _ in range(_PACKETS_A_TURN):
            try:
                data, ancillary, _, source = self._receiver.recvmsg(_MAX_SIZE, 64)
            except OSError:
                return
            ttl = next((_integer(value) for _, _, value in ancillary), 0)
            try:
                self._received(data, self._sender(source), ttl)
            except Exception:  # noqa: BLE001 - all sessions are heard here: none may end the others
                _log.failure("BFD: a packet could not be handled")
            if self._receiver.fileno() == -1:
                return

    def _sender(self, source: tuple[Any, ...]) -> IPAddress:
        key = source[0], source[3:]
        known = self._senders.get(key)
        if known is None:
            if len(self._senders) >= _SENDERS_KNOWN:
                self._senders.clear()
            known = self._senders[key] = _scoped(source)
        return known

    def connectionLost(self, reason: Any) -> None:
        """The reactor ends, or the socket broke: nothing more will come."""


def _scoped(source: tuple[Any, ...]) -> IPAddress:
    """The address of a datagram's sender; one of a single link with its interface."""
    address = ip_address(source[0])
    if address.version == 4 or not address.is_link_local:
        return address
    try:
        return ip_address(f"{address}%{socket.if_indextoname(source[3])}")
    except OSError:
        return address  # the link has gone meanwhile


def _integer(value: bytes) -> int:
    return int(struct.unpack("=i", value[:4])[0]) if len(value) >= 4 else 0
