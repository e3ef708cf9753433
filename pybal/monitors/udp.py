"""UDP: a datagram each interval; silence is good, unless an answer is expected."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field

from twisted.internet.task import deferLater

from pybal.config.kinds import PATTERN, PAYLOAD, SECONDS_OR_ZERO
from pybal.config.monitor_checks import warn_of_hopeless
from pybal.config.monitor_kinds import MonitorKind, Option
from pybal.config.section import SectionReader
from pybal.config.settings import MonitorSettings
from pybal.errors import describe_os_error, is_local_fault
from pybal.linear_regex import Pattern
from pybal.monitors.asking import AskingMonitor, request_duration, shown
from pybal.monitors.base import ReportReceiver
from pybal.monitors.looping import CheckOutcome
from pybal.monitors.monitor_type import MonitorType
from pybal.monitors.target import MonitorPorts, Target
from pybal.net.port import Channel, UDPEvents

_MOST_DATAGRAM_BYTES = 65507
_DEFAULT_ICMP_TIMEOUT_S = 20.0

_BY_ICMP = frozenset(
    {
        errno.ECONNREFUSED,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.EHOSTDOWN,
        errno.ENONET,
        errno.ENOPROTOOPT,
        errno.EOPNOTSUPP,
        errno.EMSGSIZE,
        errno.EACCES,
        errno.EPROTO,
    }
)
"""What the kernel makes of ICMP errors (icmp(7), ipv6(7))."""


@dataclass(frozen=True, slots=True)
class UDPSettings(MonitorSettings):
    """Options of UDP. `timeout_s` is how long an ICMP error, or the answer, may take to come.
    With `expect` only a datagram that matches it is up."""

    monitor = "UDP"

    timeout_s: float = field(default=1.0, kw_only=True)
    icmp_timeout_s: float = _DEFAULT_ICMP_TIMEOUT_S
    payload: bytes = b""
    expect: Pattern | None = None


class UDP(AskingMonitor):
    """Sends `payload` each interval. Without `expect`: down at once when ICMP reports it
    undeliverable, and until `icmp_timeout_s` has passed since the last such report; otherwise up,
    but never before a datagram has been followed by `timeout_s` (or half the interval) of silence.
    With `expect`: up when one datagram that comes back within `timeout_s` matches."""

    def __init__(
        self, settings: UDPSettings, target: Target, ports: MonitorPorts, receiver: ReportReceiver
    ) -> None:
        super().__init__(settings, target, ports, receiver)
        self._settings = settings
        size = len(settings.payload)
        self._what = f"a datagram of {size} bytes" if size else "an empty datagram"
        self._channel: Channel | None = None
        self._refused_at: float | None = None
        self._refused_why = ""

    def _end(self) -> None:
        super()._end()
        if self._channel is not None:
            self._channel.close()

    async def _check(self) -> CheckOutcome | None:
        if self._settings.expect is None:
            return await self._listen()
        return await super()._check()

    # -- with an answer -------------------------------------------------------------------

    async def _ask(self) -> CheckOutcome:
        self._question = f"{self._what} to {self._target.endpoint}"
        await self._ask_by_datagram(self._settings.payload, self._is_expected)
        return CheckOutcome(True, "the expected answer came")

    def _is_expected(self, data: bytes) -> bool | None:
        expect = self._settings.expect
        if expect is None or expect.search(data):
            return True
        self._so_far = f"not what is expected but {shown(data)}"
        return None

    # -- with silence ---------------------------------------------------------------------

    async def _listen(self) -> CheckOutcome | None:
        try:
            self._send()
        except OSError as error:
            if is_local_fault(error):
                raise
            return CheckOutcome(False, self._note_refusal(error))
        await deferLater(self._reactor, min(self._timeout_s, self._interval_s / 2))
        if self._channel is not None:
            self._channel.catch_up()  # An ICMP error may wait to be read.
        return self._judge_silence()

    def _send(self) -> None:
        kept = self._channel
        try:
            self._connected().send(self._settings.payload)
        except OSError as error:
            if kept is None or error.errno in _BY_ICMP:
                raise
            # This socket will never send again, as it was given up or our address has gone: that is
            # not the server's doing.
            kept.close()
            self._channel = None
            self._connected().send(self._settings.payload)

    def _connected(self) -> Channel:
        if self._channel is None:
            # What comes back is nothing to us: an answer is not asked for.
            self._channel = self._connect_udp(UDPEvents(lambda _: None, self._refused))
        return self._channel

    def _judge_silence(self) -> CheckOutcome | None:
        if self._refused_at is None:
            return CheckOutcome(True, f"no ICMP error from {self._target.endpoint}")
        if self._refused_at >= self._began_at:
            return None  # it was reported when it came
        ago_s = self._reactor.seconds() - self._refused_at
        if ago_s < self._settings.icmp_timeout_s:
            return CheckOutcome(False, f"{self._refused_why}, {ago_s:.1f} s ago")
        return CheckOutcome(True, f"no ICMP error from {self._target.endpoint} for {ago_s:.0f} s")

    def _refused(self, error: OSError) -> None:
        if self._channel is not None:
            self._waited_s = self._channel.waited_s()
        reason = self._note_refusal(error)
        self._conclude(up=False, reason=reason, duration_s=self._duration_s())

    def _note_refusal(self, error: OSError) -> str:
        """Remember it; returns the reason."""
        self._refused_at = self._reactor.seconds()
        self._refused_why = f"{self._what} to {self._target.endpoint}: {describe_os_error(error)}"
        return f"{self._refused_why} after {self._duration_s():.3f} s"


def _check_options(reader: SectionReader, settings: UDPSettings) -> None:
    protocol = reader.text("protocol")
    if settings.port is None and protocol in ("tcp", "sctp"):
        reader.warn(
            "monitors", f"the service is {protocol}: a server without this UDP port is down"
        )
    if settings.expect is not None:
        warn_of_hopeless(reader, "udp.expect", settings.expect, _MOST_DATAGRAM_BYTES)
        if settings.icmp_timeout_s != _DEFAULT_ICMP_TIMEOUT_S:
            reader.warn("udp.icmp-timeout", "no effect with udp.expect")
        if not settings.payload:
            reader.warn("udp.expect", "an empty datagram is hardly answered: set udp.payload")


MONITOR = MonitorType(
    MonitorKind(
        UDPSettings,
        (
            Option("icmp-timeout", "icmp_timeout_s", SECONDS_OR_ZERO),
            Option("payload", "payload", PAYLOAD),
            Option("expect", "expect", PATTERN),
        ),
        check=_check_options,
    ),
    UDP,
    (request_duration("UDP", "Duration of the last check that expected an answer"),),
)
