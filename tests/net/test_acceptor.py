"""Accepting connections with a real reactor, also without descriptors."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.protocol import Factory, Protocol

from pybal.net.acceptor import Acceptor
from pybal.net.descriptor_reserve import DescriptorReserve
from tests.integration.reactors import run_in_reactor, sleep, until


class Greeting(Protocol):
    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.write(b"hello")


FAMILIES = [(socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_INET6, ("::1", 0))]


def listening(family: int, where: Any) -> socket.socket:
    found = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    found.bind(where)
    found.listen()
    return found


def connected(to: socket.socket) -> socket.socket:
    client = socket.socket(to.family, socket.SOCK_STREAM)
    client.connect(to.getsockname())
    client.setblocking(False)
    return client


def heard(client: socket.socket) -> bytes | None:
    try:
        return client.recv(100)
    except BlockingIOError:
        return None


async def is_greeted(reactor: Any, client: socket.socket) -> None:
    await until(reactor, lambda: heard(client) == b"hello")


class Moody(Factory):
    """Fails at its first connection."""

    protocol = Greeting
    failed = False

    def buildProtocol(self, addr: Any) -> Any:
        if not self.failed:
            self.failed = True
            raise ZeroDivisionError
        return super().buildProtocol(addr)


def test_a_connection_that_cannot_be_served_is_not_the_last() -> None:
    async def main(reactor: Any) -> None:
        socket_ = listening(*FAMILIES[0])
        reserve = DescriptorReserve(2)
        acceptor = Acceptor(reactor, socket_, reserve)
        acceptor.begin(Moody(), lambda _: None)
        with connected(socket_), connected(socket_) as second:
            await is_greeted(reactor, second)
        acceptor.close()
        reserve.close()

    run_in_reactor(main)


@contextlib.contextmanager
def no_descriptors_left() -> Iterator[list[int]]:
    """Every descriptor that this process may have is in use; those that may be closed."""
    gc.collect()  # what other tests have left behind must not come free meanwhile
    gc.disable()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 8, before[1]))
    taken = []
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        yield taken
    finally:
        gc.enable()
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(("family", "where"), FAMILIES)
def test_it_accepts_until_it_is_closed(family: int, where: Any) -> None:
    async def main(reactor: Any) -> None:
        socket_ = listening(family, where)
        factory = Factory.forProtocol(Greeting)
        acceptor = Acceptor(reactor, socket_, DescriptorReserve(0))
        acceptor.begin(factory, lambda _: None)
        assert acceptor.address()[0] == where[0]
        clients = [connected(socket_) for _ in range(3)]
        for client in clients:
            await is_greeted(reactor, client)
        address = acceptor.address()
        acceptor.close()
        acceptor.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address[:2])
        for client in clients:
            client.close()

    run_in_reactor(main)


def test_who_connects_before_it_begins_waits() -> None:
    async def main(reactor: Any) -> None:
        socket_ = listening(*FAMILIES[0])
        acceptor = Acceptor(reactor, socket_, DescriptorReserve(0))
        with connected(socket_) as client:
            await sleep(reactor, 0.01)
            assert heard(client) is None
            acceptor.begin(Factory.forProtocol(Greeting), lambda _: None)
            await is_greeted(reactor, client)
        acceptor.close()

    run_in_reactor(main)


def test_one_that_is_closed_does_not_begin() -> None:
    async def main(reactor: Any) -> None:
        acceptor = Acceptor(reactor, listening(*FAMILIES[0]), DescriptorReserve(0))
        acceptor.close()
        acceptor.begin(Factory.forProtocol(Greeting), lambda _: None)
        assert acceptor not in reactor.getReaders()

    run_in_reactor(main)


def test_a_unix_socket_keeps_its_permissions(tmp_path: Any) -> None:
    async def main(reactor: Any) -> None:
        socket_ = listening(socket.AF_UNIX, str(tmp_path / "s"))
        os.chmod(tmp_path / "s", 0o600)
        factory = Factory.forProtocol(Greeting)
        acceptor = Acceptor(reactor, socket_, DescriptorReserve(0))
        acceptor.begin(factory, lambda _: None)
        with connected(socket_) as client:
            await is_greeted(reactor, client)
        assert os.stat(tmp_path / "s").st_mode & 0o777 == 0o600
        acceptor.close()

    run_in_reactor(main)


@pytest.mark.slow
def test_without_descriptors_the_reserve_serves_and_is_filled_again() -> None:
    async def main(reactor: Any) -> None:
        told: list[bool] = []
        reserve = DescriptorReserve(4)
        socket_ = listening(*FAMILIES[0])
        acceptor = Acceptor(reactor, socket_, reserve)
        acceptor.begin(Factory.forProtocol(Greeting), told.append)
        clients = [socket.socket() for _ in range(5)]
        with no_descriptors_left():
            for client in clients[:3]:
                client.connect(acceptor.address())
                client.setblocking(False)
                await is_greeted(reactor, client)
            assert told == [True] * 3
            # Two are needed, one is left: the fourth waits, and the reactor does not spin.
            clients[3].connect(acceptor.address())
            clients[3].setblocking(False)
            await until(reactor, lambda: len(told) >= 4)
            await sleep(reactor, 0.4)
            assert heard(clients[3]) is None
            assert 4 <= len(told) <= 7
            clients[0].close()
            reserve.refill()
            await is_greeted(reactor, clients[3])
        for client in clients:
            client.close()
        acceptor.close()
        reserve.close()

    run_in_reactor(main)


@pytest.mark.slow
def test_one_that_was_accepted_with_the_last_descriptor_waits_for_another() -> None:
    async def main(reactor: Any) -> None:
        told: list[bool] = []
        acceptor = Acceptor(reactor, listening(*FAMILIES[0]), DescriptorReserve(0))
        acceptor.begin(Factory.forProtocol(Greeting), told.append)
        client = socket.socket()
        with no_descriptors_left() as taken:
            os.close(taken.pop())
            client.connect(acceptor.address())
            client.setblocking(False)
            await until(reactor, lambda: bool(told))
            await sleep(reactor, 0.2)
            assert (heard(client), set(told)) == (None, {False})
            os.close(taken.pop())
            await is_greeted(reactor, client)
        client.close()
        acceptor.close()

    run_in_reactor(main)
