"""Log lines: their shape, and that nothing from outside can forge one."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import cast

from twisted.logger import ILogObserver, Logger
from twisted.python.failure import Failure

from pybal.runtime.log import LineObserver


def logged(*, tracebacks: bool = False) -> tuple[Logger, io.StringIO]:
    stream = io.StringIO()
    observer = cast(ILogObserver, LineObserver(stream, tracebacks=tracebacks))
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
        "import logging; from pybal.runtime.log import begin_logging; begin_logging(debug=True)();"
        # Logging by the root installs a handler of its own, unless there is one.
        "logging.debug('family not found'); logging.getLogger('etcd.client').error('no answer')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stderr == ""
