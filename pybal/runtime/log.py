"""Log lines in the contract's shape: `[system] LEVEL: text`, one a line, on stderr.

Loggers are Twisted's, with the system as namespace: `Logger(namespace="textlb_443")`. Where stderr
is the journal each line has its priority before it (`<4>`, sd-daemon(3)), which the journal takes
away: `journalctl -p warning` works, and what is read is the contract's line.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TextIO, cast

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

from pybal.runtime.log_limit import LogLimit, Summary
from pybal.runtime.log_writer import LogWriter
from pybal.runtime.naming import printable
from pybal.runtime.pieces import Pieces, piecewise
from pybal.runtime.service_manager import is_journal
from pybal.runtime.turn_clock import TurnEnds

_FLUSH_S = 1.0
"""At the end of the process, so long is waited for whoever reads the log."""

_PRIORITIES = {
    LogLevel.debug: 7,
    LogLevel.info: 6,
    LogLevel.warn: 4,
    LogLevel.error: 3,
    LogLevel.critical: 2,
}
"""syslog(3)'s."""

_LONGEST_TEXT = 20_000
"""Characters: an exception may have all in it that a stranger has sent."""

LEVELS = {
    "debug": LogLevel.debug,
    "info": LogLevel.info,
    "warning": LogLevel.warn,
    "error": LogLevel.error,
    "critical": LogLevel.critical,
}
"""By their names in pybal.conf, the least important first."""

_LEVEL_NAMES = {
    LogLevel.debug: "DEBUG",
    LogLevel.info: "INFO",
    LogLevel.warn: "WARN",
    LogLevel.error: "ERROR",
    LogLevel.critical: "CRITICAL",
}


def _system(event: LogEvent) -> str:
    return str(event.get("log_namespace", "pybal"))


def _text(event: LogEvent) -> str:
    """Line breaks and control characters are escaped, so that nothing read from outside can forge
    a line."""
    text = _formatted(event)
    failure = event.get("log_failure")
    if failure is not None:
        text = f"{text}: {failure.type.__name__}: {failure.getErrorMessage()}"
    more = len(text) - _LONGEST_TEXT
    return printable(text if more <= 0 else f"{text[:_LONGEST_TEXT]} ({more} more characters)")


def _formatted(event: LogEvent) -> str:
    """As formatEvent does it, which takes ten times as long, as it knows `{calls()}`, too, and says
    what cannot be formatted."""
    layout = event.get("log_format")
    if isinstance(layout, str) and "()" not in layout:
        with contextlib.suppress(Exception):
            return layout.format_map(event)
    return formatEvent(event)


class Writer(Protocol):
    """Takes text; never blocks, never fails."""

    def write(self, text: str, /) -> object:
        """Text with the ends of its lines."""


@implementer(ILogObserver)
class LineObserver:
    """Writes each event as one line; in debug a failure's traceback follows it. `priorities`: the
    journal reads the lines. With a `limit`, whose time is `seconds()`, what repeats is summed up.
    """

    def __init__(
        self,
        writer: Writer,
        *,
        tracebacks: bool,
        priorities: bool = False,
        limit: LogLimit | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._writer = writer
        self._tracebacks = tracebacks
        self._priorities = priorities
        self._limit = limit
        self._seconds = seconds

    def __call__(self, event: LogEvent) -> None:
        level = event.get("log_level", LogLevel.info)
        system, text = _system(event), _text(event)
        if self._limit is not None and not self._limit.takes(
            system, text, self._seconds(), vital=level is LogLevel.critical
        ):
            return
        failure = event.get("log_failure")
        traceback = failure.getTraceback() if failure is not None and self._tracebacks else ""
        self._write(level, system, text, traceback)

    def sum_up(self) -> Pieces[None]:
        """Write what the limit has left out, where its time is over."""
        if self._limit is not None:
            due = yield from self._limit.due(self._seconds())
            yield from piecewise(self._write_summaries, due)

    def _write_summaries(self, due: Sequence[Summary]) -> None:
        for summary in due:
            self._write(LogLevel.warn, summary.system, str(summary))

    def _write(self, level: Any, system: str, text: str, traceback: str = "") -> None:
        priority = f"<{_PRIORITIES.get(level, 6)}>" if self._priorities else ""
        name = _LEVEL_NAMES.get(level, "INFO")
        self._writer.write(f"{priority}[{system}] {name}: {text}\n{traceback}")


class Logging(NamedTuple):
    """The process's log as it runs. `flush()` waits until all is written, or a little;
    `sum_up()` is to be called now and then; `set_level()` takes one of LEVELS: what is less
    important is not written from then on. `hold()`, `turn_ends()` and `release()` are those of
    LogWriter."""

    flush: Callable[[], object]
    sum_up: Callable[[], Pieces[None]]
    set_level: Callable[[str], None]
    hold: Callable[[], None]
    turn_ends: TurnEnds
    release: Callable[[], None]


def begin_logging(*, debug: bool) -> Logging:
    """Start writing the process's log lines to stderr. Call once, from main. In debug nothing is
    left out."""
    predicate = LogLevelFilterPredicate()
    set_level(predicate, "debug" if debug else "info")
    descriptor = _descriptor(sys.stderr)
    writer = LogWriter(descriptor)
    writer.start()
    observer = LineObserver(
        writer,
        tracebacks=debug,
        priorities=is_journal(descriptor, os.environ),
        limit=None if debug else LogLimit(time.monotonic()),
    )
    # zope's @implementer is invisible to the type checker.
    filtering = FilteringLogObserver(
        cast(ILogObserver, observer), [cast(ILogFilterPredicate, predicate)]
    )
    globalLogBeginner.beginLoggingTo([cast(ILogObserver, filtering)], redirectStandardIO=False)
    # Libraries raise what they log, too. Without a handler of the root one of them, pyroute2, makes
    # Python's logging write to stderr by itself, in a shape of its own.
    logging.getLogger().addHandler(logging.NullHandler())
    return Logging(
        flush=lambda: writer.flush(_FLUSH_S),
        sum_up=observer.sum_up,
        set_level=lambda level: set_level(predicate, level),
        hold=writer.hold,
        turn_ends=writer.turn_ends,
        release=writer.release,
    )


def set_level(predicate: LogLevelFilterPredicate, level: str) -> None:
    """Have it let pass what is at least as important as one of LEVELS."""
    least = LEVELS[level]
    predicate.setLogLevelForNamespace("", least)
    # Twisted announces each socket that it opens and closes: one for each query of its resolver.
    for noisy in ("log_legacy", "twisted.internet", "twisted.web", "twisted.names"):
        predicate.setLogLevelForNamespace(noisy, max(least, LogLevel.warn))


def _descriptor(stderr: TextIO | None) -> int:
    """Where the log goes. `stderr` is None if the process was started without: whatever has that
    number then is not ours."""
    return stderr.fileno() if stderr is not None else os.open(os.devnull, os.O_WRONLY)
