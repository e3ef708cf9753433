"""The real kernel keeps the contract. Run in the virtual machine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from pybal.ipvs.netlink import NetlinkKernel
from tests.ipvs.contract import KernelContract
from tests.kernel.capability import without_net_admin

pytestmark = pytest.mark.kernel


@pytest.fixture
def kernel() -> Iterator[NetlinkKernel]:
    subprocess.run(["ipvsadm", "-C"], check=True, timeout=10)
    opened = NetlinkKernel()
    opened.open()
    for daemon in opened.sync_daemons():
        opened.stop_sync(daemon.role)
    yield opened
    opened.close()


@pytest.fixture
def forbidden() -> Iterator[NetlinkKernel]:
    opened = NetlinkKernel()
    opened.open()
    with without_net_admin():
        yield opened
    opened.close()


class TestNetlinkKernel(KernelContract):
    """The contract."""
