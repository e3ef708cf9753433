"""UDP and DNSQuery against real sockets on loopback; the name server is Twisted's."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from twisted.internet.protocol import DatagramProtocol
from twisted.names import dns
from twisted.names.server import DNSServerFactory

from pybal.monitors.dnsquery import DNSQuerySettings
from pybal.monitors.udp import UDPSettings
from tests.integration.reactors import run_in_reactor
from tests.integration.real_monitors import Watched, took_s

pytestmark = pytest.mark.integration

LOOPBACKS = pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
DNS = DNSQuerySettings(hostnames=("en.example",), interval_s=0.2, timeout_s=1.5)


def datagram_socket(host: str, port: int = 0) -> socket.socket:
    """A bound UDP socket."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, port))
    return sock


@LOOPBACKS
def test_udp_is_down_while_icmp_says_so_and_up_after_enough_silence(host: str) -> None:
    async def main(reactor: Any) -> None:
        with datagram_socket(host) as probe:
            port = probe.getsockname()[1]
        settings = UDPSettings(interval_s=0.2, icmp_timeout_s=0.5)
        watched = Watched(reactor, settings, port, host)
        await watched.reported(1)
        assert "connection refused after " in watched.reason
        assert took_s(watched.reason) < settings.icmp_timeout_s
        with datagram_socket(host, port) as server:
            began_at = reactor.seconds()
            await watched.reported(2)
            assert reactor.seconds() - began_at > 0.25
            assert server.recv(100) == b""
        await watched.reported(3)
        assert watched.ups == [False, True, False]
        watched.monitor.stop()

    run_in_reactor(main)


class NameServer(DatagramProtocol):
    """Answers over UDP with the given code, cut short or not; a stranger may speak first."""

    def __init__(self, rcode: int, *, truncated: bool = False) -> None:
        self.rcode = rcode
        self.truncated = truncated
        self.stranger: socket.socket | None = None

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        message = dns.Message()
        message.fromStr(datagram)
        message.answer, message.rCode = 1, dns.ESERVER
        if self.stranger is not None:
            self.stranger.sendto(message.toStr(), addr[:2])
        message.rCode, message.trunc = self.rcode, int(self.truncated)
        transport: Any = self.transport
        transport.write(message.toStr(), addr)


class Refusing(DNSServerFactory):
    """Twisted's own TCP server, which knows nothing and answers each query the same way."""

    def __init__(self, rcode: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # Twisted's is not
        self.rcode = rcode
        self.asked = 0

    def handleQuery(self, message: Any, protocol: Any, address: Any) -> None:  # noqa: N802
        self.asked += 1
        message.answer, message.rCode = 1, self.rcode
        protocol.writeMessage(message)


@contextmanager
def name_server(reactor: Any, host: str, udp: NameServer, tcp: Refusing) -> Iterator[int]:
    """A name server on UDP and TCP; gives its port."""
    tcp_port = reactor.listenTCP(0, tcp, interface=host)
    port = tcp_port.getHost().port
    udp_port = reactor.listenUDP(port, udp, interface=host)
    try:
        yield port
    finally:
        tcp_port.stopListening()
        udp_port.stopListening()


@LOOPBACKS
@pytest.mark.parametrize(
    ("rcode", "up", "said"),
    [
        (dns.OK, True, "NOERROR, 0 records"),
        (dns.ENAME, True, "NXDOMAIN"),
        (dns.ESERVER, False, "SERVFAIL"),
        (dns.EREFUSED, False, "REFUSED"),
    ],
)
def test_dnsquery_judges_a_real_answer(host: str, rcode: int, up: bool, said: str) -> None:
    async def main(reactor: Any) -> None:
        with name_server(reactor, host, NameServer(rcode), Refusing(rcode)) as port:
            watched = Watched(reactor, DNS, port, host)
            await watched.reported(1)
            watched.monitor.stop()
        assert watched.ups == [up]
        assert said in watched.reason

    run_in_reactor(main)


@LOOPBACKS
def test_dnsquery_follows_a_truncated_answer_to_tcp(host: str) -> None:
    async def main(reactor: Any) -> None:
        tcp = Refusing(dns.ENAME)
        with name_server(reactor, host, NameServer(dns.OK, truncated=True), tcp) as port:
            watched = Watched(reactor, DNS, port, host)
            await watched.reported(1)
            watched.monitor.stop()
        assert watched.ups == [True]
        assert "NXDOMAIN" in watched.reason
        assert tcp.asked == 1

    run_in_reactor(main)


def test_dnsquery_does_not_listen_to_strangers() -> None:
    async def main(reactor: Any) -> None:
        udp = NameServer(dns.OK)
        with (
            name_server(reactor, "127.0.0.1", udp, Refusing(dns.OK)) as port,
            datagram_socket("127.0.0.1") as udp.stranger,
        ):
            watched = Watched(reactor, DNS, port)
            await watched.reported(1)
            watched.monitor.stop()
        assert watched.ups == [True]

    run_in_reactor(main)


@LOOPBACKS
def test_dnsquery_knows_at_once_that_nobody_listens(host: str) -> None:
    async def main(reactor: Any) -> None:
        with datagram_socket(host) as probe:
            port = probe.getsockname()[1]
        watched = Watched(reactor, DNS, port, host)
        await watched.reported(1)
        watched.monitor.stop()
        assert watched.ups == [False]
        assert "connection refused" in watched.reason
        assert watched.reports[0].duration_s < DNS.timeout_s / 2

    run_in_reactor(main)


def test_dnsquery_gives_up_on_a_server_that_says_nothing() -> None:
    async def main(reactor: Any) -> None:
        with datagram_socket("127.0.0.1") as silent:
            settings = DNSQuerySettings(("en.example",), interval_s=0.2, timeout_s=0.2)
            watched = Watched(reactor, settings, silent.getsockname()[1])
            await watched.reported(1)
            watched.monitor.stop()
        assert watched.ups == [False]
        assert "no answer" in watched.reason

    run_in_reactor(main)
