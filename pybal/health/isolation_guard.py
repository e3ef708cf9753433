"""The isolation guard: takes the reports of all monitors, applies the rule of isolation.py, probes
servers, and hands on what the rule decides."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from typing import NamedTuple, Protocol

from twisted.logger import Logger

from pybal.config.settings import IsolationSettings
from pybal.health.isolation import (
    PROBE_AGAIN_S,
    RECHECK_WITHIN_S,
    SETTLE_S,
    Action,
    Deliver,
    Isolation,
    Phase,
)
from pybal.health.probe_round import (
    ASKED_FIRST,
    OTHERS_AFTER_S,
    ProbeResult,
    ProbeRound,
    ProbeTarget,
)
from pybal.health.stalls import StallMeter
from pybal.model import HealthReport, IsolationSnapshot
from pybal.net.port import Network
from pybal.runtime.clock import Clock, DelayedCall, cancel
from pybal.runtime.naming import counted
from pybal.runtime.storm_log import StormLog
from pybal.runtime.time_slices import SLICE_S
from pybal.runtime.turn_clock import lately

_CUT_OFF = {Phase.CUT_OFF, Phase.HOLD_EXPIRED}
_NAMED = 5

AT_ONCE = 4
MOMENT_S = 0.05
"""So many times in a moment what comes is acted on at once; what comes then is acted on as one, in
the next turn of the reactor."""


class ReportDelivery(Protocol):
    """Gives each report to the service that it concerns: pool.report_router."""

    def deliver(self, report: HealthReport) -> None:
        """The report counts."""

    def retract(self, report: HealthReport) -> None:
        """A report of down that was delivered no longer counts."""


class IsolationPorts(NamedTuple):
    """What a guard touches outside of itself. `now()` is Unix seconds.

    `probe_targets(avoid, most)` picks servers at random, of different hosts. They were up when last
    heard of and, as far as possible, are on none of the hosts to avoid. `hosts()` counts all
    hosts; `recheck_all(s)` has all monitors that are down check again within so many seconds,
    `recheck(hosts, s)` those of these hosts.
    """

    clock: Clock
    router: ReportDelivery
    now: Callable[[], float]
    network: Network
    stall_meter: StallMeter
    probe_targets: Callable[[set[str], int], Sequence[ProbeTarget]]
    hosts: Callable[[], int]
    recheck_all: Callable[[float], None]
    recheck: Callable[[Collection[str], float], None]
    phase_changed: Callable[[Phase, int], None] = lambda *_: None
    """Told of each new phase, and how many reports are kept, or acted on as the hold expires."""
    together: Callable[[], AbstractContextManager[None]] = nullcontext
    """What is delivered and retracted within it may be acted on as one."""


class IsolationGuard:
    """Delivers and retracts reports as the rule says. Without a rule every report is delivered.
    After stop() it does nothing."""

    def __init__(self, rule: Isolation | None, ports: IsolationPorts, log: Logger) -> None:
        self._rule = rule
        self._ports = ports
        self._lately = lately(ports.clock)
        self._log = log
        self._forgiven = StormLog(ports.clock, log)
        self._timer: DelayedCall | None = None
        self._probe_round: ProbeRound | None = None
        self._first = math.inf
        """How many servers the next round asks first."""
        self._to_do: deque[Action] = deque()
        self._continuing: DelayedCall | None = None
        self._began_at_s = 0.0
        self._at_once = 0
        """How often was acted at once since then."""
        self._since: float | None = None
        self._recovering = False
        self._stopped = False

    def receive(self, report: HealthReport) -> None:
        """A monitor reports; the report is delivered now, later or never."""
        rule = self._rule
        if self._stopped:
            return
        if rule is None:
            self._take_on((Deliver(report),))
            return
        before = rule.phase
        self._tell_of_forgiven(rule.forgiven_by(report))
        hosts = self._ports.hosts() if rule.needs_host_count else 0
        self._do(rule, rule.take(report, hosts, self._lately()), before)
        if rule.phase is Phase.SETTLING and not report.result.up:
            # The check may have begun while the director was cut off.
            self._ports.recheck((report.host,), RECHECK_WITHIN_S)

    def reconfigure(self, settings: IsolationSettings | None) -> None:
        """Other values for the rule; None: it is switched off, and what is kept is delivered."""
        rule = self._rule
        if settings is None:
            self._end_probes()
            self._rule = None
            self._since = None
            if rule is not None:
                self._release_all(rule)
        elif rule is None:
            self._rule = Isolation(settings.threshold, settings.window_s, settings.hold_s)
        else:
            rule.reconfigure(settings.threshold, settings.window_s, settings.hold_s)

    def _release_all(self, rule: Isolation) -> None:
        """Whoever was told that it began is told that it is over."""
        before, kept = rule.phase, rule.kept
        actions = rule.release_all(self._seconds())
        self._recovering = False
        if rule.phase is not before:
            self._ports.phase_changed(rule.phase, rule.kept)
        if kept:
            reports = counted(kept, "report")
            self._log.warn("Isolation is switched off: {reports} acted on", reports=reports)
        self._take_on(actions)

    def stop(self) -> None:
        """Idempotent."""
        self._stopped = True
        self._to_do.clear()
        cancel(self._continuing)
        self._continuing = None
        self._forgiven.stop()
        self._end_probes()

    def _end_probes(self) -> None:
        self._cancel_timer()
        if self._probe_round is not None:
            self._probe_round.stop()
            self._probe_round = None

    def snapshot(self) -> IsolationSnapshot:
        """The rule as it stands."""
        rule = self._rule
        if rule is None:
            return IsolationSnapshot("off")
        return IsolationSnapshot(rule.phase.value, self._since, rule.isolations, rule.kept)

    def _do(self, rule: Isolation, actions: Sequence[Action], before: Phase) -> None:
        """Carry the actions out; `before` is the phase before the rule decided on them."""
        self._take_on(actions)
        if rule.phase is not before:
            self._tell(rule, len(actions))
        self._look_ahead(rule)

    def _take_on(self, actions: Iterable[Action]) -> None:
        """Carry these out after those that wait; the first at once."""
        self._to_do.extend(actions)
        if self._continuing is not None or not self._to_do:
            return
        now_s = self._lately()
        if now_s - self._began_at_s >= MOMENT_S:
            self._began_at_s, self._at_once = now_s, 0
        self._at_once += 1
        if self._at_once > AT_ONCE:
            self._continuing = self._ports.clock.callLater(0, self._go_on)
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Carry actions out in their order, for a time slice; those that come meanwhile are the
        last."""
        self._continuing = None
        # Thousands of reports may be delivered at once; the first of them are to be in the kernel
        # before the last one is handled.
        ends_at_s = self._seconds() + SLICE_S
        with self._ports.together():
            for number in count(1):
                if not self._to_do:
                    return
                # To read the clock may be a system call.
                now_s = self._lately() if number % AT_ONCE else self._seconds()
                if now_s >= ends_at_s:
                    self._continuing = self._ports.clock.callLater(0, self._go_on)
                    return
                self._carry_out(self._to_do.popleft())

    def _carry_out(self, action: Action) -> None:
        report = action.report
        try:
            if isinstance(action, Deliver):
                self._ports.router.deliver(report)
            else:
                self._ports.router.retract(report)
        except Exception:  # noqa: BLE001 - the reports behind it are to be acted on
            self._log.failure(
                "Acting on a report of {host} in {service} failed unexpectedly",
                host=report.host,
                service=report.service,
            )

    def _look_ahead(self, rule: Isolation) -> None:
        """Probe at once if the phase has just begun, else arrange the next tick."""
        phase = rule.phase
        if phase is Phase.NORMAL or self._stopped:
            self._cancel_timer()
        elif phase is Phase.PROBING and self._probe_round is None:
            self._probe(rule)
        elif self._timer is None:
            delay_s = SETTLE_S if phase is Phase.SETTLING else PROBE_AGAIN_S
            if phase is Phase.CONFIRMING:
                delay_s = max(0.0, rule.confirms_at_s - self._seconds())
            self._timer = self._ports.clock.callLater(delay_s, self._tick, rule)

    def _tick(self, rule: Isolation) -> None:
        self._timer = None
        before = rule.phase
        actions = rule.tick(self._seconds())
        if rule.wants_probes and self._probe_round is None:
            self._probe(rule)
        self._do(rule, actions, before)

    def _probe(self, rule: Isolation) -> None:
        targets = self._ports.probe_targets(rule.failing_hosts(), rule.probes)
        ports = self._ports
        self._probe_round = ProbeRound(
            ports.clock, ports.network, ports.stall_meter, targets, rule, self._heard
        )
        self._probe_round.start(self._first)

    def _heard(self, rule: Isolation, result: ProbeResult) -> None:
        self._probe_round = None
        found = result.answers
        is_settled = result.took_s < OTHERS_AFTER_S and not rule.looks_isolated(found)
        self._first = ASKED_FIRST if is_settled else math.inf
        if result.stalled:
            self._probe(rule)
            return
        before = rule.phase
        actions = rule.answers(found, self._lately())
        if rule.phase is not before and _CUT_OFF & {before, rule.phase}:
            self._log.info(
                # The round ends once the verdict is certain, so more servers may be up.
                "Of the {asked} servers that were asked, at least {answered} answered",
                asked=found.answered + found.silent,
                answered=found.answered,
            )
        self._do(rule, actions, before)

    def _tell(self, rule: Isolation, acted_on: int) -> None:
        phase = rule.phase
        kept = acted_on if phase is Phase.HOLD_EXPIRED else rule.kept
        self._cancel_timer()
        self._ports.phase_changed(phase, kept)
        if phase is Phase.CONFIRMING:
            self._ports.recheck(*rule.to_confirm(self._seconds()))
        elif phase is Phase.CUT_OFF:
            self._since = self._ports.now()
            self._log.critical(
                "This director is cut off: no server answers. All pools are held as they are"
                " until one does. Failures that are kept: {kept}, such as {failures}",
                kept=kept,
                failures="; ".join(map(_failure, rule.failures(_NAMED))),
            )
        elif phase is Phase.HOLD_EXPIRED:
            self._since = None
            self._recovering = True
            reports = counted(kept, "report")
            self._log.critical("Still cut off: {reports} acted on after all", reports=reports)
        elif phase is Phase.SETTLING:
            self._since = None
            self._recovering = True
            self._log.warn(
                "Servers answer again: {kept} to be checked anew before they count",
                kept=counted(kept, "failure"),
            )
            self._ports.recheck_all(RECHECK_WITHIN_S)
        elif phase is Phase.NORMAL and self._recovering:
            self._recovering = False
            self._log.info("No longer cut off")

    def _tell_of_forgiven(self, failure: HealthReport | None) -> None:
        """It has no line of its own, as what counts has."""
        if failure is None:
            return
        if self._forgiven.has_room:
            text = f"{_failure(failure)}; it does not count, as the server answers again"
            self._forgiven.line("warn", text)
        else:
            what = "failures that do not count, as the servers answer again"
            self._forgiven.count("warn", what, failure.host)

    def _seconds(self) -> float:
        return self._ports.clock.seconds()

    def _cancel_timer(self) -> None:
        cancel(self._timer)
        self._timer = None


def _failure(report: HealthReport) -> str:
    return f"{report.monitor} of {report.host} ({report.service}) failed: {report.result.reason}"
