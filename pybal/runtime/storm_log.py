"""Where thousands of lines of one kind would come at once, the first are written, and then one that
sums up the rest."""

from __future__ import annotations

from weakref import WeakValueDictionary

from twisted.logger import Logger, LogLevel

from pybal.runtime.clock import Clock, DelayedCall
from pybal.runtime.naming import named
from pybal.runtime.turn_clock import lately

MOST_LINES = 50
WINDOW_S = 1.0
"""So many lines of one log are written within so many seconds; a summary follows at the end."""

_LEVELS = ("debug", "info", "warn", "error", "critical")


class StormLog:
    """One log. With DEBUG the summary names all."""

    def __init__(self, clock: Clock, log: Logger) -> None:
        self._clock = clock
        self._lately = lately(clock)
        self._log = log
        self._began_at = -WINDOW_S
        self._lines = 0
        self._told: set[str] = set()
        """What the lines have in common, as `count` has it."""
        self._more: dict[str, list[str]] = {}
        self._level = 0
        self._summary: DelayedCall | None = None

    @property
    def has_room(self) -> bool:
        """Whether a line is written now; else it is to be counted."""
        return self._lines < MOST_LINES or (
            self._summary is None and self._lately() - self._began_at >= WINDOW_S
        )

    def has_told(self, what: str) -> bool:
        """Whether one of these was a line lately: the first must not be hidden by others."""
        return what in self._told

    def line(self, level: str, text: str, what: str = "") -> None:
        """Write it, in any case; `what`: see `count`."""
        now_s = self._lately()
        if self._summary is None and now_s - self._began_at >= WINDOW_S:
            self._began_at, self._lines = now_s, 0
            self._told.clear()
        self._lines += 1
        self._told.add(what)
        self._log.emit(LogLevel.levelWithName(level), "{text}", text=text)

    def count(self, level: str, what: str, name: str) -> None:
        """`what` all of them have in common, and the name of this one."""
        self._more.setdefault(what, []).append(name)
        self._level = max(self._level, _LEVELS.index(level))
        if self._summary is None:
            left_s = max(0.0, self._began_at + WINDOW_S - self._lately())
            self._summary = self._clock.callLater(left_s, self._sum_up)

    def stop(self) -> None:
        """What is left is summed up now. Idempotent."""
        if self._summary is not None:
            self._summary.cancel()
            self._sum_up()

    def _sum_up(self) -> None:
        more, level = self._more, _LEVELS[self._level]
        self._summary, self._more, self._level = None, {}, 0
        parts = [f"{len(names)} more {what} ({named(names)})" for what, names in more.items()]
        text = f"At the same time: {'; '.join(parts)}"
        self._log.emit(LogLevel.levelWithName(level), "{text}", text=text)
        self._log.debug("{all()}", all=lambda: "; ".join(map(_all_named, more.items())))


class StormLogs:
    """Of many writers, those with the same namespace share one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._logs: WeakValueDictionary[str, StormLog] = WeakValueDictionary()

    def of(self, namespace: str) -> StormLog:
        """The log of that name, for as long as somebody has it."""
        found = self._logs.get(namespace)
        if found is None:
            found = self._logs[namespace] = StormLog(self._clock, Logger(namespace=namespace))
        return found

    def stop(self) -> None:
        """What is left is summed up now. Idempotent."""
        for each in list(self._logs.values()):
            each.stop()


def _all_named(more: tuple[str, list[str]]) -> str:
    return f"{more[0]}: {', '.join(more[1])}"
