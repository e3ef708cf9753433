"""Checks at an operator's word: each monitor of a server once, apart from those that run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.defer import TimeoutError as Timeout

from pybal.config.settings import MonitorSettings
from pybal.errors import ControlError, describe_os_error
from pybal.health.local_faults import LocalFaults
from pybal.health.recoveries import Recoveries
from pybal.http.port import HostLookUp
from pybal.model import CheckResult, HealthReport
from pybal.monitors.base import Monitor, ReportReceiver
from pybal.monitors.exchange import Record, Step
from pybal.monitors.recording import RecordingHTTPClient, RecordingNetwork, RecordingProcesses
from pybal.monitors.target import MonitorPorts, Target
from pybal.runtime.files_port import Files

AT_ONCE = 4
"""So many servers are checked by hand at once."""

LONGEST_S = 120.0
_SPARE_S = 2.0

CreateMonitor = Callable[[MonitorSettings, Target, MonitorPorts, ReportReceiver], Monitor]


class HandCheck(NamedTuple):
    """What one monitor found; `up` is None if it came to no result. `exchange` is how."""

    monitor: str
    up: bool | None
    reason: str
    duration_s: float
    exchange: tuple[Step, ...]


class ChecksByHand:
    """Has servers checked. `ports` are those of the monitors that run, of which these checks share
    only what leads outside; `iso` writes a moment in Unix seconds."""

    def __init__(
        self,
        ports: MonitorPorts,
        names: HostLookUp,
        certificates: Files,
        create: CreateMonitor,
        iso: Callable[[float], str],
    ) -> None:
        self._ports = ports
        self._names = names
        self._certificates = certificates
        self._create = create
        self._iso = iso
        self._running = 0

    async def check(
        self, monitors: Sequence[MonitorSettings], target: Target
    ) -> tuple[HandCheck, ...]:
        """One check by each of the monitors, all at once. Raises ControlError if too many run."""
        if self._running >= AT_ONCE:
            text = f"{AT_ONCE} servers are being checked by hand already"
            raise ControlError(text, "Try again in some seconds")
        self._running += 1
        try:
            checks = [Deferred.fromCoroutine(self._check(each, target)) for each in monitors]
            return tuple(await gatherResults(checks, consumeErrors=True))
        finally:
            self._running -= 1

    async def _check(self, settings: MonitorSettings, target: Target) -> HandCheck:
        clock = self._ports.reactor
        record = Record(clock.seconds)
        ended: Deferred[CheckResult | str] = Deferred()
        once = _Once(clock, ended)
        once_settings = replace(settings, rise=1, fall=1)
        target = replace(target, touched=lambda: clock.callLater(0, once.look))
        monitor = self._create(once_settings, target, self._recorded(record, once), once)
        once.watch(monitor)
        limit_s = min(settings.timeout_s + _SPARE_S, LONGEST_S)
        ended.addTimeout(limit_s, clock)
        began_s = clock.seconds()
        monitor.start()
        monitor.check_soon()
        try:
            outcome = await ended
        except Timeout:
            outcome = f"no result within {limit_s:g} s"
        finally:
            monitor.stop()
        steps = record.steps
        if isinstance(outcome, CheckResult):
            reason, taken_s = outcome.reason, outcome.duration_s
            return HandCheck(settings.monitor, outcome.up, reason, taken_s, steps)
        return HandCheck(settings.monitor, None, outcome, clock.seconds() - began_s, steps)

    def _recorded(self, record: Record, once: _Once) -> MonitorPorts:
        ports = self._ports
        clock = ports.reactor
        return MonitorPorts(
            reactor=clock,
            now=ports.now,
            random=ports.random,
            network=RecordingNetwork(ports.network, record),
            processes=RecordingProcesses(ports.processes, record),
            http=RecordingHTTPClient(
                clock, ports.network, self._names, self._certificates, record, self._iso
            ),
            stall_meter=ports.stall_meter,
            recoveries=Recoveries(clock.seconds),
            faults=once,
            commands_at_once=1,
            files=ports.files,
        )


class _Once(LocalFaults):
    """Takes a monitor's first result, or what keeps it from one."""

    def __init__(self, clock: Any, ended: Deferred[CheckResult | str]) -> None:
        self.counts = Counter()
        self._clock = clock
        self._ended = ended
        self._monitor: Monitor | None = None

    def watch(self, monitor: Monitor) -> None:
        """Begin; it tells of changes since its last snapshot."""
        self._monitor = monitor
        monitor.snapshot()

    def receive(self, report: HealthReport) -> None:
        """See ReportReceiver. The monitor is in the middle of telling."""
        self._clock.callLater(0, self._end, report.result)

    def note(self, error: OSError) -> None:
        """See LocalFaults."""
        text = f"it could not be made: this director's own fault: {describe_os_error(error)}"
        self._clock.callLater(0, self._end, text)

    def look(self) -> None:
        """Something of the monitor has changed: has it failed by itself?"""
        samples = () if self._monitor is None else self._monitor.snapshot().samples
        if any(sample.metric == _INTERNAL_ERRORS for sample in samples):
            self._end("the monitor failed by itself: the log has the error")

    def _end(self, outcome: CheckResult | str) -> None:
        if not self._ended.called:
            self._ended.callback(outcome)


_INTERNAL_ERRORS = "pybal_monitor_internal_errors_total"
