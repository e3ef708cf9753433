"""Logs the notices of the pooling policy: each a line, and, where thousands come at once, a summary
of those that come after the first."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.logger import Logger

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
from pybal.pool.log_lines import Level, log_line
from pybal.runtime.clock import Clock
from pybal.runtime.storm_log import StormLog


class NoticeLog:
    """Of one service."""

    def __init__(self, clock: Clock, log: Logger) -> None:
        self._log = StormLog(clock, log)

    def write(self, notices: Iterable[Notice]) -> None:
        """Log them, in their order."""
        for notice in notices:
            if isinstance(notice, TooFewEligible):
                # There is but one of these for an event, and it must be seen.
                self._log.line(*log_line(notice))
                continue
            level, what, host = _in_short(notice)
            # The words that people and filters look for are those of a line.
            if self._log.has_room or not self._log.has_told(what):
                self._log.line(*log_line(notice), what)
            else:
                self._log.count(level, what, host)

    def stop(self) -> None:
        """What is left is summed up now. Idempotent."""
        self._log.stop()


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
