"""The daemon on a real kernel with real traffic: depooling, recovery, restarts, IPv6, tunnels."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.load import Load
from tests.running import RunningPybal, until
from tests.stage import VIP4, VIP6, Greeter, Host, IPAddress, Stage, ask

PORT = 80

GLOBAL = """
[global]
instrumentation = yes
instrumentation_ips = ["127.0.0.1"]
state-directory = {folder}/state
"""

SERVICE = """
[{name}]
protocol = tcp
ip = {vip}
port = 80
scheduler = {scheduler}
tunneling = {tunneling}
config = file://{folder}/{name}
depool-threshold = .5
monitors = ["IdleConnection"]
"""


def write_config(
    folder: Path, stage: Stage, vip: IPAddress, *, tunneling: bool = False, scheduler: str = "rr"
) -> str:
    """One service named web over all real servers; also writes its pool list."""
    lines = [f"{{'host': '{real.address(vip)}', 'weight': 1}}\n" for real in stage.reals]
    (folder / "web").write_text("".join(lines))
    values = {"folder": folder, "name": "web", "vip": vip, "scheduler": scheduler}
    return GLOBAL.format(**values) + SERVICE.format(**values, tunneling=tunneling)


def pool_status(stage: Stage, vip: IPAddress, **statuses: str) -> str:
    """The text of /pools/web with these statuses by real server's name; default: all is well."""
    return "".join(
        f"{real.address(vip)}:\t{statuses.get(real.name, 'enabled/up/pooled')}\n"
        for real in stage.reals
    )


def wait_settled(pybal: RunningPybal, status: str) -> None:
    """Until /pools/web is this, and the kernel's table, too."""
    pybal.wait_for("/pools/web", status)
    until(lambda: pybal.json("/api/v1/ipvs")["in_sync"])


def table(stage: Stage) -> str:
    return stage.director.run("ipvsadm", "-Sn")


def answers(stage: Stage, vip: IPAddress, count: int = 12) -> set[str]:
    return {ask(stage.client, vip, PORT) for _ in range(count)}


