"""Timeouts and sync daemons become what pybal.conf says, and nothing else is touched."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pybal.ipvs.dry_run import DryRunKernel
from pybal.ipvs.kernel import Kernel
from pybal.ipvs.kernel_wide import KernelWide
from pybal.ipvs.memory import MemoryKernel
from pybal.ipvs.model import SyncDaemon, SyncRole, Timeouts
from pybal.ipvs.options import KernelOptions
from tests.fakes.log import FakeLog

MASTER = SyncDaemon(SyncRole.MASTER, "eth0", 7)
BACKUP = SyncDaemon(SyncRole.BACKUP, "eth0", 7)


def wide(kernel: Kernel, options: KernelOptions, log: FakeLog | None = None) -> KernelWide:
    return KernelWide(kernel, options, (log or FakeLog()).logger("ipvs"))


@pytest.fixture
def kernel() -> MemoryKernel:
    return MemoryKernel(interfaces=["eth0"])


def test_without_options_all_stays_and_nothing_is_even_read() -> None:
    forbidden = MemoryKernel(permitted=False)
    log = FakeLog()
    wide(forbidden, KernelOptions(), log).reconcile()
    assert log.lines == []


def test_only_the_timeouts_that_are_given_are_set_and_only_when_they_differ(
    kernel: MemoryKernel,
) -> None:
    log = FakeLog()
    kernel_wide = wide(kernel, KernelOptions(Timeouts(tcp_s=1000, udp_s=300)), log)
    kernel_wide.reconcile()
    kernel_wide.reconcile()
    assert kernel.timeouts() == Timeouts(1000, 120, 300)
    assert log.lines == ["[ipvs] INFO: IPVS timeouts set: tcp 1000 s, was 900 s"]
    kernel.set_timeouts(Timeouts(tcp_s=5))
    kernel_wide.reconcile()
    assert kernel.timeouts().tcp_s == 1000


def test_daemons_that_are_not_wanted_stop_before_others_start(kernel: MemoryKernel) -> None:
    other = replace(MASTER, sync_id=8)
    kernel.start_sync(other)
    kernel.start_sync(BACKUP)
    wide(kernel, KernelOptions(sync=(MASTER,))).reconcile()
    assert kernel.sync_daemons() == (MASTER,)
    wide(kernel, KernelOptions(sync=(MASTER, BACKUP))).reconcile()
    assert kernel.sync_daemons() == (MASTER, BACKUP)
    wide(kernel, KernelOptions(sync=())).reconcile()
    assert kernel.sync_daemons() == ()


def test_what_fails_is_logged_once_and_tried_again() -> None:
    kernel = MemoryKernel(interfaces=["eth0"])
    lost = replace(MASTER, interface="eth1")
    log = FakeLog()
    kernel_wide = wide(kernel, KernelOptions(Timeouts(tcp_s=5), (lost, BACKUP)), log)
    kernel_wide.reconcile()
    kernel_wide.reconcile()
    assert [line for line in log.lines if "ERROR" in line] == [
        "[ipvs] ERROR: Could not start the master sync daemon on eth1 (id 7, 224.0.0.81:8848,"
        " TTL 1): No such device (ENODEV); there is no such interface"
    ]
    assert kernel.sync_daemons() == (BACKUP,)
    assert kernel.timeouts().tcp_s == 5


def test_a_dry_run_shows_the_commands() -> None:
    log = FakeLog()
    kernel = DryRunKernel(log.logger("ipvs"), interfaces=["eth0"])
    kernel.start_sync(BACKUP)
    wide(kernel, KernelOptions(Timeouts(1, 2), (MASTER,))).reconcile()
    assert log.lines[1:] == [
        "[ipvs] INFO: Dry run: ipvsadm --set 1 2 0",
        "[ipvs] INFO: Dry run: ipvsadm --stop-daemon backup",
        "[ipvs] INFO: Dry run: ipvsadm --start-daemon master --mcast-interface eth0 --syncid 7"
        " --mcast-group 224.0.0.81 --mcast-port 8848 --mcast-ttl 1",
    ]
