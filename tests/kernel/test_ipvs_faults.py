"""The real kernel when something is missing, forbidden, or changed by someone else."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from twisted.internet.task import Clock

from pybal.errors import KernelError
from pybal.ipvs.connection import Connection
from pybal.ipvs.kernel import Kernel, OperationResult
from pybal.ipvs.manager import IPVSManager
from pybal.ipvs.model import Service, ServiceEntry
from pybal.ipvs.netlink import BATCH, NetlinkKernel
from pybal.ipvs.operations import AddDestination, AddService, RemoveDestination
from tests.ipvs.examples import DNS, WEB, WEB6, destination, pool, server
from tests.ipvs.tables import read_table

# The kernel clears up a deleted network namespace, and its services, a little later.
REMOVE_ALL_MODULES = """
ipvsadm -C
for attempt in $(seq 300); do
    modprobe -ra $(lsmod | sed -n 's/^\\(ip_vs_[a-z_]*\\) .*/\\1/p') ip_vs && exit
    sleep 0.1
done
exit 1
"""


def run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=90)


@pytest.fixture
def manage(kernel: NetlinkKernel) -> Iterator[tuple[Clock, IPVSManager]]:
    clock = Clock()
    manager = IPVSManager(clock, kernel, lambda: 0.0, dry_run=False)
    manager.start()
    yield clock, manager
    manager.stop()


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@contextlib.contextmanager
def without_module_loading() -> Iterator[None]:
    """The kernel finds no modprobe to run."""
    setting = Path("/proc/sys/kernel/modprobe")
    before = setting.read_text("ascii")
    setting.write_text("/nonexistent", "ascii")
    try:
        yield
    finally:
        setting.write_text(before, "ascii")


def test_without_ip_vs_opening_fails_with_what_to_do_and_leaves_nothing_open() -> None:
    run("sh", "-c", REMOVE_ALL_MODULES)
    before = open_descriptors()
    with without_module_loading():
        for _ in range(3):
            with pytest.raises(KernelError, match="modprobe ip_vs") as caught:
                NetlinkKernel().open()
            assert caught.value.errno == errno.ENOENT
    assert open_descriptors() == before


def test_where_the_kernel_may_load_modules_opening_loads_ip_vs() -> None:
    run("sh", "-c", REMOVE_ALL_MODULES)
    kernel = NetlinkKernel()
    kernel.open()
    assert kernel.services().services == ()
    kernel.close()


def test_ipvs_that_is_unloaded_and_loaded_again_is_found_again(
    kernel: NetlinkKernel, manage: Manage
) -> None:
    publish(manage, pool(WEB, 1, 2))
    run("sh", "-c", REMOVE_ALL_MODULES)
    clock, manager = manage
    with without_module_loading():
        manager.audit()
        clock.advance(0)
        assert "modprobe ip_vs says why" in str(manager.snapshot())
    manager.audit()
    clock.advance(0)
    stands(kernel, manager, pool(WEB, 1, 2))


def test_a_scheduler_whose_module_cannot_be_loaded_is_named_and_works_once_it_can(
    kernel: NetlinkKernel,
) -> None:
    run("modprobe", "-r", "ip_vs_mh")
    operation = AddService(Service(WEB, "mh"))
    with without_module_loading():
        (outcome,) = kernel.apply([operation])
    assert outcome.error is not None
    assert outcome.error.errno == errno.ENOENT
    assert "modprobe ip_vs_mh" in str(outcome.error)
    assert kernel.apply([operation]) == (OperationResult(operation),)


UNPRIVILEGED = """
import sys
from pybal.errors import KernelError
from pybal.ipvs.netlink import NetlinkKernel
from pybal.ipvs.operations import RemoveService
from tests.ipvs.examples import WEB
kernel = NetlinkKernel()
kernel.open()
(outcome,) = kernel.apply([RemoveService(WEB)])
print(outcome.error)
try:
    kernel.services()
except KernelError as error:
    print(error)
