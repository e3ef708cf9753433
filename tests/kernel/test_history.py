"""The history of a daemon that changes a kernel: why something was so, over kill -9, a clock that
is set and a disk that is full."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.test_daemon import (
    pool_status,
    reset_connections,
    wait_settled,
    write_config,
)
from tests.running import RunningPybal, until
from tests.stage import VIP4, Greeter, Stage

pytestmark = pytest.mark.kernel

DOWN = "enabled/down/not pooled"


def events(pybal: RunningPybal, query: str = "limit=1000") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pybal.json(f"/api/v1/events?{query}")["events"]
    return found


def test_why_is_answered_for_a_moment_of_a_life_that_was_killed(
    stage: Stage, greeters: dict[str, Greeter], tmp_path: Path
) -> None:
    real = str(stage.reals[0].address(VIP4))
    with RunningPybal(stage.director.wrap, tmp_path, write_config(tmp_path, stage, VIP4)) as pybal:
        wait_settled(pybal, pool_status(stage, VIP4))
        greeters["real1"].stop()
        reset_connections(stage.reals[0])
        wait_settled(pybal, pool_status(stage, VIP4, real1=DOWN))
        until(lambda: pybal.json("/api/v1/daemon")["history"]["disk"]["waiting"] == 0)
        time.sleep(0.5)
        then = time.time()
        before = events(pybal)
        kernel = [event for event in before if event["kind"] == "kernel"][-1]
        report = next(event for event in before if event["seq"] == kernel["cause"])
        assert (report["kind"], report["host"]) == ("report", real)
        pybal.kill()
        greeters["real1"].start()
        pybal.start()
        wait_settled(pybal, pool_status(stage, VIP4))
        after = events(pybal, "limit=1000&after=0")
        assert [event["seq"] for event in after] == sorted({event["seq"] for event in after})
        assert after[: len(before)] == before
        assert {event["run"] for event in after} == {1, 2}
        words = ["why", real, "web", "--at", f"{then}"]
        command = [sys.executable, "-m", "pybal.ctl", f"--socket={pybal.control_path}", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        assert f"web: {real} was {DOWN}" in done.stdout
        assert "IdleConnection reports" in done.stdout
        modes = {
            stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "state").glob("history*")
        }
        assert modes == {0o600}


@pytest.mark.skipif("PYBAL_IN_VM" not in os.environ, reason="sets the clock")
def test_a_clock_that_is_set_and_a_full_disk_leave_the_balancing_alone(
    stage: Stage, greeters: dict[str, Greeter], tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(state)], check=True)
    try:
        config = write_config(tmp_path, stage, VIP4)
        with RunningPybal(stage.director.wrap, tmp_path, config) as pybal:
            wait_settled(pybal, pool_status(stage, VIP4))
            subprocess.run(["date", "-s", "+400 days"], check=True, capture_output=True)
            fill = ["dd", "if=/dev/zero", f"of={state}/ballast", "bs=4k"]
            assert subprocess.run(fill, capture_output=True, check=False).returncode == 1
            greeters["real1"].stop()
            reset_connections(stage.reals[0])
            wait_settled(pybal, pool_status(stage, VIP4, real1=DOWN))
            subprocess.run(["date", "-s", "-400 days"], check=True, capture_output=True)
            greeters["real1"].start()
            wait_settled(pybal, pool_status(stage, VIP4))
            (state / "ballast").unlink()
            until(lambda: not pybal.json("/api/v1/daemon")["history"]["disk"]["last_error"])
            kinds = [event["kind"] for event in events(pybal)]
            assert kinds.count("clock") == 2
            assert kinds.count("start") == 1
            assert 'pybal_history_events_lost_total{cause="queue full"} 0.0' in pybal.get(
                "/metrics"
            )
    finally:
        subprocess.run(["umount", "-l", str(state)], check=False)
