"""The real kernel keeps the contract. Run in the virtual machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pybal.ipvs.netlink import NetlinkKernel
from tests.ipvs.contract import KernelContract
from tests.kernel.capability import without_net_admin

pytestmark = pytest.mark.kernel


@pytest.fixture
def kernel(kernel: NetlinkKernel) -> NetlinkKernel:
    """Without sync daemons, too."""
    for daemon in kernel.sync_daemons():
        kernel.stop_sync(daemon.role)
    return kernel


@pytest.fixture
def forbidden() -> Iterator[NetlinkKernel]:
    opened = NetlinkKernel()
    opened.open()
    with without_net_admin():
        yield opened
    opened.close()


class TestNetlinkKernel(KernelContract):
    """The contract."""
