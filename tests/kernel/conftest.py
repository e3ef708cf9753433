"""Tests on a real IPVS kernel: `scripts/vm -- python -m pytest tests/kernel`.

Outside the virtual machine they are not collected. A host of one's own with IPVS will do as
well: PYBAL_IN_VM=1, as root; everything happens in network namespaces.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pybal.ipvs.netlink import NetlinkKernel
from tests.kernel.bgpsite import PORT, Site, open_site
from tests.stage import Greeter, Stage

HERE = Path(__file__).parent

if os.environ.get("PYBAL_IN_VM") != "1":
    collect_ignore_glob = ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.kernel)


@pytest.fixture(scope="session", autouse=True)
def _ipvs_kernel() -> None:
    """Without IPVS these tests fail: a run that tested nothing must not pass."""
    if not Path("/proc/net/ip_vs").exists():
        subprocess.run(["modprobe", "ip_vs"], check=False)
    if not Path("/proc/net/ip_vs").exists():
        pytest.fail("this kernel has no IPVS; run these tests with scripts/vm")


@pytest.fixture
def kernel() -> Iterator[NetlinkKernel]:
    """An empty table of this namespace."""
    subprocess.run(["ipvsadm", "-C"], check=True, timeout=30)
    opened = NetlinkKernel()
    opened.open()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def network() -> Iterator[Stage]:
    """A network of a client, a director and three real servers."""
    with Stage("test") as network:
        yield network


@pytest.fixture
def stage(network: Stage) -> Iterator[Stage]:
    """The module's network, with a director whose IPVS knows no service and no connection."""
    yield network
    network.clear()


@pytest.fixture
def greeters(stage: Stage) -> Iterator[dict[str, Greeter]]:
    """On each real server, something that answers with its name."""
    with ExitStack() as stack:
        found = {}
        for real in stage.reals:
            greeter = found[real.name] = Greeter(real, PORT)
            greeter.start()
            stack.callback(greeter.stop)
        yield found


@pytest.fixture(scope="module")
def bgp_stage() -> Iterator[Stage]:
    """Two directors and two real servers behind a router that is told routes."""
    with Stage("bgp", reals=2, directors=2, router=True, told_routes=True) as network:
        yield network


@pytest.fixture(scope="session")
def package() -> Path:
    """The Debian package, built by scripts/test on the host."""
    folder = os.environ.get("PYBAL_PACKAGES")
    if folder is None:
        pytest.fail("no package: `scripts/package FOLDER` on the host, and PYBAL_PACKAGES=FOLDER")
    (deb,) = Path(folder).glob("pybal_*.deb")
    return deb


@pytest.fixture
def site(bgp_stage: Stage, tmp_path: Path) -> Iterator[Site]:
    """What the directors behind BIRD are tested with."""
    with open_site(bgp_stage, tmp_path) as site:
        yield site
