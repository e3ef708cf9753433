"""Outages of the past, replayed with real clients: lists that take away one server after another,
and a rack that goes silent."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.load import Load
from tests.running import RunningPybal, until
from tests.stage import VIP4, Greeter, Host, Stage

PORT = 80

CONFIG = """
[global]
instrumentation = yes
instrumentation_ips = ["127.0.0.1"]
state-directory = {folder}/state
control-socket = {folder}/control.sock

[web]
protocol = tcp
ip = {vip}
port = 80
scheduler = rr
config = file://{folder}/web
depool-threshold = {threshold}
list-floor = .5
# A server that is taken out keeps the connections that it has.
depool-method = drain
monitors = ["TCPCheck"]
tcpcheck.interval = 1
tcpcheck.timeout = 1
"""


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage("incident", reals=10) as built, ExitStack() as stack:
        for real in built.reals:
            greeter = Greeter(real, PORT)
            greeter.start()
            stack.callback(greeter.stop)
        yield built


def write_list(folder: Path, stage: Stage, disabled: int = 0) -> None:
    """The first so many servers are disabled; as a program writes it, by a rename."""
    lines = [
        f"{{'host': '{real.ipv4}', 'weight': 1, 'enabled': {number >= disabled}}}\n"
        for number, real in enumerate(stage.reals)
    ]
    (folder / "web.new").write_text("".join(lines))
    (folder / "web.new").rename(folder / "web")


def pooled(pybal: RunningPybal) -> int:
    return sum(line.endswith("/pooled") for line in pybal.get("/pools/web").splitlines())


def test_lists_that_disable_one_server_after_another_stop_at_the_floor(
    stage: Stage, tmp_path: Path
) -> None:
    """2023-04-17 and 2023-05-25, twenty times as fast."""
    write_list(tmp_path, stage)
    config = CONFIG.format(folder=tmp_path, vip=VIP4, threshold=".5")
    load = Load(stage.client, VIP4, PORT)
    with RunningPybal(stage.director.wrap, tmp_path, config) as pybal:
        until(lambda: pooled(pybal) == 10)
        with load.running():
            for disabled in range(1, 11):
                write_list(tmp_path, stage, disabled)
                time.sleep(1.2)
            until(lambda: pybal.json("/api/v1/services/web")["held"])
            assert pooled(pybal) == 5
            assert pybal.get("/alerts").startswith("WARNING")
    assert load.failures == []


def test_a_list_that_shrinks_over_a_restart_counts_on_no_dead_server_that_the_kernel_holds(
    stage: Stage, tmp_path: Path
) -> None:
    """Six of ten are dead, and two of them pooled all the same. To take three more away would
    leave one that works."""
    write_list(tmp_path, stage)
    config = CONFIG.format(folder=tmp_path, vip=VIP4, threshold=".5")
    dead = stage.reals[4:]
    with RunningPybal(stage.director.wrap, tmp_path, config) as pybal:
        until(lambda: pooled(pybal) == 10)
        with without_route(stage, dead):
            until(lambda: len(down(pybal)) == 6)
            until(lambda: len(kept_unproven(tmp_path)) == 6)
            pybal.kill()
            write_list(tmp_path, stage, 3)
            pybal.start()
            until(lambda: pybal.json("/api/v1/services/web")["held"])
            until(lambda: len(down(pybal)) == 6)
            up = [s for s in pybal.json("/api/v1/services/web")["servers"] if s["up"]]
            assert len([server for server in up if server["pooled"]]) == 4
        until(lambda: pooled(pybal) == 7)


def down(pybal: RunningPybal) -> list[str]:
    servers = pybal.json("/api/v1/services/web")["servers"]
    return [server["host"] for server in servers if not server["up"]]


def kept_unproven(folder: Path) -> list[str]:
    kept = json.loads((folder / "state" / "pool-lists" / "web.json").read_text())
    return list(kept["past"]["unproven"])


@contextmanager
def without_route(stage: Stage, reals: Sequence[Host]) -> Iterator[None]:
    """They do not answer the director."""
    way = ("blackhole", str(stage.director.ipv4))
    for real in reals:
        real.run("ip", "route", "add", *way)
    try:
        yield
    finally:
        for real in reals:
            real.run("ip", "route", "del", *way)


def test_a_rack_that_goes_silent_is_out_within_the_time_of_its_checks(
    stage: Stage, tmp_path: Path
) -> None:
    write_list(tmp_path, stage)
    config = CONFIG.format(folder=tmp_path, vip=VIP4, threshold=".2")
    with RunningPybal(stage.director.wrap, tmp_path, config) as pybal:
        until(lambda: pooled(pybal) == 10)
        with without_route(stage, stage.reals[:8]):
            began = time.monotonic()
            until(lambda: pooled(pybal) == 2, 60.0)
            assert time.monotonic() - began < 20
            assert pybal.json("/api/v1/daemon")["health"]["isolation"]["total"] == 0
        until(lambda: pooled(pybal) == 10)
