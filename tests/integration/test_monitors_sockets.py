"""The network adapter on real sockets: every event as the port promises it."""

from __future__ import annotations

import errno
import os
import socket
from ipaddress import ip_address
from typing import Any

import pytest

from pybal.net import epoll
from pybal.net.channels import STREAM_BYTES
from pybal.net.port import Keepalive, TCPEvents, UDPEvents
from pybal.net.sockets import SocketNetwork
from tests.integration.reactors import run_in_reactor, sleep, until
from tests.integration.real_monitors import descriptors
from tests.sockets import reset

pytestmark = pytest.mark.integration

LOOPBACKS = pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
Event = tuple[str, Any]


class Recorder:
    """Keeps all events of one channel."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def tcp(self) -> TCPEvents:
        return TCPEvents(
            connected=lambda: self.events.append(("connected", None)),
            received=lambda data: self.events.append(("received", data)),
            closed=lambda error: self.events.append(("closed", error and error.errno)),
        )

    def udp(self) -> UDPEvents:
        return UDPEvents(
            received=lambda data: self.events.append(("received", data)),
            failed=lambda error: self.events.append(("failed", error.errno)),
        )


def listener(host: str) -> socket.socket:
    """A listening TCP socket."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, 0), family=family)


def unused_port(host: str, kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port where nobody listens (until somebody else takes it)."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as sock:
        sock.bind((host, 0))
        return int(sock.getsockname()[1])


@LOOPBACKS
def test_a_connection_is_made_used_and_ended_cleanly(host: str) -> None:
    recorder = Recorder()

    async def main(reactor: Any) -> None:
        with listener(host) as server:
            port = server.getsockname()[1]
            channel = SocketNetwork(reactor).connect_tcp(ip_address(host), port, recorder.tcp())
            assert recorder.events == [], "nothing from within connect_tcp()"
            connection, _ = server.accept()
            await until(reactor, lambda: len(recorder.events) == 1)
            channel.send(b"question")
            assert connection.recv(100) == b"question"
            connection.sendall(b"answer")
            connection.close()
            await until(reactor, lambda: len(recorder.events) == 3)

    run_in_reactor(main)
    assert recorder.events == [("connected", None), ("received", b"answer"), ("closed", None)]


def test_much_data_is_taken_in_turns() -> None:
    recorder = Recorder()
    sent = bytes(50_000)

    async def main(reactor: Any) -> None:
        with listener("127.0.0.1") as server:
            port = server.getsockname()[1]
            SocketNetwork(reactor).connect_tcp(ip_address("127.0.0.1"), port, recorder.tcp())
            connection, _ = server.accept()
            connection.sendall(sent)
            connection.close()
            await until(reactor, lambda: recorder.events[-1:] == [("closed", None)])

    run_in_reactor(main)
    pieces = [data for kind, data in recorder.events if kind == "received"]
    assert b"".join(pieces) == sent
    assert max(map(len, pieces)) == STREAM_BYTES


def test_who_fails_at_the_end_of_its_connection_ends_no_other() -> None:
    """A plug-in's mistake, as its connection is closed already."""
    recorder = Recorder()

    def mistake(_: object = None) -> None:
        raise RuntimeError("a plug-in's")

    async def main(reactor: Any) -> None:
        with listener("127.0.0.1") as server:
            network, here = SocketNetwork(reactor), ip_address("127.0.0.1")
            port = server.getsockname()[1]
            network.connect_tcp(here, port, TCPEvents(lambda: None, mistake, mistake))
            first, _ = server.accept()
            channel = network.connect_tcp(here, port, recorder.tcp())
            second, _ = server.accept()
            await until(reactor, lambda: len(recorder.events) == 1)
            first.close()
            await sleep(reactor, 0.05)
            second.sendall(b"still there")
            await until(reactor, lambda: len(recorder.events) == 2)
            second.close()
            channel.close()

    run_in_reactor(main)
    assert recorder.events == [("connected", None), ("received", b"still there")]


@LOOPBACKS
def test_a_refused_connection_says_so(host: str) -> None:
    recorder = Recorder()

    async def main(reactor: Any) -> None:
        port = unused_port(host)
        SocketNetwork(reactor).connect_tcp(ip_address(host), port, recorder.tcp())
        assert recorder.events == []
        await until(reactor, lambda: bool(recorder.events))

    run_in_reactor(main)
    assert recorder.events == [("closed", errno.ECONNREFUSED)]


def test_an_error_that_connect_knows_at_once_comes_as_an_event_all_the_same() -> None:
    recorder = Recorder()

    async def main(reactor: Any) -> None:
        # A TCP connection to a broadcast address is refused by connect() itself.
        address = ip_address("255.255.255.255")
        SocketNetwork(reactor).connect_tcp(address, 9, recorder.tcp())
        assert recorder.events == []
        await until(reactor, lambda: bool(recorder.events))

    run_in_reactor(main)
    ((kind, code),) = recorder.events
    assert kind == "closed" and code in (errno.EACCES, errno.ENETUNREACH)


@LOOPBACKS
@pytest.mark.parametrize("wants_last", [True, False])
def test_a_reset_is_told_apart_from_a_clean_end_whether_the_last_words_are_wanted_or_not(
    host: str, wants_last: bool
) -> None:
    recorder = Recorder()

    async def main(reactor: Any) -> None:
        with listener(host) as server:
            port = server.getsockname()[1]
            events = recorder.tcp()._replace(wants_last=wants_last)
            SocketNetwork(reactor).connect_tcp(ip_address(host), port, events)
            connection, _ = server.accept()
            await until(reactor, lambda: len(recorder.events) == 1)
            reset(connection)
            await until(reactor, lambda: len(recorder.events) == 2)

    run_in_reactor(main)
    assert recorder.events == [("connected", None), ("closed", errno.ECONNRESET)]


@pytest.mark.parametrize("wants_last", [True, False])
def test_who_does_not_want_it_is_not_told_what_came_right_before_a_clean_end(
    wants_last: bool,
) -> None:
    recorder = Recorder()

    async def main(reactor: Any) -> None:
        with listener("127.0.0.1") as server:
            here, port = ip_address("127.0.0.1"), server.getsockname()[1]
            events = recorder.tcp()._replace(wants_last=wants_last)
            SocketNetwork(reactor).connect_tcp(here, port, events)
            connection, _ = server.accept()
            await until(reactor, lambda: len(recorder.events) == 1)
            connection.sendall(b"greeting")
            await until(reactor, lambda: len(recorder.events) == 2)
            # So both come in one segment, and the reactor never sees the one without the other.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
            connection.sendall(b"farewell")
            connection.close()
            await until(reactor, lambda: recorder.events[-1][0] == "closed")

    run_in_reactor(main)
    last = [("received", b"farewell")] if wants_last else []
    greeted = [("connected", None), ("received", b"greeting")]
    assert recorder.events == [*greeted, *last, ("closed", None)]


def test_one_that_was_taken_over_is_read_to_its_end() -> None:
    recorder = Recorder()
    sent = bytes(3 * STREAM_BYTES + 5)

    async def main(reactor: Any) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.sendall(sent)
        SocketNetwork(reactor).adopt_tcp(ours, recorder.tcp())
        await until(reactor, lambda: bool(recorder.events))
        theirs.close()
        await until(reactor, lambda: recorder.events[-1] == ("closed", None))

    run_in_reactor(main)
    assert b"".join(data for kind, data in recorder.events if kind == "received") == sent


def test_those_that_wait_to_be_closed_give_way_where_descriptors_are_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorder = Recorder()
    # All are told of in one turn, and wait, however slow the machine is.
    monkeypatch.setattr(epoll, "_TURN_S", 60.0)
    monkeypatch.setattr(epoll, "CLOSED_AFTER_S", 60.0)

    async def main(reactor: Any) -> None:
        here, port = ip_address("127.0.0.1"), unused_port("127.0.0.1")
        network = SocketNetwork(reactor, 1)
        for _ in range(40):
            network.connect_tcp(here, port, recorder.tcp())
        await until(reactor, lambda: len(recorder.events) == 40)
        before = descriptors()
        answers = iter([False, True])
        monkeypatch.setattr(network, "_may_take", lambda _: next(answers))
        network.connect_tcp(here, port, recorder.tcp()).close()
        assert descriptors() < before - 20
        monkeypatch.setattr(network, "_may_take", lambda _: False)
        with pytest.raises(OSError, match="Too many open files"):
            network.connect_tcp(here, port, recorder.tcp())
        assert descriptors() == before - 40

    run_in_reactor(main)


def test_one_beside_another_does_not_wait_for_its_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    many, told_before = Recorder(), list[int]()
    monkeypatch.setattr(epoll, "_TURN_S", 0.0)

    async def main(reactor: Any) -> None:
        here, port = ip_address("127.0.0.1"), unused_port("127.0.0.1")
        network = SocketNetwork(reactor)
        for _ in range(200):
            network.connect_tcp(here, port, many.tcp())
        network.beside().connect_tcp(
            here,
            port,
            TCPEvents(
                connected=lambda: None,
                received=lambda _: None,
                closed=lambda _: told_before.append(len(many.events)),
            ),
        )
        await until(reactor, lambda: len(many.events) == 200)

    run_in_reactor(main)
    assert told_before
    assert told_before[0] < 100


def test_nothing_is_told_after_close_and_no_descriptor_stays_behind() -> None:
    recorder = Recorder()

    async def main(reactor: Any) -> None:
        before = descriptors()
        with listener("127.0.0.1") as server:
            address, port = ip_address("127.0.0.1"), server.getsockname()[1]
            network = SocketNetwork(reactor)
            network.connect_tcp(address, port, recorder.tcp()).close()
            refused = network.connect_tcp(address, unused_port("127.0.0.1"), recorder.tcp())
            refused.close()
            refused.close()
            datagrams = network.connect_udp(address, unused_port("127.0.0.1"), recorder.udp())
            datagrams.send(b"")
            datagrams.close()
            broadcast = ip_address("255.255.255.255")
            network.connect_tcp(broadcast, 9, recorder.tcp()).close()
            await sleep(reactor, 0.05)
        assert descriptors() == before

    run_in_reactor(main)
    assert recorder.events == []


def test_keepalive_is_set_as_asked() -> None:
    async def main(reactor: Any) -> list[int]:
        with listener("127.0.0.1") as server:
            channel: Any = SocketNetwork(reactor).connect_tcp(
                ip_address("127.0.0.1"),
                server.getsockname()[1],
                Recorder().tcp(),
                keepalive=Keepalive(idle_s=11, interval_s=12, retries=4),
            )
            await sleep(reactor, 0.05)
            with socket.socket(fileno=os.dup(channel.fileno())) as sock:
                tcp = socket.IPPROTO_TCP
                values = [sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)]
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT):
                    values.append(sock.getsockopt(tcp, option))
            channel.close()
            return values

    assert run_in_reactor(main) == [1, 11, 12, 4]


