"""Monitors that check again and again at an interval."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, NamedTuple

from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred

from pybal.config.settings import MonitorSettings
from pybal.monitors.base import MISTAKES, Monitor, ReportReceiver
from pybal.monitors.target import MonitorPorts, Target
from pybal.runtime.clock import cancel
from pybal.runtime.coalescing import coalesced


class CheckOutcome(NamedTuple):
    """What a check found out. `reason` is one line."""

    up: bool
    reason: str


LATE_S = 1.0
"""A check that comes later than this does so because we slept, as did the others that were due:
they begin anew, spread over the interval, lest all be made at once."""


OVERDUE_TIMEOUTS = 6
"""A check that has taken so many times its timeout has failed, whatever it waits for."""


class LoopingMonitor(Monitor):
    """Runs `_check()` as soon as its turn comes among all that begin, and then every `interval_s`,
    from a place of its own in the next interval on, moved by less than a step once, to those of
    others (pybal/runtime/coalescing.py).

    A check never overlaps itself: one that outlasts the interval skips the beats it missed. One
    that takes OVERDUE_TIMEOUTS counts as failed and is cancelled; one that takes no notice of that
    counts as failed again every `interval_s`.
    An exception in a check is logged and counted, gives no result, and the loop goes on.
    """

    logs_every_failure = True
    begins_at_once: ClassVar[bool] = True
    """False: the first check comes at the place in the first interval, as checks are dear."""
    ends_in_time: ClassVar[bool] = False
    """True: its checks need nobody who ends them, however long they may have to wait for us."""

    def __init__(
        self,
        settings: MonitorSettings,
        target: Target,
        ports: MonitorPorts,
        receiver: ReportReceiver,
    ) -> None:
        super().__init__(settings, target, ports, receiver)
        self._interval_s = settings.interval_s
        self._timeout_s = settings.timeout_s
        self._timer: DelayedCall | None = None
        self._checking: Deferred[None] | None = None
        self._limit: DelayedCall | None = None
        self._is_overdue = False
        """Whether the check, which may still be under way, has been counted as failed."""
        self._is_first = False
        """While the check is under way that was made to know soon: the next begins the beat."""
        self._began_at = 0.0
        self._waited_s = 0.0
        """How long what came for the last check, or the one under way, waited for its turn."""
        self._due_at = 0.0
        self._expedited_within_s: float | None = None
        """Set within a check: how soon the next one is to come."""

    @abstractmethod
    async def _check(self) -> CheckOutcome | None:
        """Check once; None is no opinion. Cancelled on stop."""

    def _begin(self) -> None:
        # Who is known already, from the process before us, has time.
        if self.begins_at_once and self._up is None:
            self._await_turn(self._check_first)
        else:
            self._wake_in(self._ports.spread.within(self._interval_s))

    def _check_first(self) -> None:
        self._is_first = True
        self._begin_check()

    def _end(self) -> None:
        cancel(self._timer)
        self._timer = None
        self._end_limit()
        if self._checking is not None:
            self._checking.cancel()

    def _expedite(self, within_s: float) -> None:
        if self._turn.waits:
            return
        if self._timer is None:
            self._expedited_within_s = within_s
        elif self._timer.getTime() - self._reactor.seconds() > within_s:
            self._timer.cancel()
            self._wake_in(self._ports.random.uniform(0, within_s))

    def _wake_in(self, delay_s: float) -> None:
        self._due_at = self._reactor.seconds() + delay_s
        self._timer = self._reactor.callLater(delay_s, self._run)

    def _elapsed_s(self) -> float:
        """Seconds since the running check began."""
        return float(self._reactor.seconds()) - self._began_at

    def _duration_s(self) -> float:
        """Of the check under way: the server's time alone. Who was refused at once, and told of it
        seconds later, met no silence."""
        return max(0.0, self._elapsed_s() - self._waited_s)

    def _run(self) -> None:
        self._timer = None
        if self._reactor.seconds() - self._due_at > LATE_S:
            self._wake_in(self._ports.random.uniform(0, self._interval_s))
        else:
            # Of hundreds that are due now each turn begins some.
            self._ports.beats.call(self._begin_check)

    def _begin_check(self) -> None:
        if not self._running:
            return
        self._is_overdue = False
        self._began_at = self._reactor.seconds()
        self._waited_s = 0.0
        self._mark = self._ports.stall_meter.mark()
        checking = Deferred.fromCoroutine(self._check_once())
        if not checking.called:
            self._checking = checking
            if not self.ends_in_time:
                self._limit_check()

    def _limit_check(self) -> None:
        """The check that is under way takes OVERDUE_TIMEOUTS at most."""
        if self._running:
            left_s = self._timeout_s * OVERDUE_TIMEOUTS - self._elapsed_s()
            self._limit = self._reactor.callLater(max(0.0, left_s), self._overdue)

    def _end_limit(self) -> None:
        cancel(self._limit)
        self._limit = None

    def _overdue(self) -> None:
        self._limit = self._reactor.callLater(self._interval_s, self._overdue)
        self._is_overdue = True
        elapsed_s = self._elapsed_s()
        reason = f"the check came to no result within {elapsed_s:.0f} s"
        self._conclude(up=False, reason=reason, duration_s=elapsed_s)
        # It was discarded if we slept; what it takes from now on is its own.
        self._mark = self._ports.stall_meter.mark()
        try:
            if self._checking is not None:
                self._checking.cancel()
        except MISTAKES:
            self._internal_error("cancelling a check")

    async def _check_once(self) -> None:
        # One coroutine for all of it: thousands of times a second, callbacks cost their percents.
        try:
            try:
                outcome = await self._check()
            finally:
                # What is said of the outcome may stop this monitor.
                self._checking = None
                self._end_limit()
            if outcome is not None and not self._is_overdue:
                self._conclude(up=outcome.up, reason=outcome.reason, duration_s=self._duration_s())
        except GeneratorExit:
            raise
        except BaseException:  # noqa: BLE001 - a plug-in's mistake, as sys.exit() is; or stop()
            if not self._is_overdue:
                self._internal_error("checking")
        self._go_on()

    def _go_on(self) -> None:
        within_s, self._expedited_within_s = self._expedited_within_s, None
        if self._running:
            next_s = self._interval_s
            if self._is_first:
                self._is_first = False
                next_s = self._ports.spread.within(self._interval_s)
            delay_s = (next_s - self._elapsed_s()) % self._interval_s or self._interval_s
            delay_s = coalesced(self._reactor.seconds(), delay_s)
            if within_s is not None and within_s < delay_s:
                delay_s = self._ports.random.uniform(0, within_s)
            self._wake_in(delay_s)
