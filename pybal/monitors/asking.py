"""Monitors that ask the server something and judge what comes back."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import TypeVar

from twisted.internet import defer
from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred

from pybal.config.settings import MonitorSettings
from pybal.errors import describe_os_error, is_local_fault
from pybal.model import MetricFamily, MetricSample
from pybal.monitors.base import ReportReceiver
from pybal.monitors.looping import CheckOutcome, LoopingMonitor
from pybal.monitors.target import MonitorPorts, Target
from pybal.net.answer_time import AnswerTime
from pybal.net.port import Channel, UDPEvents
from pybal.runtime.clock import cancel
from pybal.runtime.naming import quoted_bytes

T = TypeVar("T")

SENDINGS = 4
"""How often a question is sent by datagram within the timeout: one lost is no outage."""


def sent_again_s(timeout_s: float) -> tuple[float, ...]:
    """So long after its first sending a question is sent by datagram again. Soon, for an answer
    takes no longer, and in no even time, for a link that flaps would be off each time."""
    return min(0.4, timeout_s / 4), min(1.1, timeout_s / 2), timeout_s * 3 / 4


def request_duration(monitor: str, help_text: str) -> MetricFamily:
    """The metric that an AskingMonitor of this name has."""
    return MetricFamily(_duration_name(monitor), help_text, ("result",))


def _duration_name(monitor: str) -> str:
    return f"pybal_monitor_{monitor.lower()}_request_duration_seconds"


class AskingMonitor(LoopingMonitor):
    """Down when the answer is not good, or none comes within `timeout_s`. The reason says what
    was asked, what came, and after what time."""

    ends_in_time = True  # see _time_out

    def __init__(
        self,
        settings: MonitorSettings,
        target: Target,
        ports: MonitorPorts,
        receiver: ReportReceiver,
    ) -> None:
        super().__init__(settings, target, ports, receiver)
        self._source = settings.source_address
        self._question = ""
        """What is asked, and of whom."""
        self._is_timed_out = False
        self._time: AnswerTime | None = None
        self._so_far = ""
        """What has come of it until now, should no more come."""
        self._durations_s: dict[str, float] = {}
        """The last duration by result."""

    @abstractmethod
    async def _ask(self) -> CheckOutcome:
        """Set `_question` and ask; the outcome's reason is what came. OSError for what the
        network says instead. Cancelled at the timeout."""

    async def _check(self) -> CheckOutcome | None:
        self._so_far = "no answer"
        self._is_timed_out = False
        self._time = time = AnswerTime(self._reactor, self._timeout_s, self._time_out)
        try:
            answer = await self._ask()
        except (defer.CancelledError, defer.TimeoutError) as error:
            if isinstance(error, defer.CancelledError) and not self._is_timed_out:
                raise
            answer = CheckOutcome(False, self._so_far)
        except OSError as error:
            if is_local_fault(error):
                raise
            answer = CheckOutcome(False, describe_os_error(error))
        finally:
            time.end()
            self._time, self._waited_s = None, time.waited_s()
        duration_s = self._duration_s()
        self._durations_s["successful" if answer.up else "failed"] = duration_s
        return CheckOutcome(
            answer.up, f"{self._question}: {answer.reason} after {duration_s:.3f} s"
        )

    def _goes_by(self, channel: Channel) -> None:
        """The answer comes over this one."""
        if self._time is not None:
            self._time.goes_by(channel)

    def _time_out(self) -> None:
        self._is_timed_out = True
        if self._checking is not None:
            self._checking.cancel()
        if self._checking is not None:
            self._limit_check()  # It takes no notice.

    async def _ask_by_datagram(
        self,
        question: bytes,
        read: Callable[[bytes], T | None],
        open_channel: Callable[[UDPEvents], Channel] | None = None,
    ) -> T:
        """Send the question over UDP (or what `open_channel` opens), SENDINGS times within the
        timeout, until `read` makes something of a datagram that came back; what it makes None
        of is passed over."""
        answered: Deferred[T] = Deferred()

        def received(data: bytes) -> None:
            answer = read(data)
            if answer is not None and not answered.called:
                answered.callback(answer)

        def failed(error: OSError) -> None:
            if not answered.called:
                answered.errback(error)

        again: DelayedCall | None = None
        first_s, later_s = self._reactor.seconds(), iter(sent_again_s(self._timeout_s))

        def send() -> None:
            nonlocal again
            if (after_s := next(later_s, None)) is not None:
                due_s = first_s + after_s - self._reactor.seconds()
                again = self._reactor.callLater(max(0.0, due_s), send)
            try:
                channel.send(question)
            except OSError as error:
                failed(error)

        channel = (open_channel or self._connect_udp)(UDPEvents(received, failed))
        self._goes_by(channel)
        try:
            send()
            return await answered
        finally:
            cancel(again)
            channel.close()

    def _connect_udp(self, events: UDPEvents) -> Channel:
        return self._ports.network.connect_udp(
            self._target.address, self._target.port, events, source=self._source
        )

    def _samples(self) -> Iterable[MetricSample]:
        metric = _duration_name(self.name)
        for result, duration_s in self._durations_s.items():
            yield MetricSample(metric, (("result", result),), duration_s)


def shown(data: bytes) -> str:
    """The start of what a server sent, for a reason."""
    return quoted_bytes(data, 60)
