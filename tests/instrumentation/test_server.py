from __future__ import annotations

from collections.abc import Callable
from errno import EADDRINUSE, EADDRNOTAVAIL
from ipaddress import ip_address
from os import strerror
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport

from pybal.instrumentation.server import InstrumentationServer
from tests.fakes.deferreds import result_of
from tests.instrumentation.exchange import LogLines


class Reactor(MemoryReactorClock):
    """Cannot bind the addresses in `errors`; counts attempts."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's has no types
        self.errors: dict[str, int] = {}
        self.attempts = 0
        self.open: list[str] = []

    def listenTCP(  # noqa: N802
        self, port: int, factory: Any, backlog: int = 50, interface: str = ""
    ) -> Any:
        self.attempts += 1
        errno = self.errors.get(interface)
        if errno is not None:
            raise CannotListenError(interface, port, OSError(errno, strerror(errno)))
        factory.doStart()
        self.open.append(interface)
        return Port(lambda: self.open.remove(interface))


class Port:
    def __init__(self, close: Callable[[], None]) -> None:
        self.stopListening = close

    def getHost(self) -> str:  # noqa: N802
        return "here"


class Transport(StringTransport):
    """Tells its protocol of an abort in the next turn of the reactor, as a real one does."""

    def __init__(self, reactor: Reactor, protocol: Protocol) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self._reactor = reactor
        self._protocol = protocol

    def abortConnection(self) -> None:  # noqa: N802
        self._reactor.callLater(0, self._protocol.connectionLost, None)


class Rig:
    def __init__(self, *addresses: str) -> None:
        self.reactor = Reactor()
        self.log = LogLines()
        self.factory = Factory.forProtocol(Protocol)
        self.server = InstrumentationServer(
            self.reactor,
            [ip_address(address) for address in addresses],
            9090,
            self.factory,
            self.log.logger(),
        )

    def errors(self) -> list[str]:
        return [line for line in self.log if line.startswith("error")]

    def connect(self) -> Any:
        protocol = self.server._connections.buildProtocol(None)
        if protocol is not None:
            protocol.makeConnection(Transport(self.reactor, protocol))
        return protocol


def test_it_listens_on_every_address() -> None:
    rig = Rig("127.0.0.1", "::1")
    assert rig.server.listening() == []
    rig.server.start()
    assert rig.reactor.open == ["127.0.0.1", "::1"]
    assert len(rig.server.listening()) == 2
    assert rig.errors() == []


def test_an_address_that_cannot_be_bound_is_an_error_and_the_others_serve() -> None:
    rig = Rig("192.0.2.1", "::1")
    rig.reactor.errors["192.0.2.1"] = EADDRNOTAVAIL
    rig.server.start()
    assert rig.reactor.open == ["::1"]
    assert rig.errors() == [
        "error: Cannot listen on 192.0.2.1 port 9090: "
        "[Errno 99] Cannot assign requested address; trying again until it works"
    ]


def test_it_is_tried_again_ever_more_slowly_until_it_works() -> None:
    rig = Rig("192.0.2.1")
    rig.reactor.errors["192.0.2.1"] = EADDRNOTAVAIL
    rig.server.start()
    waits = []
    for _ in range(9):
        before, attempts = rig.reactor.seconds(), rig.reactor.attempts
        while rig.reactor.attempts == attempts:
            rig.reactor.advance(1)
        waits.append(rig.reactor.seconds() - before)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert len(rig.errors()) == 1, "the same error is told once"
    rig.reactor.errors["192.0.2.1"] = EADDRINUSE
    rig.reactor.advance(60)
    assert len(rig.errors()) == 2, "another one is news"
    rig.reactor.errors.clear()
    rig.reactor.advance(60)
    assert rig.reactor.open == ["192.0.2.1"]
    assert rig.log[-1] == "info: Listening on 192.0.2.1 port 9090"
    assert rig.reactor.getDelayedCalls() == []


def test_stop_closes_ports_and_forgets_retries_and_may_be_called_again() -> None:
    rig = Rig("192.0.2.1", "::1")
    rig.reactor.errors["192.0.2.1"] = EADDRNOTAVAIL
    rig.server.start()
    result_of(rig.server.stop())
    assert rig.reactor.open == []
    assert rig.reactor.getDelayedCalls() == []
    assert rig.server.listening() == []
    result_of(rig.server.stop())


def test_stop_before_start_does_nothing() -> None:
    result_of(Rig("::1").server.stop())


def test_stop_waits_until_every_connection_is_gone() -> None:
    rig = Rig("::1")
    rig.server.start()
    rig.connect()
    rig.connect()
    stopped = rig.server.stop()
    assert not stopped.called
    rig.reactor.advance(0)
    result_of(stopped)


def test_connections_are_limited_and_a_place_that_is_left_is_free() -> None:
    rig = Rig("::1")
    rig.server.start()
    first, *_ = connections = [rig.connect() for _ in range(256)]
    assert None not in connections
    assert rig.connect() is None
    first.connectionLost(None)
    assert rig.connect() is not None
    assert rig.connect() is None
