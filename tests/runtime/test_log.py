"""Log lines: their shape, and that nothing from outside can forge one."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any, cast

import pytest
from twisted.internet.task import Clock
from twisted.logger import (
    FilteringLogObserver,
    ILogFilterPredicate,
    ILogObserver,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
)
from twisted.python.failure import Failure

from pybal.config.settings import LOG_LEVELS
from pybal.runtime.log import LEVELS, LineObserver, set_level
from pybal.runtime.log_limit import REPEATS, WINDOW_S, LogLimit
from pybal.runtime.pieces import in_one_go


def logged(*, tracebacks: bool = False, priorities: bool = False) -> tuple[Logger, io.StringIO]:
    stream = io.StringIO()
    line_observer = LineObserver(stream, tracebacks=tracebacks, priorities=priorities)
    observer = cast(ILogObserver, line_observer)
    return Logger(namespace="textlb_443 ProxyFetch", observer=observer), stream


def test_a_line_has_system_level_and_text() -> None:
    log, stream = logged()
    log.warn("{host}: Fetch failed", host="h")
    assert stream.getvalue() == "[textlb_443 ProxyFetch] WARN: h: Fetch failed\n"


def test_line_breaks_from_outside_cannot_forge_a_line() -> None:
    log, stream = logged()
    log.error("{reason}", reason="oops\n[pybal] INFO: all is well\x1b[2J")
    assert stream.getvalue().count("\n") == 1
    assert "\\n[pybal]" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ("{host}: {kind.name}, {ms:.1f} ms", "h: info, 1.2 ms"),
        ("{{host}}", "{host}"),
        ("{all()}", "a; b"),
        ("100 % of {what}", "Unable to format event"),
    ],
)
def test_whatever_the_layout_is_there_is_a_line(layout: str, text: str) -> None:
    log, stream = logged()
    log.info(layout, host="h", kind=LogLevel.info, ms=1.23, all=lambda: "a; b")
    assert stream.getvalue().startswith(f"[textlb_443 ProxyFetch] INFO: {text}")


def test_a_line_is_bounded_whatever_an_exception_has_in_it() -> None:
    log, stream = logged()
    log.failure("It broke", Failure(ValueError("x" * 1_000_000)))
    assert len(stream.getvalue()) < 21_000
    assert stream.getvalue().endswith("more characters)\n")


def test_a_failure_is_one_line_and_only_debug_shows_its_traceback() -> None:
    for tracebacks in (False, True):
        log, stream = logged(tracebacks=tracebacks)
        log.failure("It broke", Failure(ValueError("why")))
        assert stream.getvalue().startswith(
            "[textlb_443 ProxyFetch] CRITICAL: It broke: ValueError: why\n"
        )
        assert ("Traceback" in stream.getvalue()) is tracebacks


def test_what_libraries_log_by_themselves_is_not_written_in_a_shape_of_its_own() -> None:
    script = (
        "import logging; from pybal.runtime.log import begin_logging;"
        "begin_logging(debug=True).flush();"
        # Logging by the root installs a handler of its own, unless there is one.
        "logging.debug('family not found'); logging.getLogger('etcd.client').error('no answer')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stderr == ""


@pytest.mark.parametrize(("debug", "lines"), [(False, REPEATS), (True, REPEATS + 7)])
def test_a_process_sums_up_what_repeats_unless_it_is_debugged(debug: bool, lines: int) -> None:
    script = (
        "from pybal.runtime.log import begin_logging; from twisted.logger import Logger\n"
        f"log, logging = Logger(namespace='svc'), begin_logging(debug={debug})\n"
        f"for n in range({REPEATS + 7}): log.info('again')\n"
        "logging.flush()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stderr.splitlines() == ["[svc] INFO: again"] * lines


def test_the_journal_gets_the_priority_before_the_line() -> None:
    log, stream = logged(priorities=True)
    log.debug("a")
    log.info("b")
    log.warn("c")
    log.error("d")
    log.critical("e")
    priorities = [line.partition("[")[0] for line in stream.getvalue().splitlines()]
    assert priorities == ["<7>", "<6>", "<4>", "<3>", "<2>"]


def test_what_repeats_is_summed_up() -> None:
    stream, clock = io.StringIO(), Clock()
    observer = LineObserver(stream, tracebacks=False, limit=LogLimit(0.0), seconds=clock.seconds)
    log = Logger(namespace="svc", observer=cast(ILogObserver, observer))
    for _ in range(REPEATS + 7):
        log.info("the same")
    clock.advance(WINDOW_S)
    in_one_go(observer.sum_up())
    assert stream.getvalue().splitlines()[REPEATS:] == ["[svc] WARN: … 7 more in 60 s: the same"]


def test_what_is_less_important_than_the_level_is_not_written_and_the_level_may_change() -> None:
    assert tuple(LEVELS) == LOG_LEVELS
    predicate = LogLevelFilterPredicate()
    seen: list[Any] = []
    observer = FilteringLogObserver(
        cast(ILogObserver, seen.append), [cast(ILogFilterPredicate, predicate)]
    )
    log = Logger(namespace="web", observer=cast(ILogObserver, observer))
    noisy = Logger(namespace="twisted.internet", observer=cast(ILogObserver, observer))

    def written(level: str) -> list[str]:
        seen.clear()
        set_level(predicate, level)
        for logger in (log, noisy):
            for each in LEVELS.values():
                logger.emit(each, "text")
        return [f"{event['log_namespace'][:1]} {event['log_level'].name}" for event in seen]

    web = [f"w {level.name}" for level in LEVELS.values()]
    twisted = [f"t {level.name}" for level in LEVELS.values()]
    assert written("debug") == web + twisted[2:]
    assert written("error") == web[3:] + twisted[3:]
    assert written("info") == web[1:] + twisted[2:]
    assert written("critical") == [web[4], twisted[4]]
