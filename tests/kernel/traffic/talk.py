"""Long conversations over TCP, UDP and SCTP, and what they look like on the wire."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
from collections.abc import Iterable, Iterator
from typing import Self

from tests.stage import Host, IPAddress

TCP, UDP, SCTP = socket.IPPROTO_TCP, socket.IPPROTO_UDP, 132
PORT = 80
_NAMES = {TCP: "TCP", UDP: "UDP", SCTP: "SCTP"}


def _socket(host: Host, version: int, protocol: int) -> socket.socket:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    kind = socket.SOCK_DGRAM if protocol == UDP else socket.SOCK_STREAM
    with host.inside():
        return socket.socket(family, kind, protocol)


class Talker:
    """Says a host's name to whatever is said to it over TCP and UDP on all its addresses and these
    ports, and over SCTP on these addresses and PORT; it ends no connection. One thread."""

    def __init__(
        self, host: Host, ports: Iterable[int] = (PORT,), sctp: Iterable[IPAddress] = ()
    ) -> None:
        self._name = host.name.encode()
        self._selector = selectors.DefaultSelector()
        self._wake, woken = socket.socketpair()
        self._selector.register(woken, selectors.EVENT_READ, None)
        for port in ports:
            self._listen(host, TCP, "::", port)
            self._listen(host, UDP, "::", port)
        for address in sctp:
            # On all addresses SCTP would offer the client those that are not this host's alone.
            self._listen(host, SCTP, str(address), PORT)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close everything."""
        self._wake.close()
        self._thread.join()

    def _listen(self, host: Host, protocol: int, address: str, port: int) -> None:
        listener = _socket(host, 6 if ":" in address else 4, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address == "::":
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((address, port))
        if protocol == UDP:
            # An answer must come from the address that was asked, the VIP.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            answer = self._answer_datagram
        else:
            listener.listen(128)
            answer = self._accept
        self._selector.register(listener, selectors.EVENT_READ, answer)

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    for each in list(self._selector.get_map().values()):
                        each.fileobj.close()  # type: ignore[union-attr]
                    self._selector.close()
                    return
                with contextlib.suppress(OSError):
                    key.data(key.fileobj)

    def _accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        self._selector.register(connection, selectors.EVENT_READ, self._answer)

    def _answer(self, connection: socket.socket) -> None:
        try:
            said = connection.recv(4096)
            if said:
                connection.sendall(self._name)
                return
        except OSError:
            pass
        self._selector.unregister(connection)
        connection.close()

    def _answer_datagram(self, listener: socket.socket) -> None:
        _, ancillary, _, client = listener.recvmsg(4096, 256)
        ((level, kind, where),) = ancillary
        address = where[:16]  # without the interface it came by: the route decides
        listener.sendmsg([self._name], [(level, kind, address + struct.pack("i", 0))], 0, client)


class Line:
    """A client's connection, or flow of datagrams, to `address`; from `source` if that is given
    (an address, or None for any, and a port, or 0 for any)."""

    def __init__(
        self,
        client: Host,
        address: IPAddress,
        port: int = PORT,
        *,
        protocol: int = TCP,
        source: tuple[IPAddress | None, int] = (None, 0),
    ) -> None:
        self._socket = _socket(client, address.version, protocol)
        self._socket.settimeout(5)
        try:
            own, own_port = source
            if own is not None or own_port:
                any_address = "" if address.version == 4 else "::"
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self._socket.bind((any_address if own is None else str(own), own_port))
            self._socket.connect((str(address), port))
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, text: bytes = b"?", timeout_s: float = 5.0) -> str:
        """Who answers; OSError if nobody does."""
        self._socket.settimeout(timeout_s)
        self._socket.send(text)
        return self._socket.recv(4096).decode()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


@contextlib.contextmanager
def wire(host: Host, of: Iterable[Host]) -> Iterator[set[str]]:
    """What comes to `host` from the link-layer addresses of other hosts, as shapes such as
    `IPv4 GRE+checksum IPv6 TCP`; complete when the block has ended."""
    found: set[str] = set()
    senders = {_link_address(sender) for sender in of}
    with host.inside():
        sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERYTHING))
    with sniffer:
        sniffer.bind(("eth0", _EVERYTHING))
        yield found
        sniffer.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                frame = sniffer.recv(65536)
                if frame[6:12] in senders and frame[12:14] in _ETHERNET:
                    found.add(" ".join(_layers(_ETHERNET[frame[12:14]], frame[14:])))


_EVERYTHING = 0x0003  # ETH_P_ALL
_ETHERNET = {b"\x08\x00": "IPv4", b"\x86\xdd": "IPv6"}
_INSIDE = {4: "IPv4", 41: "IPv6", 47: "GRE"} | _NAMES
GUE_PORT = 6080


def _link_address(host: Host) -> bytes:
    # /sys shows the namespace of who mounted it.
    with host.inside(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as anything:
        anything.bind(("eth0", 0))
        return bytes(anything.getsockname()[4])


def _layers(kind: str, data: bytes) -> Iterator[str]:
    """The protocols of a packet, from the outside."""
    if kind == "IPv4":
        yield kind
        yield from _layers(_INSIDE.get(data[9], str(data[9])), data[4 * (data[0] & 15) :])
    elif kind == "IPv6":
        yield kind
        yield from _layers(_INSIDE.get(data[6], str(data[6])), data[40:])
    elif kind == "GRE":
        summed = bool(data[0] & 0x80)
        yield "GRE+checksum" if summed else "GRE"
        yield from _layers(_ETHERNET.get(data[2:4], "?"), data[8 if summed else 4 :])
    elif kind == "UDP" and int.from_bytes(data[2:4], "big") == GUE_PORT:
        yield from _gue(data)
    else:
        yield kind


def _gue(data: bytes) -> Iterator[str]:
    """A datagram of Generic UDP Encapsulation: the flag of the header's private part is that of
    remote checksum offload."""
    summed = data[6:8] != b"\0\0"
    words = data[8] & 31
    remote = words > 0
    yield "GUE" + ("+checksum" if summed else "") + ("+remote" if remote else "")
    yield from _layers(_INSIDE.get(data[9], "?"), data[12 + 4 * words :])
