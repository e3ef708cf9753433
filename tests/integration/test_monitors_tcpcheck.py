"""TCPCheck on real sockets."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest
from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import Factory, Protocol

from pybal.linear_regex import Pattern
from pybal.model import CheckResult
from pybal.monitors.tcpcheck import TCPCheckSettings
from tests.integration.reactors import run_in_reactor, sleep
from tests.integration.real_monitors import Watched, descriptors, took_s

pytestmark = pytest.mark.integration

SETTINGS = TCPCheckSettings(
    b"PING\r\n", Pattern(r"^\+PONG\r\n"), interval_s=0.1, timeout_s=0.4, read_bytes=64
)


class Redis(Protocol):
    """Answers the right question, or closes, and notes who asked."""

    def __init__(self, answer: bytes | None, peers: set[str]) -> None:
        self._answer = answer
        self._peers = peers

    def dataReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        self._peers.add(transport.getPeer().host)
        if self._answer is None:
            transport.loseConnection()
        elif data == b"PING\r\n":
            transport.write(self._answer)


def first_result(
    answer: bytes | None, host: str = "127.0.0.1", source: str | None = None
) -> tuple[CheckResult, set[str]]:
    """What TCPCheck first reports of a server, and the addresses that asked it."""

    async def main(reactor: Any) -> tuple[CheckResult, set[str]]:
        peers: set[str] = set()
        factory = Factory.forProtocol(lambda: Redis(answer, peers))
        listening = reactor.listenTCP(0, factory, interface=host)
        settings = replace(SETTINGS, source_address=ip_address(source) if source else None)
        before = descriptors()
        watched = Watched(reactor, settings, listening.getHost().port, host)
        result = await watched.first_result()
        await sleep(reactor, 0.05)
        assert descriptors() <= before
        await maybeDeferred(listening.stopListening)
        return result, peers

    return run_in_reactor(main)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_expected_answer_is_up(host: str) -> None:
    result, peers = first_result(b"+PONG\r\n", host)
    assert result.up
    assert peers == {host}


@pytest.mark.parametrize(
    ("answer", "why", "waits"),
    [
        (b"-LOADING\r\n", "10 bytes received, not what is expected: '-LOADING\\r\\n' after", True),
        (b"", "made, but nothing received after", True),
        (None, "closed, nothing received after", False),
    ],
)
def test_any_other_is_down_with_what_came(answer: bytes | None, why: str, waits: bool) -> None:
    result, _ = first_result(answer)
    assert not result.up
    assert why in result.reason
    assert (took_s(result.reason) >= SETTINGS.timeout_s) is waits


def test_it_comes_from_the_source_address() -> None:
    result, peers = first_result(b"+PONG\r\n", source="127.0.0.99")
    assert result.up
    assert peers == {"127.0.0.99"}


def test_a_source_address_that_is_not_ours_is_our_own_fault() -> None:
    async def main(reactor: Any) -> None:
        settings = TCPCheckSettings(interval_s=0.05, source_address=ip_address("192.0.2.1"))
        watched = Watched(reactor, settings, 1)
        await watched.own_faults(2)
        assert watched.reports == []

    run_in_reactor(main)
