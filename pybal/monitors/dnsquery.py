"""DNSQuery: asks the real server's own name server, never this director's resolver."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from pybal.config.settings import DNSQuerySettings
from pybal.model import MetricSample
from pybal.monitors.base import Report
from pybal.monitors.dnswire import TYPE_A, TYPE_AAAA, Answer, Query, make_query, read_answer
from pybal.monitors.looping import LoopingMonitor, Outcome
from pybal.monitors.network import Channel, TCPEvents, UDPEvents, is_local_fault, words
from pybal.monitors.target import Environment, Target

_SENDINGS = 3
"""How often a question is sent within the timeout: one lost datagram is no outage."""


class DNSQuery(LoopingMonitor):
    """Up when the server answers a random name of the list, A or AAAA at random, with NOERROR
    (records or not) or, unless `fail_on_nxdomain`, with NXDOMAIN.

    Over UDP, and over TCP if that answer is cut short. What is no answer to the question asked
    is passed over.
    """

    def __init__(
        self,
        settings: DNSQuerySettings,
        target: Target,
        environment: Environment,
        report: Report,
    ) -> None:
        super().__init__(settings, target, environment, report)
        self._settings = settings
        self._durations_s: dict[str, float] = {}
        """The last duration by result."""

    async def _check(self) -> Outcome | None:
        source = self._environment.random
        name = source.choice(self._settings.hostnames)
        query = make_query(source.getrandbits(16), name, source.choice((TYPE_A, TYPE_AAAA)))
        exchange = Deferred.fromCoroutine(self._exchange(query))
        exchange.addTimeout(self._settings.timeout_s, self._reactor)
        try:
            answer = await exchange
        except defer.TimeoutError:
            outcome = self._outcome(query, False, "no answer")
        except OSError as error:
            if is_local_fault(error):
                raise
            outcome = self._outcome(query, False, words(error))
        else:
            outcome = self._outcome(query, self._accepts(answer), _said(answer))
        self._durations_s["successful" if outcome.up else "failed"] = max(0.0, self._elapsed_s())
        return outcome

    def _accepts(self, answer: Answer) -> bool:
        if answer.rcode == "NXDOMAIN":
            return not self._settings.fail_on_nxdomain
        return answer.rcode == "NOERROR"

    def _outcome(self, query: Query, up: bool, what: str) -> Outcome:
        text = f"query {query} of {self._target.endpoint}: {what} after {self._elapsed_s():.3f} s"
        return Outcome(up, text)

    async def _exchange(self, query: Query) -> Answer:
        answer = await self._ask_udp(query)
        return await self._ask_tcp(query) if answer.truncated else answer

    async def _ask_udp(self, query: Query) -> Answer:
        answered: Deferred[Answer] = Deferred()

        def received(data: bytes) -> None:
            answer = read_answer(query, data)
            if answer is not None and not answered.called:
                answered.callback(answer)

        def failed(error: OSError | Failure) -> None:
            if not answered.called:
                answered.errback(error)

        channel = self._environment.network.connect_udp(
            self._target.address, self._target.port, UDPEvents(received, failed)
        )
        sending = LoopingCall(channel.send, query.wire)
        sending.clock = self._reactor
        try:
            sending.start(self._settings.timeout_s / _SENDINGS).addErrback(failed)
            return await answered
        finally:
            if sending.running:
                sending.stop()
            channel.close()

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
                closed(OSError("what came over TCP is no answer to the question"))
            else:
                answered.callback(answer)

        def closed(error: OSError | None) -> None:
            if not answered.called:
                answered.errback(error or OSError("TCP connection closed without an answer"))

        channels.append(
            self._environment.network.connect_tcp(
                self._target.address, self._target.port, TCPEvents(connected, received, closed)
            )
        )
        try:
            return await answered
        finally:
            channels[0].close()

    def _samples(self) -> Iterable[MetricSample]:
        for result, duration_s in self._durations_s.items():
            yield MetricSample(
                "pybal_monitor_dnsquery_request_duration_seconds",
                (("result", result),),
                duration_s,
            )


def _said(answer: Answer) -> str:
    if answer.rcode != "NOERROR":
        return answer.rcode
    return f"NOERROR, {answer.records} record{'s' if answer.records != 1 else ''}"
