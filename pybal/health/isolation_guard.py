"""The isolation guard: takes the reports of all monitors, applies the rule of isolation.py, probes
servers, and hands on what the rule decides."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from twisted.logger import Logger

from pybal.errors import is_local_fault
from pybal.health.isolation import (
    PROBE_AGAIN_S,
    PROBE_S,
    RECHECK_WITHIN_S,
    SETTLE_S,
    Action,
    Deliver,
    Isolation,
    Phase,
)
from pybal.health.stalls import StallMeter
from pybal.model import HealthReport, IPAddress, IsolationSnapshot
from pybal.net.port import Channel, Network, TCPEvents
from pybal.runtime.clock import Clock, DelayedCall

SLICE_S = 0.01
"""Time slice of one turn of the reactor. Thousands of reports may be delivered at once; the first
of them are to be in the kernel before the last one is handled."""


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """A server that can be probed: by a TCP connection, which is closed at once."""

    host: str
    address: IPAddress
    port: int
    source: IPAddress | None = None
    """The source address; None: the kernel chooses one."""


class ReportDelivery(Protocol):
    """Gives each report to the service that it concerns; pool.service.ReportRouter does."""

    def deliver(self, report: HealthReport) -> None:
        """The report counts."""

    def retract(self, report: HealthReport) -> None:
        """A report of down that was delivered no longer counts."""


@dataclass(frozen=True, slots=True)
class IsolationPorts:
    """What a guard touches outside of itself. `now()` is Unix seconds.

    `probe_targets(avoid)` picks servers at random, of different hosts. They were up when last
    heard of and, as far as possible, are on none of the hosts to avoid. `hosts()` counts all
    hosts; `recheck_all(s)` has all monitors that are down check again within so many seconds.
    """

    clock: Clock
    router: ReportDelivery
    now: Callable[[], float]
    network: Network
    stall_meter: StallMeter
    probe_targets: Callable[[set[str]], Sequence[ProbeTarget]]
    hosts: Callable[[], int]
    recheck_all: Callable[[float], None]


class Unguarded:
    """Stands in for the guard where isolation is switched off: every report is delivered."""

    def __init__(self, router: ReportDelivery) -> None:
        self._router = router

    def receive(self, report: HealthReport) -> None:
        """See IsolationGuard."""
        self._router.deliver(report)

    def stop(self) -> None:
        """Nothing to end."""

    def snapshot(self) -> IsolationSnapshot:
        """See IsolationGuard."""
        return IsolationSnapshot("off")


class IsolationGuard:
    """Delivers and retracts reports as the rule says. After stop() it does nothing."""

    def __init__(self, rule: Isolation, ports: IsolationPorts, log: Logger) -> None:
        self._rule = rule
        self._ports = ports
        self._log = log
        self._timer: DelayedCall | None = None
        self._probe_round: _ProbeRound | None = None
        self._to_do: deque[Action] = deque()
        self._continuing: DelayedCall | None = None
        self._since: float | None = None
        self._recovering = False
        self._stopped = False

    def receive(self, report: HealthReport) -> None:
        """A monitor reports; the report is delivered now, later or never."""
        if not self._stopped:
            before = self._rule.phase
            hosts = self._ports.hosts() if self._rule.needs_host_count else 0
            self._do(self._rule.take(report, hosts, self._seconds()), before)

    def stop(self) -> None:
        """Idempotent."""
        self._stopped = True
        self._cancel_timer()
        self._to_do.clear()
        if self._continuing is not None:
            self._continuing.cancel()
            self._continuing = None
        if self._probe_round is not None:
            self._probe_round.stop()
            self._probe_round = None

    def snapshot(self) -> IsolationSnapshot:
        """The rule as it stands."""
        return IsolationSnapshot(
            self._rule.phase.value, self._since, self._rule.isolations, self._rule.kept
        )

    def _do(self, actions: Iterable[Action], before: Phase) -> None:
        """Carry the actions out; `before` is the phase before the rule decided on them."""
        self._to_do.extend(actions)
        if self._continuing is None:
            self._go_on()
        if self._rule.phase is not before:
            self._tell()
        self._look_ahead()

    def _go_on(self) -> None:
        """Carry actions out in their order, for a time slice; those that come meanwhile are the
        last."""
        self._continuing = None
        ends_at_s = self._seconds() + SLICE_S
        while self._to_do:
            if self._seconds() >= ends_at_s:
                self._continuing = self._ports.clock.callLater(0, self._go_on)
                return
            self._carry_out(self._to_do.popleft())

    def _carry_out(self, action: Action) -> None:
        if isinstance(action, Deliver):
            self._ports.router.deliver(action.report)
        else:
            self._ports.router.retract(action.report)

    def _look_ahead(self) -> None:
        """Probe at once if the phase has just begun, else arrange the next tick."""
        phase = self._rule.phase
        if phase is Phase.NORMAL or self._stopped:
            self._cancel_timer()
        elif phase is Phase.PROBING and self._probe_round is None:
            self._probe()
        elif self._timer is None:
            delay_s = SETTLE_S if phase is Phase.SETTLING else PROBE_AGAIN_S
            self._timer = self._ports.clock.callLater(delay_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        before = self._rule.phase
        actions = self._rule.tick(self._seconds())
        if self._rule.wants_probes and self._probe_round is None:
            self._probe()
        self._do(actions, before)

    def _probe(self) -> None:
        probe_targets = self._ports.probe_targets(self._rule.failing_hosts())
        self._probe_round = _ProbeRound(
            self._ports, probe_targets, self._rule.threshold, self._heard
        )
        self._probe_round.start()

    def _heard(self, answered: int, silent: int, stalled: bool) -> None:
        self._probe_round = None
        if stalled:
            self._probe()
            return
        before = self._rule.phase
        if before in (Phase.PROBING, Phase.CUT_OFF):
            self._log.info(
                # The round ends once the verdict is certain, so more servers may be up.
                "Of the {asked} servers that were asked, at least {answered} answered",
                asked=answered + silent,
                answered=answered,
            )
        self._do(self._rule.answers(answered, silent, self._seconds()), before)

    def _tell(self) -> None:
        phase, kept = self._rule.phase, self._rule.kept
        self._cancel_timer()
        if phase is Phase.CUT_OFF:
            self._since = self._ports.now()
            self._log.critical(
                "This director is cut off: servers everywhere do not answer. All pools are held "
                "as they are until they do"
            )
        elif phase is Phase.HOLD_EXPIRED:
            self._since = None
            self._log.critical("Still cut off: {kept} reports are acted on after all", kept=kept)
        elif phase is Phase.SETTLING:
            self._since = None
            self._recovering = True
            self._log.warn(
                "Servers answer again: {kept} failures are checked anew before they count",
                kept=kept,
            )
            self._ports.recheck_all(RECHECK_WITHIN_S)
        elif phase is Phase.NORMAL and self._recovering:
            self._recovering = False
            self._log.info("No longer cut off")

    def _seconds(self) -> float:
        return self._ports.clock.seconds()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _ProbeRound:
    """Probes all targets at once. Calls `done(answered, silent, stalled)` once the verdict is
    certain, or after PROBE_S, but never from within start()."""

    def __init__(
        self,
        ports: IsolationPorts,
        probe_targets: Sequence[ProbeTarget],
        threshold: Fraction,
        done: Callable[[int, int, bool], None],
    ) -> None:
        self._ports = ports
        self._probe_targets = probe_targets
        self._threshold = threshold
        self._done = done
        self._open: dict[ProbeTarget, Channel] = {}
        self._answered = self._silent = 0
        self._mark = ports.stall_meter.mark()
        self._timer: DelayedCall | None = None

    def start(self) -> None:
        for probe_target in self._probe_targets:
            self._connect(probe_target)
        self._timer = self._ports.clock.callLater(PROBE_S if self._open else 0, self._end)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for channel in self._open.values():
            channel.close()
        self._open.clear()

    def _connect(self, probe_target: ProbeTarget) -> None:
        events = TCPEvents(
            connected=lambda: self._count(probe_target, answered=True),
            received=lambda _: None,
            # A refusal is an answer, too.
            closed=lambda error: self._count(
                probe_target, answered=error is None or isinstance(error, ConnectionError)
            ),
        )
        try:
            channel = self._ports.network.connect_tcp(
                probe_target.address, probe_target.port, events, source=probe_target.source
            )
        except OSError as error:
            # A local fault says nothing about the server.
            self._silent += not is_local_fault(error)
        else:
            self._open[probe_target] = channel

    def _count(self, probe_target: ProbeTarget, *, answered: bool) -> None:
        channel = self._open.pop(probe_target)
        channel.close()
        self._answered += answered
        self._silent += not answered
        asked = self._answered + self._silent + len(self._open)
        limit = asked * self._threshold
        if self._silent + len(self._open) <= limit or self._silent > limit:
            self._end()

    def _end(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        silent = self._silent + len(self._open)
        stalled = bool(silent) and self._ports.stall_meter.stalled(self._mark)
        self.stop()
        self._done(self._answered, silent, stalled)
