"""The life of a monitor, whatever it checks: start, results, counters, stop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar, Protocol

from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from pybal.config.settings import MonitorSettings
from pybal.errors import is_local_fault
from pybal.model import CheckResult, HealthReport, MetricSample, MonitorSnapshot
from pybal.monitors.first_checks import NO_TURN, Turn
from pybal.monitors.former import Former, key_of
from pybal.monitors.target import MonitorPorts, Target
from pybal.runtime.backoff import doubling_s

AGAIN_WITHIN_S = 1.0
"""A check whose result was discarded is repeated within this time."""

_BEGIN_AGAIN_S = 5.0
_BEGIN_AGAIN_MAX_S = 300.0

MISTAKES = (Exception, SystemExit)
"""What a plug-in may raise by mistake: sys.exit() would end whatever runs it, too."""

_REASON_CHARACTERS = 500


class ReportReceiver(Protocol):
    """Takes the reports of all monitors: health.isolation_guard.IsolationGuard."""

    def receive(self, report: HealthReport) -> None:
        """A first result, or a change of state."""


class Monitor(ABC):
    """Checks one real server of one service from start() to stop().

    `receiver` gets a report of every change of the state. The state is unknown at first, and up
    or down after `rise` or `fall` equal results in a row; the counters count every result. A
    monitor starts once. After stop() it reports nothing, and logs at most the result whose report
    stopped it.
    """

    # There are thousands, and a dict of more than 30 attributes shares no keys with the others.
    __slots__ = (
        "_discarded",
        "_in_a_row",
        "_internal_errors",
        "_key",
        "_last",
        "_last_internal_error",
        "_log",
        "_mark",
        "_needed",
        "_ports",
        "_reactor",
        "_receiver",
        "_results",
        "_results_log",
        "_running",
        "_since",
        "_slot",
        "_snapshot",
        "_started",
        "_target",
        "_transitions",
        "_turn",
        "_up",
        "name",
    )

    logs_every_failure: ClassVar[bool] = False
    """Whether each result that is down is logged, or only the first of a row."""

    def __init__(
        self,
        settings: MonitorSettings,
        target: Target,
        ports: MonitorPorts,
        receiver: ReportReceiver,
    ) -> None:
        self.name = settings.monitor
        self._needed = settings.fall, settings.rise
        """This and the next counts are for down and up, in this order."""
        self._target = target if settings.port is None else replace(target, port=settings.port)
        self._ports = ports
        self._reactor = ports.reactor
        self._receiver = receiver
        self._log = Logger(namespace=f"{target.service} {self.name}")
        self._results_log = ports.logs.of(f"{target.service} {self.name}")
        self._started = False
        self._running = False
        self._up: bool | None = None
        self._since: float | None = None
        self._last: CheckResult | None = None
        self._in_a_row = 0
        self._results = [0, 0]
        self._transitions = [0, 0]
        self._mark = ports.stall_meter.mark()
        """When the check began whose result comes next."""
        self._discarded = 0
        self._internal_errors = 0
        self._last_internal_error = ""
        self._key = self._key_for(settings) if ports.memory is not None else ""
        self._slot: int | None = None
        self._turn = NO_TURN
        """For the first check."""
        self._snapshot: MonitorSnapshot | None = None
        """The last one, while nothing has changed since: most monitors are silent for hours."""

    def start(self) -> None:
        """Begin to check. The first result comes later, never from within this call."""
        if self._started:
            raise RuntimeError("a monitor starts once")
        self._started = self._running = True
        try:
            former = self._recall()
            if former is None or not self._take_up(former):
                self._begin()
        except MISTAKES:
            self._begin_later()

    def stop(self) -> None:
        """Cancel what is under way and close what is open, at once. Idempotent."""
        if self._running:
            self._running = False
            self._turn.cancel()
            self._ports.recoveries.forget(self._target.host, self)
            if self._ports.memory is not None:
                self._ports.memory.free(self._slot)
            self._end_safely()

    def _end_safely(self) -> None:
        try:
            self._end()
        except MISTAKES:
            self._say_internal_error("stopping", Failure())

    def check_soon(self) -> None:
        """Make the first check now, as far as others do not."""
        if self._running and not self._turn.waits:
            self._await_turn(partial(self._expedite_safely, 0.0))

    def _await_turn(self, begin: Callable[[], None]) -> None:
        """Have this called when it may make a first check, unless stopped by then."""
        begin_safely = partial(self._begin_in_turn, begin)
        self._turn = self._ports.first_checks.turn(self._target.host, begin_safely)

    def _begin_in_turn(self, begin: Callable[[], None]) -> None:
        self._turn = NO_TURN
        try:
            begin()
        except MISTAKES:
            self._begin_later()

    def _begin_later(self) -> None:
        """It could not, by the exception that is being handled. Nobody else would try again."""
        self._internal_error("starting")
        if self._running:
            self._end_safely()
            # Not by a runtime.retry.Retry: it waits in place of the turn, which stop() cancels.
            delay_s = doubling_s(self._internal_errors - 1, _BEGIN_AGAIN_S, _BEGIN_AGAIN_MAX_S)
            again = self._reactor.callLater(delay_s, lambda: self._turn.take())
            self._turn = Turn(partial(self._begin_in_turn, self._begin), again.cancel)

    def snapshot(self) -> MonitorSnapshot:
        """The monitor as it stands; the very same object until something changes."""
        if self._snapshot is None:
            self._snapshot = self._new_snapshot()
        return self._snapshot

    def _touched(self) -> None:
        """A counter or sample has changed, not by _conclude()."""
        if self._snapshot is not None:
            self._snapshot = None
            self._target.touched()

    def _new_snapshot(self) -> MonitorSnapshot:
        return MonitorSnapshot(
            name=self.name,
            up=self._up,
            since=self._since,
            last=self._last,
            in_a_row=self._in_a_row,
            rise=self._needed[True],
            fall=self._needed[False],
            up_transitions=self._transitions[True],
            down_transitions=self._transitions[False],
            up_results=self._results[True],
            down_results=self._results[False],
            samples=tuple(self._all_samples()),
        )

    def _key_for(self, settings: MonitorSettings) -> str:
        target = self._target
        return key_of(target.service, target.host, target.address, target.port, settings)

    def _recall(self) -> Former | None:
        """What the process before us knew of this server is known again, and reported soon."""
        memory = self._ports.memory
        former = memory.former(self._key) if memory is not None else None
        if former is not None:
            self._up, self._since, self._last = former.up, former.since, former.last
            self._in_a_row = former.in_a_row
            self._results[former.last.up] = former.in_a_row
            if not former.last.up:
                self._ports.recoveries.is_down(self._target.host, self, self._expedite_safely)
            self._remember()
            self._reactor.callLater(0, self._report_former, former)
        return former

    def _report_former(self, former: Former) -> None:
        if self._running and self._up is former.up:
            self._report(replace(former.last, up=former.up))

    def _take_up(self, former: Former) -> bool:  # noqa: ARG002 - for those who can
        """In place of `_begin()`: where the process before us has been; False if that cannot be."""
        return False

    def _kept_connection(self) -> tuple[int, float]:
        """The number of the connection that stands, and since when; 0 without one."""
        return 0, 0.0

    def _remember(self) -> None:
        """For the next process."""
        memory = self._ports.memory
        if memory is not None and None not in (self._up, self._since, self._last):
            state = Former(
                bool(self._up), self._since or 0.0, self._last, self._in_a_row,  # type: ignore[arg-type]
                *self._kept_connection(),
            )  # fmt: skip
            self._slot = memory.write(self._slot, self._key, state)

    @abstractmethod
    def _begin(self) -> None:
        """Arrange for the first check."""

    @abstractmethod
    def _end(self) -> None:
        """Cancel timers and checks, close sockets."""

    @abstractmethod
    def _expedite(self, within_s: float) -> None:
        """Make the next check at a random moment within this time, if it was due later."""

    def _expedite_safely(self, within_s: float) -> None:
        try:
            self._expedite(within_s)
        except MISTAKES:
            self._internal_error("making a check sooner")

    def _samples(self) -> Iterable[MetricSample]:
        """The monitor's own metrics."""
        return ()

    def _own_samples(self) -> Sequence[MetricSample]:
        """As snapshot() is the view of all servers, a plug-in's mistake in here must not fail it,
        nor what is made of it."""
        try:
            samples = tuple(self._samples())
            for each in samples:
                _check_sample(each)
        except MISTAKES:
            self._internal_error("telling its metrics")
            return ()
        return samples

    def _all_samples(self) -> Iterable[MetricSample]:
        yield from self._own_samples()
        for name, count in (
            ("pybal_monitor_internal_errors_total", self._internal_errors),
            ("pybal_monitor_discarded_results_total", self._discarded),
        ):
            if count:
                yield MetricSample(name, (), float(count))

    def _conclude(self, *, up: bool, reason: str, duration_s: float) -> None:
        """Take a result: count it, report it if it changes the state, and log it.

        A failure is discarded if this process was stalled during the check: the check is repeated
        soon. The report may stop this monitor: look at `_running` before going on.
        """
        if not self._running:
            return
        self._touched()
        if not up and self._ports.stall_meter.stalled(self._mark):
            self._discarded += 1
            self._expedite_safely(AGAIN_WITHIN_S)
            return
        self._post(up=up)
        result = CheckResult(up, _one_line(reason), max(0.0, duration_s), self._ports.now())
        is_first_of_row = self._last is None or self._last.up is not up
        self._in_a_row = 1 if is_first_of_row else self._in_a_row + 1
        self._last = result
        self._results[up] += 1
        changed = up is not self._up and self._in_a_row >= self._needed[up]
        # What is reported as down the pool's log tells, with its reason: one line for one failure.
        is_told = changed and not up and not self._target.is_trial
        is_news = is_first_of_row or changed or (self.logs_every_failure and not up)
        # A server that was never down needs no line.
        is_said = is_news and not is_told and (not up or self._results[False] > 0)
        # Described as it was when checked. The report comes first: the kernel must not wait for
        # our log.
        server = self._target.describe() if is_said and self._results_log.has_room else ""
        if changed:
            self._up, self._since = up, result.at
            self._transitions[up] += 1
            self._report(result)
        if is_first_of_row or changed:
            self._remember()
        if is_said:
            self._log_result(server, result)

    def _post(self, *, up: bool) -> None:
        """Tell the other monitors of this host if it recovered, else wait to be told."""
        recoveries, host = self._ports.recoveries, self._target.host
        if not up:
            recoveries.is_down(host, self, self._expedite_safely)
        elif self._last is not None and not self._last.up:
            recoveries.came_up(host, self)

    def _log_result(self, server: str, result: CheckResult) -> None:
        """A line for operators; one without a server is counted."""
        level, what = ("info", "up again") if result.up else ("warn", "failed")
        if not server:
            self._results_log.count(level, what, self._target.host)
            return
        needed = self._needed[result.up]
        run = f" ({self._in_a_row} in a row, {needed} needed)" if self._in_a_row < needed else ""
        again = "up again: " if result.up else ""
        self._results_log.line(level, f"{server}: {again}{result.reason}{run}")

    def _report(self, result: CheckResult) -> None:
        target = self._target
        try:
            self._receiver.receive(
                HealthReport(target.service, target.host, self.name, result, target.incarnation)
            )
        except Exception:  # noqa: BLE001 - a receiver's mistake must not end the checks
            self._internal_error("reporting a result")

    def _internal_error(self, doing: str, failure: Failure | None = None) -> None:
        """Count a failure of our own, which says nothing of the server; without `failure` it is
        the exception being handled. A row of equal ones is logged once."""
        if not self._running:
            return
        failure = failure if failure is not None else Failure()
        self._touched()
        self._internal_errors += 1
        if isinstance(failure.value, OSError) and is_local_fault(failure.value):
            self._ports.faults.note(failure.value)
            return
        self._say_internal_error(doing, failure)

    def _say_internal_error(self, doing: str, failure: Failure) -> None:
        text = f"{doing}: {failure.type}: {failure.getErrorMessage():.{_REASON_CHARACTERS}}"
        if text != self._last_internal_error:
            self._last_internal_error = text
            self._log.failure(
                "{server}: internal error while {doing}",
                failure=failure,
                level=LogLevel.error,
                server=self._target.describe(),
                doing=doing,
            )


def _check_sample(sample: MetricSample) -> None:
    words = (sample.metric, *(word for pair in sample.labels for word in pair))
    if not isinstance(sample.value, float | int) or not all(isinstance(w, str) for w in words):
        raise TypeError(f"no sample of a metric: {sample!r:.200}")


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _REASON_CHARACTERS else line[: _REASON_CHARACTERS - 1] + "…"
