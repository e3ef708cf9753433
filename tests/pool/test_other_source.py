"""A restart with another source: its first list is held against what was in force, as in a
reload."""

from __future__ import annotations

from pathlib import Path

import pytest

from pybal.ipvs.memory import MemoryKernel
from pybal.model import ServiceSnapshot
from tests.fakes.daemon import DaemonBench

TEXT = """
[global]
control-socket = no
history-size = 0
state-directory = {folder}/state
[web]
protocol = tcp
ip = 198.51.100.1
port = 80
scheduler = wrr
config = file://{folder}/{pool}
monitors = [ "IdleConnection" ]
"""
SERVERS = tuple(f"192.0.2.{number}" for number in range(10, 18))


def run(folder: Path, pool: str, hosts: tuple[str, ...], kernel: MemoryKernel) -> DaemonBench:
    (folder / pool).write_text("".join(f"{{'host': '{host}'}}\n" for host in hosts))
    return DaemonBench(folder, TEXT.format(folder=folder, pool=pool), kernel=kernel)


def pooled(bench: DaemonBench) -> tuple[ServiceSnapshot, set[str]]:
    (service,) = bench.daemon.view.services()
    return service, {server.host for server in service.servers if server.pooled}


@pytest.fixture
def kernel(tmp_path: Path) -> MemoryKernel:
    """As a run left it whose pool list was another file."""
    kernel = MemoryKernel()
    run(tmp_path, "former", SERVERS, kernel).stop()
    return kernel


def test_a_short_list_takes_nobody_out_and_an_operator_may_want_it_so(
    tmp_path: Path, kernel: MemoryKernel
) -> None:
    bench = run(tmp_path, "present", SERVERS[:1], kernel)
    service, serving = pooled(bench)
    assert serving == set(SERVERS)
    assert service.held
    bench.daemon.controls.confirm("web", "alice")
    bench.run(5)
    assert pooled(bench)[1] == set(SERVERS[:1])
    bench.stop()


def test_other_servers_that_work_take_the_place_of_the_former(
    tmp_path: Path, kernel: MemoryKernel
) -> None:
    others = tuple(f"192.0.2.{number}" for number in range(30, 38))
    bench = run(tmp_path, "present", others, kernel)
    bench.run(60)
    service, serving = pooled(bench)
    assert serving == set(others)
    assert not service.held
    bench.stop()


def test_where_nothing_stands_in_the_kernel_the_new_list_alone_counts(
    tmp_path: Path, kernel: MemoryKernel
) -> None:
    """That run may be long ago: nobody brings its servers back."""
    bench = run(tmp_path, "present", SERVERS[:1], MemoryKernel())
    service, serving = pooled(bench)
    assert serving == set(SERVERS[:1])
    assert [server.host for server in service.servers] == [SERVERS[0]]
    bench.stop()
