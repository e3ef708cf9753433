"""How the daemon starts, or says why it does not, on a kernel where something is missing."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from pybal.ipvs.netlink import NetlinkKernel
from tests.ipvs.examples import WEB
from tests.kernel.test_ipvs_faults import REMOVE_ALL_MODULES, run, without_module_loading
from tests.running import RunningPybal, until

HASHED = replace(WEB, address=ip_address("192.0.2.2"))

SERVICE = """
[{name}]
protocol = tcp
ip = {ip}
port = 80
scheduler = {scheduler}
config = file://{folder}/pool
monitors = []
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Two services, of which one needs ip_vs_mh."""
    (tmp_path / "pool").write_text("{'host': '198.51.100.1'}\n")
    return f"[global]\nstate-directory = {tmp_path}/state\n" + "".join(
        SERVICE.format(name=name, ip=ip, scheduler=scheduler, folder=tmp_path)
        for name, ip, scheduler in (("web", "192.0.2.1", "wrr"), ("hashed", "192.0.2.2", "mh"))
    )


def pybal(config: str, folder: Path, *before: str) -> subprocess.CompletedProcess[str]:
    """One that ends by itself."""
    path = folder / "pybal.conf"
    path.write_text(config)
    command = [*before, sys.executable, "-m", "pybal", "-c", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_without_ipvs_it_ends_with_3_and_says_what_to_do(config: str, tmp_path: Path) -> None:
    run("sh", "-c", REMOVE_ALL_MODULES)
    with without_module_loading():
        done = pybal(config, tmp_path)
    assert done.returncode == 3
    assert "CRITICAL: open the IPVS table over netlink" in done.stderr
    assert "modprobe ip_vs" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_permission_it_ends_with_4_and_says_what_is_needed(
    config: str, tmp_path: Path
) -> None:
    run("modprobe", "ip_vs")
    drop = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
    done = pybal(config, tmp_path, *drop)
    assert done.returncode == 4
    assert "CAP_NET_ADMIN" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_service_without_its_scheduler_is_named_and_stops_no_other(
    config: str, tmp_path: Path
) -> None:
    run("sh", "-c", REMOVE_ALL_MODULES)
    run("modprobe", "-a", "ip_vs", "ip_vs_wrr")
    kernel = NetlinkKernel()
    with RunningPybal(lambda *command: [*command], tmp_path, config) as daemon:
        with without_module_loading():
            until(lambda: (found := kernel.read(WEB)) and found.destinations)
            daemon.wait_said("Could not add service tcp 192.0.2.2:80 (mh)")
            daemon.wait_said("[hashed]: ip_vs_mh is not loaded")
            daemon.wait_said("modprobe ip_vs_mh")
            alerts = daemon.ask_control("/alerts")[1]
            assert alerts.startswith("CRITICAL - IPVS: the kernel does not hold hashed ")
        until(lambda: (found := kernel.read(HASHED)) and found.destinations)
        until(lambda: daemon.ask_control("/alerts")[1].startswith("OK"))
        assert daemon.stop() == 0
    kernel.close()


def of_the_kernel(output: str) -> list[str]:
    """The notes; not that of addresses, which are on no interface here."""
    notes = [line for line in output.splitlines() if line.startswith("NOTE: ")]
    return [note for note in notes if "on no interface" not in note]


def test_a_check_of_the_configuration_tells_what_will_be_missing(
    config: str, tmp_path: Path
) -> None:
    run("sh", "-c", REMOVE_ALL_MODULES)
    path = tmp_path / "pybal.conf"
    path.write_text(config)
    command = [sys.executable, "-m", "pybal", "--check-config", "-c", str(path)]
    with without_module_loading():
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    notes = of_the_kernel(done.stdout)
    assert len(notes) == 3
    assert notes[0].endswith("modprobe ip_vs")
    assert "[web]: ip_vs_wrr is not loaded" in notes[1]
    assert "[hashed]: ip_vs_mh is not loaded" in notes[2]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert of_the_kernel(done.stdout) == []
    assert not Path("/proc/net/ip_vs").exists()
