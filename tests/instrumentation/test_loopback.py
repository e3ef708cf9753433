"""The real thing: sockets on loopback, a real reactor."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from typing import Any, TypeVar

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from pybal.instrumentation.alert_watch import AlertWatch
from pybal.instrumentation.channel import MAX_CONNECTIONS
from pybal.instrumentation.late_site import LateSite
from pybal.instrumentation.metrics import process_metrics
from pybal.instrumentation.server import Accepting, InstrumentationServer
from pybal.instrumentation.site import StatusPages
from pybal.net.descriptor_reserve import DescriptorReserve
from pybal.runtime.time_slices import TimeSlices
from tests.fakes.view import MONITOR_FAMILIES, NOON, FakeView, large_view
from tests.instrumentation import consumers
from tests.instrumentation.exchange import LogLines
from tests.instrumentation.test_consumers import FINE, POOL, production
from tests.integration.reactors import run_in_reactor, until

pytestmark = pytest.mark.integration

T = TypeVar("T")


class CountedTurns(TimeSlices):
    """Counts how often long work waited for a later turn."""

    given_way = 0

    def pause(self) -> Deferred[None]:
        turn = super().pause()
        self.given_way += not turn.called
        return turn


class Daemon:
    """A server of one view in a running reactor, and blocking clients in threads."""

    def __init__(
        self,
        reactor: Any,
        view: FakeView,
        *addresses: str,
        port: int = 0,
        time_slices: TimeSlices | None = None,
    ) -> None:
        self.log = LogLines()
        self._reactor = reactor
        log = self.log.logger()
        slices = time_slices or TimeSlices(reactor)
        watch = AlertWatch(
            reactor,
            view,
            time_slices=slices,
            is_local=lambda _: True,
            must_be_local=lambda _: True,
            log=log,
            now=lambda: NOON,
        )
        pages = StatusPages(
            reactor,
            view,
            watch,
            slices,
            log,
            MONITOR_FAMILIES,
            partial(deferToThreadPool, reactor, reactor.getThreadPool(), process_metrics()),
        )
        accepting = Accepting(reactor, DescriptorReserve(0), log, lambda: None)
        self.server = InstrumentationServer(
            accepting, [ip_address(a) for a in addresses], port, LateSite(pages.site())
        )

    def in_thread(self, function: Callable[..., T], *arguments: Any) -> Deferred[T]:
        pool = self._reactor.getThreadPool()
        return deferToThreadPool(self._reactor, pool, function, *arguments)

    def connection(self, number: int = 0) -> http.client.HTTPConnection:
        host, port = self.server.listening()[number]
        return http.client.HTTPConnection(host, port, timeout=10)

    def get(self, path: str, accept: str, number: int = 0) -> tuple[int, str]:
        connection = self.connection(number)
        try:
            connection.request("GET", path, headers={"Accept": accept})
            response = connection.getresponse()
            return response.status, response.read().decode("utf-8")
        finally:
            connection.close()


def test_every_consumer_reads_it_over_ipv4_and_ipv6() -> None:
    def consume(daemon: Daemon) -> None:
        for number in range(2):
            get = partial(daemon.get, number=number)
            assert consumers.backends_check(get) == "OK"
            assert consumers.ipvs_difference_check(get)[POOL] == {FINE}
            assert consumers.safe_restart(get, POOL, FINE)
            assert consumers.safe_restart(get, POOL, "nosuch") is None
            assert consumers.pooler_loop(get, POOL, FINE) == ("enabled", "up", "pooled")
            assert consumers.lag_updater(get, POOL) == {FINE}
            assert consumers.bgp_alert(get) == ["2001:db8::2"]
            assert len(consumers.backend_alert(get)) == 1
            assert consumers.restart_procedure(get)["192.0.2.1"] == "1.0"

    async def main(reactor: Any) -> None:
        daemon = Daemon(reactor, production(), "127.0.0.1", "::1")
        daemon.server.start()
        await daemon.in_thread(consume, daemon)
        await daemon.server.stop()

    run_in_reactor(main)


def test_a_persistent_connection_ends_with_the_daemon() -> None:
    def first(connection: http.client.HTTPConnection) -> None:
        for path in ("/alerts", "/nosuch", "/pools"):
            connection.request("GET", path)
            assert connection.getresponse().read()

    def after(connection: http.client.HTTPConnection) -> None:
        assert connection.sock is not None, "it was kept open"
        connection.request("GET", "/alerts")
        connection.getresponse()

    async def main(reactor: Any) -> None:
        daemon = Daemon(reactor, production(), "127.0.0.1")
        daemon.server.start()
        connection = daemon.connection()
        await daemon.in_thread(first, connection)
        await daemon.server.stop()
        with pytest.raises(ConnectionError):
            await daemon.in_thread(after, connection)
        connection.close()

    run_in_reactor(main)


def test_a_port_in_use_is_told_and_taken_once_it_is_free() -> None:
    async def main(reactor: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            daemon = Daemon(reactor, production(), "127.0.0.1", port=port)
            daemon.server.start()
            (line,) = daemon.log
            assert line.startswith(f"error: Cannot listen on 127.0.0.1 port {port}: ")
            assert "Address already in use" in line
        await until(reactor, lambda: bool(daemon.server.listening()))
        status, _ = await daemon.in_thread(daemon.get, "/alerts", "*/*")
        assert status == 200
        await daemon.server.stop()

    run_in_reactor(main)


def test_the_reactor_goes_on_while_the_largest_configuration_is_scraped() -> None:
    async def main(reactor: Any) -> None:
        time_slices = CountedTurns(reactor)
        daemon = Daemon(reactor, large_view(), "127.0.0.1", time_slices=time_slices)
        daemon.server.start()
        status, body = await daemon.in_thread(daemon.get, "/metrics", "*/*")
        assert status == 200
        assert body.count("\npybal_monitor_status{") == 11_538
        # How often depends on the machine: rendering takes so many milliseconds of each turn.
        assert time_slices.given_way > 2
        await daemon.server.stop()

    run_in_reactor(main)


def test_half_requests_keep_nobody_out_and_are_gone_after_seconds() -> None:
    def attack(daemon: Daemon) -> list[socket.socket]:
        where = daemon.server.listening()[0]
        attackers = [socket.create_connection(where) for _ in range(MAX_CONNECTIONS)]
        for each in attackers:
            each.sendall(b"GET /pools HTTP/1.1\r\nX: ")
        for _ in range(20):
            assert daemon.get("/pools", "*/*")[0] == 200
        return attackers

    def are_gone(attackers: list[socket.socket]) -> None:
        for each in attackers:
            each.settimeout(10)
            with contextlib.suppress(ConnectionResetError):
                assert each.recv(1) == b""
            each.close()

    async def main(reactor: Any) -> None:
        daemon = Daemon(reactor, production(), "127.0.0.1")
        daemon.server.start()
        attackers = await daemon.in_thread(attack, daemon)
        await daemon.in_thread(are_gone, attackers)
        assert len([line for line in daemon.log if line.startswith("warn")]) == 1
        await daemon.server.stop()

    run_in_reactor(main)


def test_many_who_ask_for_a_large_document_at_once_hold_up_nobody() -> None:
    def ask(daemon: Daemon) -> int:
        where = daemon.server.listening()[0]
        asking = [socket.create_connection(where) for _ in range(60)]
        for each in asking:
            each.sendall(b"GET /api/v1/services/service-0_443 HTTP/1.1\r\nHost: x\r\n\r\n")
        started_at = time.monotonic()
        assert daemon.get("/alerts", "*/*")[0] == 200
        took_s = time.monotonic() - started_at
        assert took_s < 10, "it takes a tenth of a second"
        for each in asking:
            each.settimeout(10)
            assert each.recv(12) == b"HTTP/1.1 200"
            each.close()
        return len(asking)

    async def main(reactor: Any) -> None:
        daemon = Daemon(reactor, large_view(), "127.0.0.1")
        daemon.server.start()
        assert await daemon.in_thread(ask, daemon) == 60
        await daemon.server.stop()

    run_in_reactor(main)
