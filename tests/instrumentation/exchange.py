"""HTTP exchanges with a site over a transport in memory, from the bytes up."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPResponse
from typing import Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import ILogObserver, LogEvent, Logger, formatEvent
from zope.interface import implementer

from pybal.instrumentation.alert_watch import AlertWatch
from pybal.instrumentation.metrics import process_metrics
from pybal.instrumentation.scrape import GetMetrics
from pybal.instrumentation.site import ControlAccess, StatusPages
from pybal.instrumentation.view import StatusView
from pybal.runtime.time_slices import TimeSlices
from tests.fakes.view import MONITOR_FAMILIES, NOON


@dataclass(frozen=True)
class Answer:
    """What a client got."""

    status: int
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8")


class HeldTurns(TimeSlices):
    """TimeSlices of a reactor that is busy until the test says otherwise."""

    def __init__(self) -> None:
        super().__init__(Clock())
        self.waiting: list[Deferred[None]] = []

    def pause(self) -> Deferred[None]:
        turn: Deferred[None] = Deferred()
        self.waiting.append(turn)
        return turn

    def release(self) -> None:
        """Until nobody waits any more."""
        while self.waiting:
            self.waiting.pop(0).callback(None)


@implementer(ILogObserver)
class LogLines(list[str]):
    """Log lines, level first."""

    def __call__(self, event: LogEvent) -> None:
        self.append(f"{event['log_level'].name}: {formatEvent(event)}")

    def logger(self) -> Logger:
        return Logger(namespace="instrumentation", observer=cast(Any, self))


class Client:
    """Talks to the site of one view; `log` holds what the site logs."""

    def __init__(
        self,
        view: StatusView,
        time_slices: TimeSlices | None = None,
        control: ControlAccess | None = None,
        get_metrics: GetMetrics | None = None,
    ) -> None:
        self.clock = Clock()
        self.log = LogLines()
        slices = self.time_slices = time_slices or TimeSlices(self.clock)
        self.watch = AlertWatch(
            self.clock,
            view,
            time_slices=slices,
            is_local=lambda _: True,
            must_be_local=lambda _: True,
            log=self.log.logger(),
            now=lambda: NOON + self.clock.seconds(),
        )
        self.pages = StatusPages(
            self.clock,
            view,
            self.watch,
            slices,
            self.log.logger(),
            MONITOR_FAMILIES,
            get_metrics or (lambda: succeed(process_metrics()())),
        )
        self.pages.control_socket = "/run/pybal/control.sock"
        self.site = self.pages.site(control)

    def connect(self, transport: StringTransport | None = None) -> Connection:
        return Connection(self.site.buildProtocol(None), transport or StringTransport())

    def get(
        self,
        path: str,
        headers: Mapping[str, str] | tuple[tuple[str, str], ...] = (),
        method: str = "GET",
        body: bytes = b"",
    ) -> Answer:
        """One request on a connection of its own."""
        pairs = [*(headers.items() if isinstance(headers, Mapping) else headers)]
        if body:
            pairs.append(("Content-Length", str(len(body))))
        lines = [f"{method} {path} HTTP/1.1", "Host: lvs", *(f"{k}: {v}" for k, v in pairs)]
        connection = self.connect()
        connection.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        return connection.answer(method)


class Connection:
    """One client's connection."""

    def __init__(self, protocol: Any, transport: StringTransport) -> None:
        self.protocol = protocol
        self.transport = transport
        protocol.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def closed(self) -> bool:
        return self.transport.disconnecting

    def answer(self, method: str = "GET") -> Answer:
        """The first answer of all that has come since the last call; it must be whole."""
        data = self.transport.value()
        self.transport.clear()
        assert data, "nothing was answered"
        return parse(data, method)


def parse(data: bytes, method: str = "GET") -> Answer:
    """Read an answer as Python's own client reads it."""

    class Socket:
        def makefile(self, _mode: str) -> io.BytesIO:
            return io.BytesIO(data)

    response = HTTPResponse(cast(Any, Socket()), method=method)
    response.begin()
    body = response.read()
    return Answer(response.status, response.headers, body)
