from __future__ import annotations

import socket
from errno import EADDRINUSE, EADDRNOTAVAIL
from ipaddress import ip_address
from os import strerror

from twisted.internet.testing import MemoryReactorClock

from pybal.instrumentation.channel import BoundedSite
from pybal.instrumentation.late_site import LateSite
from pybal.instrumentation.server import Accepting, InstrumentationServer
from pybal.instrumentation.site import BoundedRequest
from pybal.model import IPAddress
from pybal.net.descriptor_reserve import DescriptorReserve
from tests.fakes.deferreds import result_of
from tests.instrumentation.exchange import LogLines


class Rig:
    """A server that cannot bind the addresses in `errors`; counts its attempts."""

    def __init__(self, *addresses: str) -> None:
        self.reactor = MemoryReactorClock()
        self.log = LogLines()
        self.errors: dict[str, int] = {}
        self.attempts = 0
        logger = self.log.logger()
        self.server = InstrumentationServer(
            Accepting(self.reactor, DescriptorReserve(0), logger, lambda: None, self.listen),
            [ip_address(address) for address in addresses],
            9090,
            LateSite(BoundedSite(lambda _: None, BoundedRequest, self.reactor, logger)),
        )

    def listen(self, address: IPAddress, port: int) -> socket.socket:
        self.attempts += 1
        assert port == 9090
        errno = self.errors.get(str(address))
        if errno is not None:
            raise OSError(errno, strerror(errno))
        return socket.create_server(("127.0.0.1", 0))

    def open(self) -> int:
        return len(self.reactor.getReaders())

    def told(self) -> list[str]:
        return [line for line in self.log if line.startswith("error")]


def test_it_listens_on_every_address() -> None:
    rig = Rig("127.0.0.1", "::1")
    assert rig.server.listening() == []
    rig.server.start()
    assert rig.open() == 2
    assert len(rig.server.listening()) == 2
    result_of(rig.server.stop())
    assert rig.told() == []


def test_an_address_that_cannot_be_bound_is_an_error_and_the_others_serve() -> None:
    rig = Rig("192.0.2.1", "::1")
    rig.errors["192.0.2.1"] = EADDRNOTAVAIL
    rig.server.start()
    assert rig.open() == 1
    assert rig.told() == [
        "error: Cannot listen on 192.0.2.1 port 9090: "
        "Cannot assign requested address; trying again until it works"
    ]


def test_it_is_tried_again_ever_more_slowly_until_it_works() -> None:
    rig = Rig("192.0.2.1")
    rig.errors["192.0.2.1"] = EADDRNOTAVAIL
    rig.server.start()
    waits = []
    for _ in range(9):
        before, attempts = rig.reactor.seconds(), rig.attempts
        while rig.attempts == attempts:
            rig.reactor.advance(1)
        waits.append(rig.reactor.seconds() - before)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert len(rig.told()) == 1, "the same error is told once"
    rig.errors["192.0.2.1"] = EADDRINUSE
    rig.reactor.advance(60)
    assert len(rig.told()) == 2, "another one is news"
    rig.errors.clear()
    rig.reactor.advance(60)
    assert rig.open() == 1
    assert rig.log[-1] == "info: Listening on 192.0.2.1 port 9090"
    result_of(rig.server.stop())
    assert rig.reactor.getDelayedCalls() == []


def test_stop_closes_ports_and_forgets_retries_and_may_be_called_again() -> None:
    rig = Rig("192.0.2.1", "::1")
    rig.errors["192.0.2.1"] = EADDRNOTAVAIL
    rig.server.start()
    result_of(rig.server.stop())
    assert rig.open() == 0
    assert rig.reactor.getDelayedCalls() == []
    assert rig.server.listening() == []
    result_of(rig.server.stop())


def test_stop_before_start_does_nothing() -> None:
    result_of(Rig("::1").server.stop())