@LOOPBACKS
def test_each_icmp_error_is_told_and_the_udp_socket_stays_usable(host: str) -> None:
    recorder = Recorder()

    async def main(reactor: Any) -> None:
        port = unused_port(host, socket.SOCK_DGRAM)
        channel = SocketNetwork(reactor).connect_udp(ip_address(host), port, recorder.udp())
        channel.send(b"anybody?")
        await until(reactor, lambda: len(recorder.events) == 1)
        channel.send(b"still nobody?")
        await until(reactor, lambda: len(recorder.events) == 2)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as server:
            server.bind((host, port))
            channel.send(b"and now?")
            data, peer = server.recvfrom(100)
            server.sendto(data.upper(), peer)
            server.sendto(b"", peer)
            await until(reactor, lambda: len(recorder.events) == 4)
        channel.close()

    run_in_reactor(main)
    assert recorder.events == [
        ("failed", errno.ECONNREFUSED),
        ("failed", errno.ECONNREFUSED),
        ("received", b"AND NOW?"),
        ("received", b""),
    ]


def test_a_udp_socket_takes_datagrams_of_its_peer_alone() -> None:
    recorder = Recorder()

    async def main(reactor: Any) -> None:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
        ):
            server.bind(("127.0.0.1", 0))
            channel = SocketNetwork(reactor).connect_udp(
                ip_address("127.0.0.1"), server.getsockname()[1], recorder.udp()
            )
            channel.send(b"who are you?")
            _, peer = server.recvfrom(100)
            stranger.sendto(b"stranger", peer)
            server.sendto(b"server", peer)
            await until(reactor, lambda: bool(recorder.events))
            channel.close()

    run_in_reactor(main)
    assert recorder.events == [("received", b"server")]
