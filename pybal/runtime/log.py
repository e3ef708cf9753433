"""Log lines in the contract's shape: `[system] LEVEL: text`, one a line, on stderr.

Loggers are Twisted's, with the system as namespace: `Logger(namespace="textlb_443")`.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import Protocol, TextIO, cast

from twisted.logger import (
    FilteringLogObserver,
    ILogFilterPredicate,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    globalLogBeginner,
)
from zope.interface import implementer

from pybal.runtime.log_writer import LogWriter

_FLUSH_S = 2.0
"""At the end of the process, so long is waited for whoever reads the log."""

_LEVEL_NAMES = {
    LogLevel.debug: "DEBUG",
    LogLevel.info: "INFO",
    LogLevel.warn: "WARN",
    LogLevel.error: "ERROR",
    LogLevel.critical: "CRITICAL",
}


def format_line(event: LogEvent) -> str:
    """One log line without its end; line breaks and control characters in the text are escaped,
    so that nothing read from outside can forge a line."""
    system = event.get("log_namespace", "pybal")
    level = _LEVEL_NAMES.get(event.get("log_level", LogLevel.info), "INFO")
    text = formatEvent(event)
    failure = event.get("log_failure")
    if failure is not None:
        text = f"{text}: {failure.type.__name__}: {failure.getErrorMessage()}"
    return f"[{system}] {level}: {_printable(text)}"


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Writer(Protocol):
    """Takes text; never blocks, never fails."""

    def write(self, text: str, /) -> object: ...


@implementer(ILogObserver)
class LineObserver:
    """Writes each event as one line; in debug a failure's traceback follows it."""

    def __init__(self, writer: Writer, *, tracebacks: bool) -> None:
        self._writer = writer
        self._tracebacks = tracebacks

    def __call__(self, event: LogEvent) -> None:
        lines = format_line(event) + "\n"
        failure = event.get("log_failure")
        if failure is not None and self._tracebacks:
            lines += failure.getTraceback()
        self._writer.write(lines)


def begin_logging(*, debug: bool) -> Callable[[], object]:
    """Start writing the process's log lines to stderr. Call once, from main; what it returns is to
    be called when the process ends."""
    level = LogLevel.debug if debug else LogLevel.info
    predicate = LogLevelFilterPredicate(defaultLogLevel=level)
    # Factories of Twisted announce each connection they start and stop; thousands of
    # checks would drown the log.
    for noisy in ("log_legacy", "twisted.internet", "twisted.web", "twisted.names"):
        predicate.setLogLevelForNamespace(noisy, LogLevel.warn)
    writer = LogWriter(_descriptor(sys.stderr))
    writer.start()
    observer = LineObserver(writer, tracebacks=debug)
    # zope's @implementer is invisible to the type checker.
    filtering = FilteringLogObserver(
        cast(ILogObserver, observer), [cast(ILogFilterPredicate, predicate)]
    )
    globalLogBeginner.beginLoggingTo([cast(ILogObserver, filtering)], redirectStandardIO=False)
    # Libraries raise what they log, too. Without a handler of the root one of them, pyroute2, makes
    # Python's logging write to stderr by itself, in a shape of its own.
    logging.getLogger().addHandler(logging.NullHandler())
    return lambda: writer.flush(_FLUSH_S)


def _descriptor(stderr: TextIO | None) -> int:
    """None if the process was started without stderr: whatever has that number is not ours."""
    return stderr.fileno() if stderr is not None else os.open(os.devnull, os.O_WRONLY)
