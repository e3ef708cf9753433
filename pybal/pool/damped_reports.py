"""The reports of one service's monitors on their way to its Coordinator: the last "up" of a server
that flaps is held back for a while (flap_damping.py has the rules)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from heapq import heapify, heappop, heappush
from itertools import count
from typing import NamedTuple

from twisted.logger import Logger

from pybal.health.isolation_guard import ReportDelivery
from pybal.model import HealthReport, HoldDown, ServerSnapshot, ServiceSnapshot
from pybal.pool.flap_damping import WINDOW_S, Flaps
from pybal.runtime.clock import Clock, DelayedCall, cancel
from pybal.runtime.turn_clock import lately

LOOK_AGAIN_S = 1.0
"""So often it is looked whether the pool can still spare a server that is held down: lists, names
and the kernel may take the others out."""


class _Held(NamedTuple):
    """The report that would make a server up, and when it is delivered. `undone_by`: the report
    of down that came meanwhile, which may be retracted."""

    report: HealthReport
    until_s: float
    undone_by: HealthReport | None = None


class _Shown(NamedTuple):
    """The servers of a snapshot, what is held, and the servers with it."""

    plain: tuple[ServerSnapshot, ...]
    downs: Mapping[str, HoldDown]
    servers: tuple[ServerSnapshot, ...]


class DampedReports:
    """Takes the reports of a service and hands them on at once, or an "up" later. `can_spare()`
    says whether the pool can do without one server; `now()` is Unix seconds."""

    def __init__(
        self,
        receiver: ReportDelivery,
        clock: Clock,
        now: Callable[[], float],
        can_spare: Callable[[], bool],
        log: Logger,
        *,
        enabled: bool,
    ) -> None:
        self._receiver = receiver
        self._clock = clock
        self._lately = lately(clock)
        self._now = now
        self._can_spare = can_spare
        self._log = log
        self._enabled = enabled
        self._flaps: dict[str, Flaps] = {}
        """By host; who flapped last is last."""
        self._held: dict[str, _Held] = {}
        self._by_time: list[tuple[float, int, _Held]] = []
        """Those that wait, as a heap; also some that no longer do."""
        self._numbers = count()
        self._timer: DelayedCall | None = None
        self._total = 0
        self._shown: _Shown | None = None

    def deliver(self, report: HealthReport) -> None:
        """See ReportDelivery."""
        flaps, held = self._flaps.get(report.host), self._held.get(report.host)
        if held is not None and held.report.incarnation < report.incarnation:
            del self._held[report.host]
        if report.result.up:
            if flaps is not None and flaps.incarnation == report.incarnation:
                self._up(report, flaps)
                return
        elif self._enabled and (flaps is None or flaps.incarnation <= report.incarnation):
            self._down(report, flaps or Flaps(report.incarnation))
            return
        self._receiver.deliver(report)

    def retract(self, report: HealthReport) -> None:
        """See ReportDelivery."""
        host = report.host
        flaps = self._flaps.get(host)
        if flaps is not None and flaps.incarnation == report.incarnation:
            self._flaps[host] = flaps.retracted(report.monitor)
        self._receiver.retract(report)
        held = self._held.get(host)
        if held is not None and held.undone_by == report:
            self._hold(host, held._replace(undone_by=None))
            self._look()

    def reconfigure(self, *, enabled: bool, monitors: Collection[str]) -> None:
        """Other settings. Switched off, nothing is held any more."""
        self._enabled = enabled
        names = frozenset(monitors)
        self._flaps = {host: flaps.only(names) for host, flaps in self._flaps.items()}
        self._held = {h: held for h, held in self._held.items() if held.report.monitor in names}
        if not enabled:
            self._look()
            self._flaps.clear()
            self._held.clear()
            self._by_time.clear()

    def stop(self) -> None:
        """Deliver nothing any more. Idempotent."""
        self._held.clear()
        self._by_time.clear()
        self._cancel()

    def shown(self, service: ServiceSnapshot) -> ServiceSnapshot:
        """The service's snapshot with what is held; its servers are the same object until
        something changes."""
        if not self._total:
            return service
        downs = dict(self._hold_downs())
        shown = self._shown
        if shown is None or shown.plain is not service.servers or shown.downs != downs:
            servers = service.servers
            if downs:
                servers = tuple(s._replace(hold_down=downs.get(s.host)) for s in servers)
            shown = self._shown = _Shown(service.servers, downs, servers)
        return service._replace(servers=shown.servers, hold_downs_total=self._total)

    def _hold_downs(self) -> Iterator[tuple[str, HoldDown]]:
        now_s = self._lately()
        unix = self._now() - now_s
        for host, held in self._held.items():
            if held.undone_by is None:
                flaps = self._flaps[host].lately(now_s)
                yield host, HoldDown(flaps, WINDOW_S, round(unix + held.until_s, 1))

    def _down(self, report: HealthReport, before: Flaps) -> None:
        now_s = self._lately()
        flaps = before.went_down(report.monitor, report.incarnation, now_s)
        self._forget_old(now_s)
        # Who goes down while it was down is no news, and keeps its place.
        if flaps.downs_at_s != before.downs_at_s:
            self._flaps.pop(report.host, None)
        self._flaps[report.host] = flaps
        self._receiver.deliver(report)
        held = self._held.get(report.host)
        if held is not None and held.report.monitor == report.monitor:
            self._held[report.host] = held._replace(undone_by=report)
        elif held is not None:
            # Another monitor keeps the server down: what this one said need not wait.
            del self._held[report.host]
            if held.undone_by is None:
                self._receiver.deliver(held.report)
        self._look()

    def _up(self, report: HealthReport, before: Flaps) -> None:
        now_s = self._lately()
        flaps = self._flaps[report.host] = before.came_up(report.monitor)
        held = self._held.get(report.host)
        if held is not None and held.report.monitor != report.monitor:
            # A monitor that is new. The server stays down for what waits, which must not be lost.
            self._receiver.deliver(report)
            self._look()
            return
        was_down = self._held.pop(report.host, None) is not None or before.down
        until_s = flaps.held_until_s(now_s)
        if flaps.down or until_s <= now_s or not was_down or not self._can_spare():
            self._receiver.deliver(report)
            self._look()
            return
        self._hold(report.host, _Held(report, until_s))
        self._total += 1
        self._log.info(
            "Server {host} is up again, but went down {flaps} times within {window:.0f} s: it is"
            " pooled after {wait:.0f} s without a failure, or once the pool needs it",
            host=report.host,
            flaps=flaps.lately(now_s),
            window=WINDOW_S,
            wait=until_s - now_s,
        )
        self._look()

    def _look(self) -> None:
        """Deliver what need not wait any longer, and arrange the next look."""
        self._cancel()
        if not self._by_time:
            return
        now_s = self._lately()
        while (held := self._next()) is not None:
            if held.until_s > now_s and self._enabled and self._can_spare():
                break
            # What is delivered may make others go or come.
            del self._held[held.report.host]
            try:
                self._receiver.deliver(held.report)
            except Exception:  # noqa: BLE001 - others wait to be pooled
                text = "A report of {host} that was held failed unexpectedly"
                self._log.failure(text, host=held.report.host)
        if held is not None and self._timer is None:
            delay_s = min(LOOK_AGAIN_S, max(0.0, held.until_s - now_s))
            self._timer = self._clock.callLater(delay_s, self._look)

    def _hold(self, host: str, held: _Held) -> None:
        self._held[host] = held
        if len(self._by_time) > 2 * len(self._held) + 100:
            # Most of them no longer wait.
            self._by_time = [each for each in self._by_time if self._waits(each[2])]
            heapify(self._by_time)
        heappush(self._by_time, (held.until_s, next(self._numbers), held))

    def _waits(self, held: _Held) -> bool:
        return self._held.get(held.report.host) is held

    def _next(self) -> _Held | None:
        """What waits and is delivered next. Thousands may wait: not all are looked at."""
        while self._by_time:
            held = self._by_time[0][2]
            if self._waits(held):
                return held
            heappop(self._by_time)
        return None

    def _forget_old(self, now_s: float) -> None:
        while self._flaps:
            host, flaps = next(iter(self._flaps.items()))
            held = self._held.get(host)
            if not flaps.is_old(now_s) or (held is not None and held.undone_by is None):
                return
            del self._flaps[host]
            self._held.pop(host, None)

    def _cancel(self) -> None:
        cancel(self._timer)
        self._timer = None