"""


def test_without_the_capability_both_reading_and_changing_say_so() -> None:
    done = subprocess.run(
        [
            *("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"),
            *(sys.executable, "-c", UNPRIVILEGED),
        ],
        check=True,
        timeout=60,
        stdout=subprocess.PIPE,
        text=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert "(EPERM)" in line
        assert "CAP_NET_ADMIN" in line


def test_a_batch_of_refusals_fits_into_the_smallest_usual_receive_buffer(
    kernel: NetlinkKernel,
) -> None:
    with open("/proc/sys/net/core/rmem_default", encoding="ascii") as file:
        assert int(file.read()) <= 212_992
    outcomes = kernel.apply([AddDestination(WEB, destination(n)) for n in range(1, BATCH + 1)])
    assert [o.error.errno for o in outcomes if o.error] == [errno.ESRCH] * BATCH


def test_an_overrun_of_the_socket_is_an_outcome_and_the_next_call_finds_another_socket() -> None:
    class Cramped(NetlinkKernel):
        """Its first socket has room for a few answers only."""

        def _connect(self) -> Connection:
            if self.cramped:
                self.cramped = False
                with_room = super()._connect()
                taken = cast(socket.socket, with_room._socket)
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
                return with_room
            return super()._connect()

        cramped = True

    kernel = Cramped()
    outcomes = kernel.apply([RemoveDestination(DNS, server(n)) for n in range(1, BATCH + 1)])
    numbers = [o.error.errno for o in outcomes if o.error]
    assert len(numbers) == BATCH
    assert set(numbers) == {errno.ENOBUFS}
    assert "whether it was done is not known" in str(outcomes[-1].error)
    outcomes = kernel.apply([RemoveDestination(DNS, server(n)) for n in range(1, BATCH + 1)])
    assert {o.error.errno for o in outcomes if o.error} == {errno.ESRCH}
    kernel.close()


def test_many_connections_leave_nothing_open() -> None:
    before = open_descriptors()
    for _ in range(20):
        kernel = NetlinkKernel()
        kernel.open()
        kernel.services()
        kernel.close()
    assert open_descriptors() == before


Manage = tuple[Clock, IPVSManager]


def publish(manage: Manage, *entries: ServiceEntry) -> None:
    clock, manager = manage
    for entry in entries:
        manager.publish(entry)
    clock.advance(0)


def stands(kernel: Kernel, manager: IPVSManager, *entries: ServiceEntry) -> None:
    expected = {entry.service.key: entry for entry in entries}
    assert read_table(kernel) == expected
    assert manager.table == expected
    assert manager.snapshot().in_sync


def test_a_flush_by_hand_is_repaired_at_once_for_what_the_next_change_touches(
    kernel: NetlinkKernel, manage: Manage
) -> None:
    publish(manage, pool(WEB, 1, 2, 3), pool(DNS, 1), pool(WEB6, 1))
    run("ipvsadm", "-C")
    publish(manage, pool(WEB, 1, 3))
    assert read_table(kernel) == {WEB: pool(WEB, 1, 3)}
    clock, manager = manage
    manager.audit()
    clock.advance(0)
    stands(kernel, manager, pool(WEB, 1, 3), pool(DNS, 1), pool(WEB6, 1))


BY_HAND: list[tuple[str, Callable[[], ServiceEntry]]] = [
    ("ipvsadm -d -t 192.0.2.1:80 -r 198.51.100.1:80", lambda: pool(WEB, 2)),
    ("ipvsadm -a -t 192.0.2.1:80 -r 198.51.100.3:80 -g", lambda: pool(WEB, 1, 2, 3)),
    ("ipvsadm -e -t 192.0.2.1:80 -r 198.51.100.1:80 -i -w 5", lambda: pool(WEB, 1, 2)),
    ("ipvsadm -E -t 192.0.2.1:80 -s rr -p 60", lambda: pool(WEB, 1, 2)),
    ("ipvsadm -D -t 192.0.2.1:80", lambda: pool(WEB, 2)),
]


@pytest.mark.parametrize(("command", "wanted"), BY_HAND, ids=[command for command, _ in BY_HAND])
def test_what_someone_does_by_hand_is_undone(
    kernel: NetlinkKernel, manage: Manage, command: str, wanted: Callable[[], ServiceEntry]
) -> None:
    clock, manager = manage
    publish(manage, pool(WEB, 1, 2))
    run(*command.split())
    publish(manage, wanted())
    manager.audit()
    clock.advance(0)
    stands(kernel, manager, wanted())


def test_services_of_others_stay_as_they_are(kernel: NetlinkKernel) -> None:
    run("ipvsadm", "-A", "-t", "192.0.2.9:80", "-s", "rr")
    run("ipvsadm", "-A", "-f", "7", "-s", "rr")
    manager = IPVSManager(Clock(), kernel, lambda: 0.0, dry_run=False)
    manager.start()
    manager.publish(pool(WEB, 1))
    manager.withdraw(DNS)
    manager.stop()
    kernel.open()
    listing = kernel.services()
    assert sorted(str(service.key) for service in listing.services if service.key != WEB) == [
        "fwmark 7 IPv4",
        "tcp 192.0.2.9:80",
    ]


def test_a_restart_changes_nothing_in_the_kernel(kernel: NetlinkKernel, manage: Manage) -> None:
    publish(manage, pool(WEB, 1, 2), pool(WEB6, 1), pool(DNS, 1))
    before = subprocess.run(
        ["ipvsadm", "-Ln", "--stats"], check=True, timeout=10, stdout=subprocess.PIPE
    ).stdout

    class Watched(NetlinkKernel):
        """Refuses to change anything."""

        def apply(self, operations: object) -> tuple[OperationResult, ...]:
            raise AssertionError(operations)

    clock = Clock()
    again = IPVSManager(clock, Watched(), lambda: 0.0, dry_run=False)
    again.start()
    for key in (WEB, WEB6, DNS):
        entry = again.adopted(key)
        assert entry is not None
        again.publish(entry)
    clock.advance(0)
    assert again.snapshot().in_sync
    again.stop()
    after = subprocess.run(
        ["ipvsadm", "-Ln", "--stats"], check=True, timeout=10, stdout=subprocess.PIPE
    ).stdout
    assert after == before
