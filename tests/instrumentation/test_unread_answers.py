"""Clients that ask for a large answer and do not read it keep nobody out."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import Logger
from twisted.web.http import Request

from pybal.instrumentation.channel import MAX_CONNECTIONS, STUCK_S, BoundedSite
from pybal.instrumentation.responses import Response
from pybal.instrumentation.sending import send
from pybal.instrumentation.site import BoundedRequest
from tests.instrumentation.exchange import Connection

ASK = b"GET /metrics HTTP/1.1\r\nHost: lvs\r\n\r\n"
PIECES = (b"a" * 10, b"b" * 10, b"c" * 10)


class Full(StringTransport):
    """Whose client takes one write, and then no more until the test says so."""

    def write(self, data: bytes) -> None:
        super().write(data)  # type: ignore[no-untyped-call]
        if self.producer is not None:
            self.producer.pauseProducing()


class Site:
    """One that has a large answer alone."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.answers = True
        self.site = BoundedSite(self._answer, BoundedRequest, self.clock, Logger())

    def _answer(self, request: Request) -> None:
        if not self.answers:
            return
        response = Response(HTTPStatus.OK, "text/plain", b"", PIECES)
        send(self.clock, request, response)

    def asked(self) -> Connection:
        connection = Connection(self.site.buildProtocol(None), Full())  # type: ignore[no-untyped-call]
        connection.send(ASK)
        return connection


def test_who_takes_nothing_gives_way_to_a_newcomer() -> None:
    site = Site()
    asked = [site.asked() for _ in range(MAX_CONNECTIONS)]
    site.clock.advance(STUCK_S - 1)
    assert site.site.buildProtocol(None) is None, "that may be a slow link"
    reads: Any = asked[0].transport.producer
    reads.resumeProducing()
    site.clock.advance(1)
    assert site.site.buildProtocol(None) is not None
    assert [each.closed() for each in asked[:3]] == [False, True, False]
    reads.resumeProducing()
    assert b"c" * 10 in asked[0].transport.value()


def test_who_has_taken_all_and_waits_for_its_next_answer_stays() -> None:
    site = Site()
    asked = [site.asked() for _ in range(MAX_CONNECTIONS)]
    for each in asked:
        producer: Any = each.transport.producer
        for _ in PIECES:
            producer.resumeProducing()
    site.answers = False
    for each in asked:
        each.send(ASK)
    site.clock.advance(STUCK_S)
    assert site.site.buildProtocol(None) is None
    assert not any(each.closed() for each in asked)
