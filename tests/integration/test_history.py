"""The history of a real daemon: followed by pybalctl; and its file on a disk that is full."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock
from twisted.logger import Logger

from pybal.history.disk import FILE_NAME, DiskHistory
from pybal.history.event import Kind
from pybal.history.ledger import Ledger, Note
from pybal.history.settings import HistorySettings
from pybal.runtime.time_slices import TimeSlices
from tests.dry_run import CONFIG, here
from tests.fakes.deferreds import at_once
from tests.history.disk_bench import opened
from tests.running import RunningPybal, until

pytestmark = pytest.mark.integration


def ctl(pybal: RunningPybal, *words: str) -> list[str]:
    return [sys.executable, "-m", "pybal.ctl", f"--socket={pybal.control_path}", *words]


def said(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def test_events_are_shown_and_followed_until_the_daemon_ends(tmp_path: Path) -> None:
    (tmp_path / "pool").write_text("{'host': '192.0.2.10'}\n")
    config = CONFIG.replace("{folder}", str(tmp_path))
    config = config.replace("state-directory = none", f"state-directory = {tmp_path}/state")
    with RunningPybal(here, tmp_path, config, "-n") as pybal:
        until(lambda: "192.0.2.10" in pybal.ask_control("/pools/web_80")[1])
        shown = said(ctl(pybal, "events", "--since", "1h", "--all"))
        assert "start      PyBal " in shown
        assert "decision   [web_80] 192.0.2.10 is pooled" in shown
        why = said(ctl(pybal, "why", "192.0.2.10", "--at", "now"))
        assert "web_80: 192.0.2.10 was enabled/up/pooled" in why
        follow = ctl(pybal, "events", "--follow", "--json", "--kind", "list", "--kind", "operator")
        with subprocess.Popen(follow, stdout=subprocess.PIPE, text=True) as following:
            assert following.stdout is not None
            first = json.loads(following.stdout.readline())
            assert (first["kind"], first["service"]) == ("list", "web_80")
            said(ctl(pybal, "reload"))
            second = json.loads(following.stdout.readline())
            assert second["text"].endswith(" asks for a reload")
            assert second["seq"] > first["seq"]
            pybal.stop()
            assert "ended the stream" in following.stdout.read()
            assert following.wait(30) == 3
    assert not (tmp_path / "state").exists(), "a dry run writes nothing"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_is_full_costs_events_and_what_fits_is_written_later(small_disk: Path) -> None:
    clock, log = Clock(), Logger(namespace="history")
    ledger = Ledger(clock, lambda: 1e9 + clock.seconds(), TimeSlices(clock), log)
    disk = DiskHistory(small_disk, HistorySettings(), lambda: 1e9, at_once, log)
    ledger.begin(*opened(disk))
    ledger.keep_on(disk)
    ledger.note(Note(Kind.REPORT, "first"))
    ledger.flush()
    until(lambda: disk.snapshot().written_total == 1)
    ballast = small_disk / "ballast"
    fill = ["dd", "if=/dev/zero", f"of={ballast}", "bs=4k"]
    assert subprocess.run(fill, capture_output=True, check=False).returncode == 1
    for number in range(30_000):
        ledger.note(Note(Kind.REPORT, f"{number} {'x' * 100}"))
    ledger.flush()
    until(lambda: disk.snapshot().errors_total > 0)
    found = disk.snapshot()
    assert "full" in found.last_error
    assert found.waiting <= 20_000
    assert dict(found.lost)["queue full"] >= 9_000
    ballast.unlink()
    until(lambda: not disk.snapshot().waiting, 120)
    assert disk.snapshot().last_error == ""
    assert (small_disk / FILE_NAME).stat().st_size < 8 << 20
    ledger.flush()
    clock.advance(1)
    disk.close()
