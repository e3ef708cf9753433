"""A network in memory, on a Clock: it conforms to pybal.bgp.network.BGPNetwork."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybal.bgp.bfd.ports import Received as BFDReceived
from pybal.bgp.codec import Decoder, Received, encode
from pybal.bgp.connection import BGPConnection
from pybal.bgp.messages import Message
from pybal.bgp.network import Accept, BGPNetwork
from pybal.bgp.ports import BGPPorts
from pybal.bgp.settings import PeerSettings, SpeakerSettings
from pybal.model import IPAddress
from tests.fakes.keeper import no_keeper


@dataclass(frozen=True)
class Address:
    host: str
    port: int = 179


class MemoryTransport:
    """One end of a connection. Bytes arrive in the next turn of the clock; a `stuck` end
    takes none, so that those of the other end pile up."""

    def __init__(self, clock: Clock, host: IPAddress, peer: IPAddress) -> None:
        self.clock = clock
        self.protocol: Any = None
        self.other: MemoryTransport = self
        self.stuck = False
        self.paused = False
        self.open = True
        self._host, self._peer = host, peer
        self._out = b""
        self.half_closed = False
        self._producer: Any = None

    def getHost(self) -> Address:  # noqa: N802
        return Address(str(self._host))

    def getPeer(self) -> Address:  # noqa: N802
        return Address(str(self._peer))

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: N802
        assert not streaming
        self._producer = producer
        producer.resumeProducing()

    def unregisterProducer(self) -> None:  # noqa: N802
        self._producer = None

    def write(self, data: bytes) -> None:
        assert not self.half_closed
        self._out += data
        self.clock.callLater(0, self._flush)

    def _flush(self) -> None:
        if not self.open or self.other.stuck or self.other.paused:
            return
        data, self._out = self._out, b""
        if data:
            self.other.protocol.dataReceived(data)
        if self.open and self._producer is not None and data:
            self._producer.resumeProducing()
        if self.half_closed and self.open:
            self.other.lose(ConnectionDone())
            self.lose(ConnectionDone())

    def loseWriteConnection(self) -> None:  # noqa: N802
        self.half_closed = True
        self.clock.callLater(0, self._flush)

    def loseConnection(self) -> None:  # noqa: N802
        self.loseWriteConnection()

    def abortConnection(self) -> None:  # noqa: N802
        self.clock.callLater(0, self.lose, ConnectionAborted())
        self.clock.callLater(0, self.other.lose, ConnectionAborted())

    def lose(self, why: Exception) -> None:
        if self.open:
            self.open = False
            self.protocol.connectionLost(Failure(why))

    def pauseProducing(self) -> None:  # noqa: N802
        self.paused = True

    def resumeProducing(self) -> None:  # noqa: N802
        self.paused = False
        self.clock.callLater(0, self.other._flush)


class MemoryNetwork:
    """Joins hosts by address. `refusing` addresses refuse, `silent` ones never answer. `links`:
    interfaces by name, and who is looking for a router there."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.listeners: dict[IPAddress, Callable[[IPAddress], Any]] = {}
        self.silent: set[IPAddress] = set()
        self.links: dict[str, Callable[[IPv6Address], None] | None] = {}
        self.dials: list[tuple[float, IPAddress]] = []

    def at(self, address: str) -> MemoryHost:
        return MemoryHost(self, ip_address(address))

    def connect(self, source: IPAddress, target: IPAddress, protocol: Any) -> bool:
        """Join `protocol` with what listens at `target`; False if nothing does."""
        accept = self.listeners.get(target)
        if accept is None:
            return False
        accepted = accept(source)
        near = MemoryTransport(self.clock, source, target)
        far = MemoryTransport(self.clock, target, source)
        near.other, far.other = far, near
        near.protocol = protocol
        far.protocol = accepted if accepted is not None else Rejecting()
        protocol.makeConnection(near)
        far.protocol.makeConnection(far)
        return True


class Rejecting:
    """What stands for a connection that nobody wanted."""

    def makeConnection(self, transport: MemoryTransport) -> None:  # noqa: N802
        transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        pass


