"""What must not touch the table: a restart while DNS is away, and a second daemon."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.test_daemon import pool_status, table, write_config
from tests.running import RunningPybal, until
from tests.stage import VIP4, Greeter, Stage


@pytest.fixture
def hosts(stage: Stage) -> Iterator[Path]:
    """The director's hosts file; there is no name server."""
    etc = Path("/etc/netns") / stage.director.namespace
    etc.mkdir(parents=True)
    (etc / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    (etc / "hosts").write_text(
        "".join(f"{real.address(VIP4)} {real.name}.example\n" for real in stage.reals)
    )
    yield etc / "hosts"
    shutil.rmtree(etc)


def test_a_restart_while_dns_is_away_changes_nothing_in_the_table(
    stage: Stage, greeters: dict[str, Greeter], hosts: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, stage, VIP4)
    pool = "".join(f"{{'host': '{real.name}.example', 'weight': 1}}\n" for real in stage.reals)
    (tmp_path / "web").write_text(pool)
    well = "".join(f"{real.name}.example:\tenabled/up/pooled\n" for real in stage.reals)
    with RunningPybal(stage.director.wrap, tmp_path, config) as pybal:
        pybal.wait_for("/pools/web", well)
        until(lambda: pybal.json("/api/v1/ipvs")["in_sync"])
        before = table(stage)
        assert len(before.splitlines()) == 4
        pybal.stop()
        hosts.write_text("")
        pybal.start()
        pybal.wait_for("/pools/web", well)
        until(lambda: all(_is_proven(pybal, real.name) for real in stage.reals))
        assert table(stage) == before
        assert pybal.json("/api/v1/ipvs")["changes_total"] == 0
    assert "the last known one" in pybal.log


def test_names_that_move_during_a_restart_take_nobody_out(
    stage: Stage, greeters: dict[str, Greeter], hosts: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, stage, VIP4)
    pool = "".join(f"{{'host': '{real.name}.example', 'weight': 1}}\n" for real in stage.reals)
    (tmp_path / "web").write_text(pool)
    well = "".join(f"{real.name}.example:\tenabled/up/pooled\n" for real in stage.reals)
    right = hosts.read_text()
    wrong = "".join(f"192.0.2.{number} {line.split()[1]}\n" for number, line in numbered(right))
    with RunningPybal(stage.director.wrap, tmp_path, config) as pybal:
        pybal.wait_for("/pools/web", well)
        until(lambda: pybal.json("/api/v1/ipvs")["in_sync"])
        before = table(stage)
        until((tmp_path / "state" / "addresses.json").exists)
        for _ in range(2):  # the second time, what is kept of names is wrong
            pybal.kill()
            hosts.write_text(wrong)
            pybal.start()
            pybal.wait_for("/pools/web", well)
            until(lambda: all(_is_proven(pybal, real.name) for real in stage.reals))
            assert table(stage) == before
            until(lambda: '"moving": [["' in kept_list(tmp_path))
    assert "it stays at" in pybal.log


def numbered(text: str) -> Iterator[tuple[int, str]]:
    yield from enumerate(text.splitlines(), start=1)


def kept_list(folder: Path) -> str:
    return (folder / "state" / "pool-lists" / "web.json").read_text()


def _is_proven(pybal: RunningPybal, name: str) -> bool:
    """Whether its monitors have spoken."""
    server = pybal.json(f"/api/v1/services/web/servers/{name}.example")
    return all(monitor["up"] for monitor in server["monitors"])


def test_a_second_daemon_leaves_the_table_to_the_first(
    stage: Stage, greeters: dict[str, Greeter], tmp_path: Path
) -> None:
    config = write_config(tmp_path, stage, VIP4)
    with RunningPybal(stage.director.wrap, tmp_path, config) as pybal:
        pybal.wait_for("/pools/web", pool_status(stage, VIP4))
        until(lambda: pybal.json("/api/v1/ipvs")["in_sync"])
        before = table(stage)
        command = [sys.executable, "-m", "pybal", "-c", str(pybal.config_path)]
        second = subprocess.run(
            stage.director.wrap(*command), capture_output=True, text=True, timeout=60, check=False
        )
        assert second.returncode == 5
        assert "CRITICAL: Another PyBal manages this IPVS table: process " in second.stderr
        assert table(stage) == before
        pybal.stop()
        pybal.start()
        until(lambda: pybal.get("/pools/web") == pool_status(stage, VIP4))
