"""A log that a test can read."""

from __future__ import annotations

from io import StringIO
from typing import Any, cast

from twisted.logger import LogEvent, Logger

from pybal.runtime.log import LineObserver


def format_line(event: LogEvent) -> str:
    """The line that the daemon would write, without its end."""
    line = StringIO()
    LineObserver(line, tracebacks=False)(event)
    return line.getvalue().removesuffix("\n")


class FakeLog:
    """`lines` are what the daemon would write: `[system] LEVEL: text`."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def logger(self, namespace: str) -> Logger:
        """A logger that ends here and nowhere else."""
        return Logger(namespace=namespace, observer=cast(Any, self._observe))

    def take(self) -> list[str]:
        """The lines since the last time."""
        lines, self.lines = self.lines, []
        return lines

    def _observe(self, event: LogEvent) -> None:
        self.lines.append(format_line(event))
