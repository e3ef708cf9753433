"""Logs the notices of the pooling policy: each a line, and, where thousands come at once, a summary
of those that come after the first."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.logger import Logger, LogLevel

from pybal.pool.events import (
    BecameUp,
    CouldNotDepool,
    LeftPooled,
    Notice,
    PooledChanged,
    ReportedDown,
    RetractedDown,
    ServerAdded,
    ServerMerged,
    ServerRemoved,
    TooFewEligible,
)
from pybal.pool.log_lines import Level, log_line, named
from pybal.runtime.clock import Clock, DelayedCall

MOST_LINES = 50
WINDOW_S = 0.25
"""So many lines of one service are written within so many seconds; a summary follows at the end."""

_LEVELS: tuple[Level, ...] = ("info", "error", "critical")


class NoticeLog:
    """Of one service. With DEBUG the summary names all servers."""

    def __init__(self, clock: Clock, log: Logger) -> None:
        self._clock = clock
        self._log = log
        self._began_at = -WINDOW_S
        self._lines = 0
        self._more: dict[str, list[str]] = {}
        self._level = 0
        self._summary: DelayedCall | None = None

    def write(self, notices: Iterable[Notice]) -> None:
        """Log them, in their order."""
        now = self._clock.seconds()
        if self._summary is None and now - self._began_at >= WINDOW_S:
            self._began_at, self._lines = now, 0
        for notice in notices:
            # There is but one of these for an event, and it must be seen.
            if self._lines < MOST_LINES or isinstance(notice, TooFewEligible):
                self._lines += 1
                level, text = log_line(notice)
                self._log.emit(LogLevel.levelWithName(level), "{text}", text=text)
            else:
                level, what, host = _in_short(notice)
                self._more.setdefault(what, []).append(host)
                self._level = max(self._level, _LEVELS.index(level))
        if self._more and self._summary is None:
            left_s = max(0.0, self._began_at + WINDOW_S - now)
            self._summary = self._clock.callLater(left_s, self._sum_up)

    def stop(self) -> None:
        """What is left is summed up now. Idempotent."""
        if self._summary is not None:
            self._summary.cancel()
            self._sum_up()

    def _sum_up(self) -> None:
        more, level = self._more, _LEVELS[self._level]
        self._summary, self._more, self._level = None, {}, 0
        parts = [f"{len(hosts)} more {what} ({named(hosts)})" for what, hosts in more.items()]
        text = f"At the same time: {'; '.join(parts)}"
        self._log.emit(LogLevel.levelWithName(level), "{text}", text=text)
        self._log.debug("{all()}", all=lambda: "; ".join(map(_all_named, more.items())))


def _all_named(more: tuple[str, list[str]]) -> str:
    return f"{more[0]}: {', '.join(more[1])}"


def _in_short(notice: Notice) -> tuple[Level, str, str]:
    """The level, what it is that servers have in common, and the server."""
    match notice:
        case ServerAdded(spec):
            return "info", "new", spec.host
        case ServerMerged(spec):
            return "info", "merged", spec.host
        case ServerRemoved(host):
            return "info", "removed", host
        case ReportedDown(host, _, monitor, _):
            return "error", f"reported down by {monitor}", host
        case RetractedDown(host):
            return "info", "no longer reported down: this director is cut off", host
        case BecameUp(host):
            return "info", "up", host
        case CouldNotDepool(host):
            return "error", "could not be depooled because of too many down", host
        case LeftPooled(host):
            return "info", "left pooled", host
        case PooledChanged(host, pooled, up):
            if not pooled:
                return "info", "depooled", host
            return "info", "pooled" if up else "pooled though down", host
        case TooFewEligible():
            raise AssertionError("has a line of its own")
