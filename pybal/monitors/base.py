"""The life of a monitor, whatever it checks: start, results, counters, stop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import ClassVar

from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from pybal.model import CheckResult, MetricSample, MonitorSnapshot
from pybal.monitors.target import Environment, Target

Report = Callable[[CheckResult], None]

_REASON_CHARACTERS = 500


class Monitor(ABC):
    """Checks one real server of one service from start() to stop().

    `report` hears the first result and then every change between up and down; the counters
    count every result. A monitor starts once. After stop() it reports and logs nothing.
    """

    name: ClassVar[str]
    logs_every_failure: ClassVar[bool] = False
    """Whether each result that is down is logged, or only the first of a row."""

    def __init__(self, target: Target, environment: Environment, report: Report) -> None:
        self._target = target
        self._environment = environment
        self._reactor = environment.reactor
        self._report = report
        self._log = Logger(namespace=f"{target.service} {self.name}")
        self._started = False
        self._running = False
        self._up: bool | None = None
        self._since: float | None = None
        self._last: CheckResult | None = None
        self._results = {True: 0, False: 0}
        self._transitions = {True: 0, False: 0}
        self._internal_errors = 0
        self._last_internal_error = ""

    def start(self) -> None:
        """Begin to check. The first result comes later, never from within this call."""
        if self._started:
            raise RuntimeError("a monitor starts once")
        self._started = self._running = True
        self._begin()

    def stop(self) -> None:
        """Cancel what is under way and close what is open, at once. Idempotent."""
        if self._running:
            self._running = False
            self._end()

    def snapshot(self) -> MonitorSnapshot:
        """The monitor as it stands."""
        return MonitorSnapshot(
            name=self.name,
            up=self._up,
            since=self._since,
            last=self._last,
            up_transitions=self._transitions[True],
            down_transitions=self._transitions[False],
            up_results=self._results[True],
            down_results=self._results[False],
            samples=tuple(self._all_samples()),
        )

    @abstractmethod
    def _begin(self) -> None:
        """Arrange for the first check."""

    @abstractmethod
    def _end(self) -> None:
        """Cancel timers and checks, close sockets."""

    def _samples(self) -> Iterable[MetricSample]:
        """The monitor's own metrics."""
        return ()

    def _all_samples(self) -> Iterable[MetricSample]:
        yield from self._samples()
        if self._internal_errors:
            name = "pybal_monitor_internal_errors_total"
            yield MetricSample(name, (), float(self._internal_errors))

    def _conclude(self, *, up: bool, reason: str, duration_s: float) -> None:
        """Take a result: count it, log it, and report it if it is the first or a change.

        The report may stop this monitor: look at `_running` before going on.
        """
        if not self._running:
            return
        result = CheckResult(up, _one_line(reason), max(0.0, duration_s), self._environment.now())
        before, self._up = self._up, up
        self._last = result
        self._results[up] += 1
        if up is not before:
            self._transitions[up] += 1
            self._since = result.at
        self._log_result(result, before)
        if up is not before:
            self._deliver(result)

    def _log_result(self, result: CheckResult, before: bool | None) -> None:
        """What operators read. Of a healthy server's first result there is nothing to say."""
        if result.up:
            if before is False:
                self._log.info(
                    "{server}: up again: {reason}",
                    server=self._target.describe(),
                    reason=result.reason,
                )
        elif self.logs_every_failure or before is not False:
            self._log.warn(
                "{server}: {reason}", server=self._target.describe(), reason=result.reason
            )

    def _deliver(self, result: CheckResult) -> None:
        try:
            self._report(result)
        except Exception:  # noqa: BLE001 - a listener's mistake must not end the checks
            self._internal_error("reporting a result")

    def _internal_error(self, doing: str, failure: Failure | None = None) -> None:
        """Count a failure of our own, which says nothing of the server; without `failure` it is
        the exception being handled. A row of equal ones is logged once."""
        if not self._running:
            return
        failure = failure if failure is not None else Failure()
        self._internal_errors += 1
        text = f"{doing}: {failure.type}: {failure.getErrorMessage()}"
        if text != self._last_internal_error:
            self._last_internal_error = text
            self._log.failure(
                "{server}: internal error while {doing}",
                failure=failure,
                level=LogLevel.error,
                server=self._target.describe(),
                doing=doing,
            )


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _REASON_CHARACTERS else line[: _REASON_CHARACTERS - 1] + "…"
