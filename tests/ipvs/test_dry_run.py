"""A dry run keeps the contract too, and shows each change as an ipvsadm command."""

from __future__ import annotations

import errno

import pytest

from pybal.errors import KernelError
from pybal.ipvs.dry_run import DryRunKernel
from pybal.ipvs.operations import (
    AddDestination,
    AddService,
    EditDestination,
    RemoveDestination,
    RemoveService,
)
from tests.fakes.kernel import FakeKernel
from tests.fakes.log import FakeLog
from tests.ipvs.contract import KernelContract
from tests.ipvs.examples import DNS, WEB, WEB6, destination, pool, server
from tests.ipvs.tables import read_table


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


def beside(real: FakeKernel) -> tuple[FakeLog, DryRunKernel]:
    log = FakeLog()
    kernel = DryRunKernel(log.logger("ipvs"), real=real)
    kernel.open()
    return log, kernel


def test_a_dry_run_begins_with_what_really_stands_and_changes_nothing_there() -> None:
    real = FakeKernel({WEB: pool(WEB, 1)})
    log, kernel = beside(real)
    assert log.lines == []
    assert read_table(kernel) == {WEB: pool(WEB, 1)}
    kernel.apply([RemoveDestination(WEB, server(1)), AddService(pool(DNS).service)])
    assert read_table(kernel) == {WEB: pool(WEB), DNS: pool(DNS)}
    assert read_table(real) == {WEB: pool(WEB, 1)}
    assert real.applied == []
    assert len(log.lines) == 2


def test_a_dry_run_follows_what_others_really_change() -> None:
    real = FakeKernel({WEB: pool(WEB, 1), DNS: pool(DNS, 1)})
    _, kernel = beside(real)
    kernel.apply([AddDestination(WEB, destination(2))])
    real.by_hand(AddDestination(WEB, destination(3)), RemoveService(DNS))
    real.by_hand(AddService(pool(WEB6).service))
    assert read_table(kernel) == {WEB: pool(WEB, 1, 3), WEB6: pool(WEB6)}
    assert kernel.read(DNS) is None


def test_a_dry_run_without_ipvs_goes_on_with_an_empty_table() -> None:
    real = FakeKernel()
    real.broken = KernelError("open the IPVS table", errno.ENOENT)
    log, kernel = beside(real)
    assert "Dry run with an empty IPVS table" in log.lines[0]
    kernel.apply([AddService(pool(WEB).service)])
    assert read_table(kernel) == {WEB: pool(WEB)}
