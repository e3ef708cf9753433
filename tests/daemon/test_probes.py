"""Isolation's probes do not take turns with the checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from pybal.daemon.daemon import Daemon
from pybal.ipvs.memory import MemoryKernel
from pybal.reload.running import started
from tests.bgp.memory import MemoryNetwork
from tests.config.texts import load
from tests.fakes.daemon import STEP_S, Answering, Reactor, memory_ports
from tests.fakes.deferreds import at_once

HOSTS = [f"192.0.2.{n}" for n in range(1, 11)]


def config(folder: Path) -> Path:
    (folder / "pool").write_text("".join(f"{{'host': '{host}'}}\n" for host in HOSTS))
    path = folder / "pybal.conf"
    path.write_text(f"""
[global]
state-directory = none
control-socket = no

[web]
protocol = tcp
ip = 203.0.113.1
port = 80
scheduler = rr
config = file://{folder}/pool
depool-threshold = 0
monitors = ["IdleConnection"]
""")
    return path


def test_probes_are_told_of_by_a_network_of_their_own(tmp_path: Path) -> None:
    clock, kernel = Reactor(), MemoryKernel()
    checks, probes = Answering(clock, set(HOSTS[:5])), Answering(clock, set())
    probes.silent = True
    ports = memory_ports(clock, at_once, checks, kernel, MemoryNetwork(clock), lambda _: None)
    result = load(config(tmp_path))
    assert result.settings is not None
    ports = ports._replace(probing=cast(Any, probes))
    daemon = Daemon(started(result, result.settings, 1e9), ports)
    daemon.start()
    clock.pump([STEP_S] * 100)
    assert probes.connections > 0
    assert daemon.view.daemon().health.isolation.total == 1
