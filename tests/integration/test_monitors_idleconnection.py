"""IdleConnection against real listeners on loopback."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest

from pybal.monitors.idleconnection import IdleConnectionSettings
from tests.integration.reactors import run_in_reactor, until
from tests.integration.real_monitors import Watched
from tests.sockets import reset

pytestmark = pytest.mark.integration

SETTINGS = IdleConnectionSettings(timeout_clean_reconnect_s=0.3, max_delay_s=0.2)
_TCP_REPAIR = 19


def listener(port: int = 0, backlog: int = 10) -> socket.socket:
    """A listening TCP socket; the port can be taken again and again."""
    return socket.create_server(("127.0.0.1", port), backlog=backlog)


async def accepted(reactor: Any, server: socket.socket) -> socket.socket:
    """The next connection, without blocking the reactor."""
    server.setblocking(False)
    connections: list[socket.socket] = []

    def accept() -> bool:
        try:
            connections.append(server.accept()[0])
        except BlockingIOError:
            return False
        return True

    await until(reactor, accept)
    return connections[0]


def test_refused_then_listening_then_gone() -> None:
    async def main(reactor: Any) -> None:
        with listener() as probe:
            port = probe.getsockname()[1]
        watched = Watched(reactor, SETTINGS, port)
        await watched.reported(1)
        assert watched.reason.endswith("connection refused")
        with listener(port) as server:
            await watched.reported(2)
            connection = await accepted(reactor, server)
        reset(connection)
        await watched.reported(3)
        assert "lost after" in watched.reason
        assert watched.reason.endswith("connection reset by peer")
        assert watched.ups == [False, True, False]
        watched.monitor.stop()

    run_in_reactor(main)


def test_a_clean_end_is_reconnected_and_a_refused_reconnect_is_down() -> None:
    async def main(reactor: Any) -> None:
        with listener() as server:
            watched = Watched(reactor, SETTINGS, server.getsockname()[1])
            (await accepted(reactor, server)).close()
            connection = await accepted(reactor, server)
            assert watched.ups == [True]
        connection.close()
        await watched.reported(2)
        assert "the server closed the connection after" in watched.reason
        assert watched.reason.endswith("connection refused")
        watched.monitor.stop()

    run_in_reactor(main)


def test_a_server_that_swallows_the_reconnect_is_down_after_its_time_limit() -> None:
    async def main(reactor: Any) -> None:
        with listener(backlog=0) as server:
            port = server.getsockname()[1]
            watched = Watched(reactor, SETTINGS, port)
            connection = await accepted(reactor, server)
            # One pending connection fills a backlog of 0: later SYNs meet silence.
            with socket.create_connection(("127.0.0.1", port)):
                connection.close()
                await watched.reported(2)
                assert watched.reason.endswith(": no answer")
                watched.monitor.stop()

    run_in_reactor(main)


@pytest.mark.skipif(os.geteuid() != 0, reason="TCP_REPAIR is root's")
def test_keepalive_finds_out_that_the_peer_has_vanished() -> None:
    settings = IdleConnectionSettings(keepalive_idle_s=1, keepalive_interval_s=1, max_delay_s=0.2)

    async def main(reactor: Any) -> None:
        with listener() as server:
            watched = Watched(reactor, settings, server.getsockname()[1])
            connection = await accepted(reactor, server)
            await watched.reported(1)
            # In repair mode close() forgets the connection without a word to the peer.
            connection.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
            connection.close()
            await watched.reported(2)
            assert watched.ups == [True, False]
            assert watched.reason.endswith("connection reset by peer")
            watched.monitor.stop()

    run_in_reactor(main)


def test_stop_closes_the_connection_and_is_silent() -> None:
    async def main(reactor: Any) -> None:
        with listener() as server:
            watched = Watched(reactor, SETTINGS, server.getsockname()[1])
            connection = await accepted(reactor, server)
            await watched.reported(1)
            watched.monitor.stop()
            connection.settimeout(5)
            assert connection.recv(1) == b"", "the server sees a clean end"
            connection.close()
        assert watched.ups == [True]

    run_in_reactor(main)