@pytest.mark.parametrize("vip", [VIP4, VIP6], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("tunneling", [False, True], ids=["direct", "ipip"])
def test_traffic_follows_the_health_of_the_servers(
    stage: Stage, greeters: dict[str, Greeter], tmp_path: Path, vip: IPAddress, tunneling: bool
) -> None:
    config = write_config(tmp_path, stage, vip, tunneling=tunneling)
    with RunningPybal(stage.director.wrap, tmp_path, config) as pybal:
        wait_settled(pybal, pool_status(stage, vip))
        assert answers(stage, vip) == {"real1", "real2", "real3"}
        greeters["real1"].stop()
        down = "enabled/down/not pooled"
        # The connection of IdleConnection outlives the listener: only its end tells.
        reset_connections(stage.reals[0])
        wait_settled(pybal, pool_status(stage, vip, real1=down))
        assert answers(stage, vip) == {"real2", "real3"}
        greeters["real2"].stop()
        reset_connections(stage.reals[1])
        held = "enabled/down/pooled"
        wait_settled(pybal, pool_status(stage, vip, real1=down, real2=held))
        pybal.wait_said("Could not depool server")
        assert pybal.get("/alerts").startswith("CRITICAL - web: Servers ")
        greeters["real1"].start()
        wait_settled(pybal, pool_status(stage, vip, real2=down))
        assert answers(stage, vip) == {"real1", "real3"}


def reset_connections(host: Host) -> None:
    host.run("ss", "-K", "sport", "=", f":{PORT}")


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_a_restart_under_load_loses_no_request_and_changes_nothing_in_the_kernel(
    stage: Stage, greeters: dict[str, Greeter], tmp_path: Path, ending: str
) -> None:
    well = pool_status(stage, VIP4)
    load = Load(stage.client, VIP4, PORT)
    with RunningPybal(stage.director.wrap, tmp_path, write_config(tmp_path, stage, VIP4)) as pybal:
        wait_settled(pybal, well)
        before = table(stage)
        with load.running():
            until(lambda: connection_count(stage) > 0)
            connections = connection_count(stage)
            pybal.stop() if ending == "stop" else pybal.kill()
            assert table(stage) == before
            pybal.start()
            wait_settled(pybal, well)
            assert pybal.json("/api/v1/ipvs")["changes_total"] == 0
            until(lambda: connection_count(stage) > connections)
            # The service's own counter went on: it was never deleted and added again.
        assert table(stage) == before
    assert load.failures == []


def connection_count(stage: Stage) -> int:
    """The connections that the service on VIP4 has seen in its life."""
    lines = stage.director.run("ipvsadm", "-Ln", "--stats", "--exact").splitlines()
    (service,) = [line for line in lines if line.startswith(f"TCP  {VIP4}:{PORT}")]
    return int(service.split()[2])


def test_a_server_that_was_depooled_before_a_restart_waits_for_its_monitors(
    stage: Stage, greeters: dict[str, Greeter], tmp_path: Path
) -> None:
    down = pool_status(stage, VIP4, real1="enabled/down/not pooled")
    greeters["real1"].stop()
    with RunningPybal(stage.director.wrap, tmp_path, write_config(tmp_path, stage, VIP4)) as pybal:
        wait_settled(pybal, down)
        before = table(stage)
        pybal.stop()
        pybal.start()
        wait_settled(pybal, down)
        assert table(stage) == before
        assert pybal.json("/api/v1/ipvs")["changes_total"] == 0
        greeters["real1"].start()
        wait_settled(pybal, pool_status(stage, VIP4))
        until(lambda: str(stage.reals[0].ipv4) in table(stage))


def test_foreign_services_are_left_alone_and_changes_are_made_in_place(
    stage: Stage, greeters: dict[str, Greeter], tmp_path: Path
) -> None:
    run = stage.director.run
    run("ipvsadm", "-A", "-t", "198.51.100.9:25", "-s", "wlc")
    run("ipvsadm", "-A", "-f", "7", "-s", "sh")
    run("ipvsadm", "-A", "-t", f"{VIP4}:{PORT}", "-s", "wrr")
    run("ipvsadm", "-a", "-t", f"{VIP4}:{PORT}", "-r", f"{stage.reals[0].ipv4}:80", "-w", "7")
    answers(stage, VIP4, 3)
    # The kernel adds the counters up every two seconds.
    until(lambda: connection_count(stage) == 3)
    with RunningPybal(stage.director.wrap, tmp_path, write_config(tmp_path, stage, VIP4)) as pybal:
        wait_settled(pybal, pool_status(stage, VIP4))
        until(lambda: len(table(stage).splitlines()) == 6)
        lines = table(stage).splitlines()
    assert "-A -f 7 -s sh" in lines
    assert "-A -t 198.51.100.9:25 -s wlc" in lines
    assert f"-A -t {VIP4}:{PORT} -s rr" in lines
    assert connection_count(stage) == 3


def test_a_weight_of_zero_is_zero_in_the_kernel(
    stage: Stage, greeters: dict[str, Greeter], tmp_path: Path
) -> None:
    config = write_config(tmp_path, stage, VIP4)
    pool = tmp_path / "web"
    with RunningPybal(stage.director.wrap, tmp_path, config) as pybal:
        wait_settled(pybal, pool_status(stage, VIP4))
        pool.write_text(pool.read_text().replace("'weight': 1", "'weight': 0", 1))
        line = f"-a -t {VIP4}:{PORT} -r {stage.reals[0].ipv4}:{PORT} -g -w 0"
        until(lambda: line in table(stage))
        assert answers(stage, VIP4) == {"real2", "real3"}


def test_without_ipvs_in_reach_the_daemon_says_so_and_exits_with_its_own_status(
    tmp_path: Path, stage: Stage
) -> None:
    config = write_config(tmp_path, stage, VIP4)
    (tmp_path / "pybal.conf").write_text(config)
    # Without the capability the kernel refuses even to list.
    command = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]
    done = subprocess.run(
        [*command, sys.executable, "-m", "pybal", "-c", str(tmp_path / "pybal.conf")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 4
    assert "CRITICAL" in done.stderr
    assert "Traceback" not in done.stderr