class MemoryHost:
    """The Network of one address."""

    def __init__(self, network: MemoryNetwork, address: IPAddress) -> None:
        self._network = network
        self.address = address

    def dial(
        self, peer: PeerSettings, connection: BGPConnection, failed: Callable[[str], None]
    ) -> Callable[[], None]:
        network = self._network
        network.dials.append((network.clock.seconds(), peer.address))

        def attempt() -> None:
            if not network.connect(self.address, peer.address, connection):
                failed("connection refused")

        if peer.address in network.silent:
            return lambda: None
        call: Any = network.clock.callLater(0.001, attempt)
        return lambda: call.cancel() if call.active() else None

    def adopt(self, handle: socket.socket, connection: BGPConnection) -> None:
        raise AssertionError("no process was before this one")

    def discover(self, interface: str, found: Callable[[IPv6Address], None]) -> Callable[[], None]:
        if interface not in self._network.links:
            raise OSError(19, "No such device")
        self._network.links[interface] = found
        return lambda: self._network.links.update({interface: None})

    def listen(
        self, address: IPAddress, settings: SpeakerSettings, accept: Accept
    ) -> Callable[[], Deferred[None]]:
        if address in self._network.listeners:
            raise OSError(98, "Address already in use")
        self._network.listeners[address] = accept

        def close() -> Deferred[None]:
            del self._network.listeners[address]
            return succeed(None)

        return close


class Router:
    """A hand-driven BGP peer: records what it hears, says what the test wants."""

    def __init__(self, network: MemoryNetwork, address: str) -> None:
        self.network = network
        self.address = ip_address(address)
        self.ends: list[RouterEnd] = []

    def listen(self) -> None:
        self.network.listeners[self.address] = lambda _: self._end()

    def refuse(self) -> None:
        self.network.listeners.pop(self.address, None)

    def connect(self, target: str) -> RouterEnd:
        end = self._end()
        assert self.network.connect(self.address, ip_address(target), end)
        return end

    def _end(self) -> RouterEnd:
        end = RouterEnd()
        self.ends.append(end)
        return end


class RouterEnd:
    """One connection of a Router."""

    def __init__(self) -> None:
        self.heard: list[Received] = []
        self.lost: Failure | None = None
        self.transport: Any = None
        self.decoder = Decoder()

    def makeConnection(self, transport: MemoryTransport) -> None:  # noqa: N802
        self.transport = transport

    def dataReceived(self, data: bytes) -> None:
        self.decoder.feed(data)
        while (message := self.decoder.next_message()) is not None:
            self.heard.append(message)

    def connectionLost(self, reason: Failure) -> None:
        self.lost = reason

    def say(self, *messages: Message | bytes) -> None:
        for message in messages:
            self.transport.write(message if isinstance(message, bytes) else encode(message))

    def take(self) -> list[Received]:
        """What was heard since the last call."""
        heard, self.heard = self.heard, []
        return heard


class NoBFDNetwork:
    """For speakers of which no peer has BFD: it opens nothing."""

    def open(
        self, peer: IPAddress, source: IPAddress | None, port: int, *, multihop: bool
    ) -> tuple[Callable[[bytes], None], Callable[[], None]]:
        raise AssertionError(f"BFD with {peer} was not expected")

    def listen(self, version: int, received: BFDReceived, *, multihop: bool) -> Callable[[], None]:
        raise AssertionError(f"BFD over IPv{version} was not expected")


def memory_ports(
    clock: Clock,
    network: BGPNetwork,
    log: Logger,
    *,
    now: Callable[[], float] | None = None,
    seed: int = 1,
) -> BGPPorts:
    """What a speaker in memory touches, without BFD. `now` defaults to the clock's seconds."""
    return BGPPorts(
        clock=clock,
        network=network,
        random=Random(seed),
        now=now or clock.seconds,
        log=log,
        bfd_network=NoBFDNetwork(),
        records=no_keeper(log),
    )
