"""A dry run keeps the contract too, and shows each change as an ipvsadm command."""

from __future__ import annotations

import pytest

from pybal.ipvs.dryrun import DryRunKernel
from pybal.ipvs.plan import AddDestination, AddService, EditDestination, RemoveService
from tests.fakes.log import FakeLog
from tests.ipvs.contract import KernelContract
from tests.ipvs.examples import DNS, WEB, destination, pool


@pytest.fixture
def kernel() -> DryRunKernel:
    return DryRunKernel(FakeLog().logger("ipvs"), interfaces=["lo"])


@pytest.fixture
def forbidden() -> DryRunKernel:
    return DryRunKernel(FakeLog().logger("ipvs"), permitted=False)


class TestDryRunKernel(KernelContract):
    """The contract."""


def test_each_accepted_operation_is_shown_and_no_other() -> None:
    log = FakeLog()
    kernel = DryRunKernel(log.logger("ipvs"), {WEB: pool(WEB, 1)})
    kernel.apply(
        [
            AddService(pool(WEB).service),
            AddService(pool(DNS).service),
            AddDestination(WEB, destination(2)),
            EditDestination(WEB, destination(1, weight=0)),
            EditDestination(WEB, destination(9)),
            RemoveService(DNS),
        ]
    )
    assert log.lines == [
        "[ipvs] INFO: Dry run: ipvsadm -A -u 192.0.2.1:53 -s wrr",
        "[ipvs] INFO: Dry run: ipvsadm -a -t 192.0.2.1:80 -r 198.51.100.2:80 -g -w 10",
        "[ipvs] INFO: Dry run: ipvsadm -e -t 192.0.2.1:80 -r 198.51.100.1:80 -g -w 0",
        "[ipvs] INFO: Dry run: ipvsadm -D -u 192.0.2.1:53",
    ]
