"""A server that flaps, seen from outside of a whole daemon: kernel, why and counters."""

from __future__ import annotations

from pathlib import Path

import pytest

from pybal.model import ServerSnapshot
from tests.fakes.daemon import DaemonBench

FLAPPING = "10.0.0.1"
TEXT = """[global]
state-directory = none
control-socket = no
isolation = no
[web]
protocol = tcp
ip = 198.51.100.1
port = 80
scheduler = wrr
config = file://{folder}/pool
depool-threshold = {threshold}
monitors = ['TCPCheck']
tcpcheck.interval = 1
{options}
"""


def start(
    folder: Path, hosts: int, options: str = "", threshold: str = "0", refusing: str = ""
) -> DaemonBench:
    (folder / "pool").write_text("".join(f"{{'host': '10.0.0.{n + 1}'}}\n" for n in range(hosts)))
    text = TEXT.format(folder=folder, threshold=threshold, options=options)
    return DaemonBench(folder, text, {refusing} - {""})


def flapping(bench: DaemonBench) -> ServerSnapshot:
    service = bench.daemon.view.service("web")
    assert service is not None
    return next(s for s in service.servers if s.host == FLAPPING)


def changes_while_flapping(bench: DaemonBench, times: int = 30) -> int:
    """Operations on the kernel while the server is down and up for 3 s each, again and again."""
    before = bench.daemon.view.ipvs().changes_total
    for _ in range(times):
        for refuses in (True, False):
            (bench.network.refusing.add if refuses else bench.network.refusing.discard)(FLAPPING)
            bench.run(3)
            if refuses:
                assert not flapping(bench).up
    return bench.daemon.view.ipvs().changes_total - before


def test_a_flapping_server_changes_the_table_a_few_times_and_is_back_within_a_minute(
    tmp_path: Path,
) -> None:
    bench = start(tmp_path, 3)
    assert changes_while_flapping(bench) <= 12
    server = flapping(bench)
    assert (server.up, server.pooled) == (False, False)
    assert [monitor.up for monitor in server.monitors] == [True]
    assert server.hold_down is not None
    assert 0 < server.hold_down.until - (1e9 + bench.clock.seconds()) < 60
    bench.run(61)
    server = flapping(bench)
    assert (server.up, server.pooled, server.hold_down) == (True, True, None)
    service = bench.daemon.view.service("web")
    assert service is not None
    assert service.hold_downs_total > 10
    bench.stop()


def test_without_damping_each_flap_changes_the_table(tmp_path: Path) -> None:
    bench = start(tmp_path, 3, "flap-damping = no")
    assert changes_while_flapping(bench) == 60
    assert flapping(bench).pooled
    bench.stop()


@pytest.mark.parametrize(
    ("hosts", "threshold", "refusing"), [(1, "0", ""), (2, "0", "10.0.0.2"), (2, "1", "")]
)
def test_where_nobody_else_serves_or_the_threshold_wants_it_nothing_is_held(
    tmp_path: Path, hosts: int, threshold: str, refusing: str
) -> None:
    bench = start(tmp_path, hosts, threshold=threshold, refusing=refusing)
    changes_while_flapping(bench, 10)
    assert (flapping(bench).up, flapping(bench).pooled) == (True, True)
    bench.stop()


def test_a_held_server_comes_when_the_last_other_one_leaves_by_the_list(tmp_path: Path) -> None:
    bench = start(tmp_path, 2, "list-floor = 0")
    changes_while_flapping(bench, 8)
    assert not flapping(bench).pooled
    (tmp_path / "pool").write_text("{'host': '10.0.0.1'}\n{'host': '10.0.0.2', 'enabled': False}\n")
    bench.run(4)
    assert flapping(bench).pooled
    bench.stop()
