"""What goes wrong in a start is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.logger import capturedLogs, formatEvent

from pybal.reload.service_set import ServiceSet
from tests.fakes.daemon import DaemonBench

CONFIG = """
[global]
state-directory = none
control-socket = no
"""


def test_a_fault_amid_the_start_of_the_services_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: ServiceSet) -> None:
        raise ZeroDivisionError("a mistake")

    monkeypatch.setattr(ServiceSet, "start", broken)
    with capturedLogs() as logged:
        bench = DaemonBench(tmp_path, CONFIG, running_s=0.2)
    assert "Not all services were started" in [event["log_format"] for event in logged]
    with capturedLogs() as logged:
        bench.stop()
    assert not any("log_failure" in event for event in logged)


def test_without_bgp_nobody_is_misled_while_the_daemon_stands_still(tmp_path: Path) -> None:
    bench = DaemonBench(tmp_path, CONFIG, running_s=0.2)
    done: list[str] = []
    bench.daemon.stand_still(lambda: done.append("done"))
    assert done == ["done"]


def test_a_search_for_garbage_is_not_taken_for_a_process_that_others_stopped(
    tmp_path: Path,
) -> None:
    bench = DaemonBench(tmp_path, CONFIG, running_s=0.2)
    with capturedLogs() as logged:
        bench.daemon.stand_still(lambda: bench.clock.advance(1.0))
        bench.clock.advance(1.0)
    first, second = (line for line in map(str, map(formatEvent, logged)) if "lost" in line)
    assert "it searched all of its memory for garbage. Checks that" in first
    assert "it was stopped or starved, or the clock jumped" in second
