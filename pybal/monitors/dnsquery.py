"""DNSQuery: asks the real server's own name server, never this director's resolver."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial

from twisted.internet.defer import Deferred

from pybal.config.bad_value import BadValueError
from pybal.config.kinds import BOOLEAN, Kind, some_strings
from pybal.config.monitor_kinds import MonitorKind, Option
from pybal.config.section import SectionReader
from pybal.config.settings import MonitorSettings
from pybal.errors import describe_os_error, is_local_fault
from pybal.monitors.asking import AskingMonitor, request_duration
from pybal.monitors.base import ReportReceiver
from pybal.monitors.dns_wire import TYPE_A, TYPE_AAAA, Answer, Query, make_query, read_answer
from pybal.monitors.looping import CheckOutcome
from pybal.monitors.monitor_type import MonitorType
from pybal.monitors.target import MonitorPorts, Target
from pybal.net.addresses import is_host_name
from pybal.net.port import Channel, TCPEvents
from pybal.runtime.naming import counted

_NEVER_EXISTS = re.compile(r"(^|\.)invalid\.?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DNSQuerySettings(MonitorSettings):
    """Options of DNSQuery. `hostnames` holds at least one name."""

    monitor = "DNSQuery"

    hostnames: tuple[str, ...]
    fail_on_nxdomain: bool = False


class DNSQuery(AskingMonitor):
    """Up when the server answers a random name of the list, A or AAAA at random, with NOERROR
    (records or not) or, unless `fail_on_nxdomain`, with NXDOMAIN.

    Over UDP, and over TCP if that answer is cut short. What is no answer to the question asked
    is passed over.
    """

    def __init__(
        self,
        settings: DNSQuerySettings,
        target: Target,
        ports: MonitorPorts,
        receiver: ReportReceiver,
    ) -> None:
        super().__init__(settings, target, ports, receiver)
        self._settings = settings

    async def _ask(self) -> CheckOutcome:
        source = self._ports.random
        name = source.choice(self._settings.hostnames)
        query = make_query(source.getrandbits(16), name, source.choice((TYPE_A, TYPE_AAAA)))
        self._question = f"query {query} of {self._target.endpoint}"
        answer = await self._ask_by_datagram(query.wire, partial(read_answer, query))
        if answer.truncated:
            self._so_far = "no answer over TCP, one cut short over UDP,"
            try:
                answer = await self._ask_tcp(query)
            except OSError as error:
                if is_local_fault(error):
                    raise
                why = f"one cut short over UDP, and over TCP: {describe_os_error(error)}"
                return CheckOutcome(False, why)
            return CheckOutcome(self._accepts(answer), f"{_said(answer)} over TCP")
        return CheckOutcome(self._accepts(answer), _said(answer))

    def _accepts(self, answer: Answer) -> bool:
        if answer.rcode == "NXDOMAIN":
            return not self._settings.fail_on_nxdomain
        return answer.rcode == "NOERROR"

    async def _ask_tcp(self, query: Query) -> Answer:
        answered: Deferred[Answer] = Deferred()
        buffer = bytearray()
        channels: list[Channel] = []

        def connected() -> None:
            try:
                channels[0].send(len(query.wire).to_bytes(2, "big") + query.wire)
            except OSError as error:
                closed(error)

        def received(data: bytes) -> None:
            # At most one message of 65,535 bytes and what came with its end.
            buffer.extend(data)
            size = int.from_bytes(buffer[:2], "big")
            if len(buffer) < 2 + size or len(buffer) < 2 or answered.called:
                return
            answer = read_answer(query, bytes(buffer[2 : 2 + size]))
            if answer is None:
                closed(OSError("what came is no answer to the question"))
            else:
                answered.callback(answer)

        def closed(error: OSError | None) -> None:
            if not answered.called:
                answered.errback(error or OSError("closed without an answer"))

        channels.append(
            self._ports.network.connect_tcp(
                self._target.address,
                self._target.port,
                TCPEvents(connected, received, closed),
                source=self._source,
            )
        )
        self._goes_by(channels[0])
        try:
            return await answered
        finally:
            channels[0].close()


def _said(answer: Answer) -> str:
    if answer.rcode != "NOERROR":
        return answer.rcode
    return f"NOERROR, {counted(answer.records, 'record')}"


def _host_names(text: str) -> tuple[str, ...]:
    names = some_strings(text)
    for number, name in enumerate(names, start=1):
        if not is_host_name(name):
            raise BadValueError(f"element {number} is not a host name")
    return names


def _check_options(reader: SectionReader, settings: DNSQuerySettings) -> None:
    never = [name for name in settings.hostnames if _NEVER_EXISTS.search(name)]
    if settings.fail_on_nxdomain and never:
        message = f"{never[0]} never exists (RFC 6761): with fail-on-nxdomain its check is down"
        reader.warn("dnsquery.hostnames", message)


MONITOR = MonitorType(
    MonitorKind(
        DNSQuerySettings,
        (
            Option(
                "hostnames",
                "hostnames",
                Kind("a host name, or a list of them", _host_names),
                required=True,
            ),
            Option("fail-on-nxdomain", "fail_on_nxdomain", BOOLEAN),
        ),
        check=_check_options,
    ),
    DNSQuery,
    (request_duration("DNSQuery", "Duration of the last query"),),
)
