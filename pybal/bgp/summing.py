"""Bounds the lines of the log that a peer can bring about as often as it likes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_LINES = 5
_WINDOW_S = 10.0
_LONGEST_VALUE = 400


@dataclass(slots=True)
class _Window:
    """What was said of one text since it `began`."""

    began: float
    lines: int = 0
    beyond: int = 0
    last: dict[str, Any] = field(default_factory=dict)


class SummingLog:
    """A log of which each text may say five lines in ten seconds; how many more there were is
    said at the end of the ten seconds, with the values of the last. `log` is a Logger, `clock`
    IReactorTime. Every text is one of the program's own, so there are few.

    The log as a whole is bounded elsewhere (pybal/runtime/log_limit.py). Here it is that of
    thousands of lines a second most are not even formatted, and that one peer's do not use up what
    another may say."""

    def __init__(self, log: Any, clock: Any) -> None:
        self._log = log
        self._clock = clock
        self._windows: dict[tuple[str, str], _Window] = {}
        self._timer: Any = None
        self._closed = False

    def debug(self, text: str, /, **values: object) -> None:
        self._emit("debug", text, values)

    def info(self, text: str, /, **values: object) -> None:
        self._emit("info", text, values)

    def warn(self, text: str, /, **values: object) -> None:
        self._emit("warn", text, values)

    def error(self, text: str, /, **values: object) -> None:
        self._emit("error", text, values)

    def close(self) -> None:
        """Say what is summed up, and leave no timer behind. Idempotent."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._sum_up()

    def _emit(self, level: str, text: str, values: dict[str, Any]) -> None:
        now = self._clock.seconds()
        window = self._windows.get((level, text))
        if window is None or (not window.beyond and now - window.began >= _WINDOW_S):
            window = self._windows[level, text] = _Window(began=now)
        window.lines += 1
        if window.lines <= _LINES:
            self._say(level, text, values)
            return
        window.beyond += 1
        window.last = values
        if self._timer is None and not self._closed:
            self._timer = self._clock.callLater(_WINDOW_S, self._sum_up)

    def _say(self, level: str, text: str, values: dict[str, Any]) -> None:
        shown = {name: _short(value) for name, value in values.items()}
        getattr(self._log, level)(text, **shown)

    def _sum_up(self) -> None:
        self._timer = None
        windows, self._windows = self._windows, {}
        for (level, text), window in windows.items():
            if window.beyond:
                more = f"{text} ({{beyond}} times more in {{seconds}} s, of which this is the last)"
                values = {"beyond": window.beyond, "seconds": int(_WINDOW_S), **window.last}
                self._say(level, more, values)


def _short(value: object) -> object:
    if isinstance(value, str) and len(value) > _LONGEST_VALUE:
        return f"{value[:_LONGEST_VALUE]}..."
    return value
