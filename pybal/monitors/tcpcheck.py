"""TCPCheck: connects, may send something, and may expect something back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred

from pybal.config.kinds import PATTERN, PAYLOAD, integer
from pybal.config.monitor_checks import warn_of_hopeless
from pybal.config.monitor_kinds import MonitorKind, Option
from pybal.config.section import SectionReader
from pybal.config.settings import MonitorSettings
from pybal.linear_regex import Pattern
from pybal.monitors.asking import AskingMonitor, request_duration, shown
from pybal.monitors.base import ReportReceiver
from pybal.monitors.looping import CheckOutcome
from pybal.monitors.monitor_type import MonitorType
from pybal.monitors.target import MonitorPorts, Target
from pybal.net.port import Channel, TCPEvents

_KEPT_BYTES = 100
_MOST_READ_BYTES = 65536
_DEFAULT_READ_BYTES = 4096


@dataclass(frozen=True, slots=True)
class TCPCheckSettings(MonitorSettings):
    """Options of TCPCheck: what to send, and what to find in the first `read_bytes` that the
    server sends; without `expect` a connection is enough."""

    monitor = "TCPCheck"
    checks_by_tcp = True

    send: bytes = b""
    expect: Pattern | None = None
    read_bytes: int = _DEFAULT_READ_BYTES


class TCPCheck(AskingMonitor):
    """Up when a connection was made, `send` was sent and then, if something is expected, `expect`
    was found within the first `read_bytes` of what the server sent. A `$` in it is the end of
    the connection."""

    def __init__(
        self,
        settings: TCPCheckSettings,
        target: Target,
        ports: MonitorPorts,
        receiver: ReportReceiver,
    ) -> None:
        super().__init__(settings, target, ports, receiver)
        self._settings = settings
        self._question = f"connection to {self._target.endpoint}"

    async def _ask(self) -> CheckOutcome:
        self._so_far = "not made"
        exchange = _Exchange(self._settings, self._progress)
        exchange.channel = self._ports.network.connect_tcp(
            self._target.address,
            self._target.port,
            TCPEvents(exchange.connected, exchange.received, exchange.closed),
            source=self._source,
        )
        self._goes_by(exchange.channel)
        try:
            return await exchange.outcome
        finally:
            exchange.channel.close()
            del exchange.channel  # it keeps the exchange: together they would stay as garbage

    def _progress(self, so_far: str) -> None:
        self._so_far = so_far


class _Exchange:
    """One connection, whose `outcome` fires once."""

    channel: Channel

    def __init__(self, settings: TCPCheckSettings, progress: Callable[[str], None]) -> None:
        self.outcome: Deferred[CheckOutcome] = Deferred()
        self._settings = settings
        self._search = None if settings.expect is None else settings.expect.begin()
        self._progress = progress
        self._start = b""
        self._count = 0

    def connected(self) -> None:
        """See TCPEvents."""
        try:
            if self._settings.send:
                self.channel.send(self._settings.send)
        except OSError as error:
            self.closed(error)
            return
        self._progress("made, but nothing received")
        if self._search is None:
            self._end(CheckOutcome(True, "made"))

    def received(self, data: bytes) -> None:
        """See TCPEvents."""
        data = data[: self._settings.read_bytes - self._count]
        self._count += len(data)
        self._start = (self._start + data)[:_KEPT_BYTES]
        if self._search is None or self._search.feed(data):
            self._end(CheckOutcome(True, "the expected answer came"))
        elif self._count >= self._settings.read_bytes:
            self._end(CheckOutcome(False, self._unexpected()))
        else:
            self._progress(self._unexpected())

    def closed(self, error: OSError | None) -> None:
        """See TCPEvents."""
        if error is not None and not self._count:
            if not self.outcome.called:
                self.outcome.errback(error)
        elif self._search is not None and self._search.end():
            self._end(CheckOutcome(True, "the expected answer came"))
        else:
            self._end(CheckOutcome(False, f"closed, {self._unexpected()}"))

    def _unexpected(self) -> str:
        if not self._count:
            return "nothing received"
        return f"{self._count} bytes received, not what is expected: {shown(self._start)}"

    def _end(self, outcome: CheckOutcome) -> None:
        if not self.outcome.called:
            self.outcome.callback(outcome)


def _check_options(reader: SectionReader, settings: TCPCheckSettings) -> None:
    if settings.expect is None:
        if settings.read_bytes != _DEFAULT_READ_BYTES:
            reader.warn("tcpcheck.read-bytes", "no effect without tcpcheck.expect")
        return
    warn_of_hopeless(reader, "tcpcheck.expect", settings.expect, settings.read_bytes)


MONITOR = MonitorType(
    MonitorKind(
        TCPCheckSettings,
        (
            Option("send", "send", PAYLOAD),
            Option("expect", "expect", PATTERN),
            Option("read-bytes", "read_bytes", integer(1, _MOST_READ_BYTES)),
        ),
        check=_check_options,
    ),
    TCPCheck,
    (request_duration("TCPCheck", "Duration of the last check"),),
)
