"""The care for the table on the real kernel: audits, ownership, draining, statistics, overruns."""

from __future__ import annotations

import errno
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pybal.errors import KernelError
from pybal.ipvs.connection import Connection, connect
from pybal.ipvs.kernel import OperationResult
from pybal.ipvs.manager import RETRY_FIRST_S, IPVSManager
from pybal.ipvs.model import ServiceEntry, ServiceKey
from pybal.ipvs.netlink import NetlinkKernel
from pybal.ipvs.operations import EditDestination, Operation
from pybal.model import L4Protocol
from tests.ipvs.clock import TurningClock
from tests.ipvs.examples import DNS, WEB, WEB6, destination, pool
from tests.ipvs.tables import leading, read_table
from tests.kernel.test_daemon import GLOBAL, PORT, SERVICE, pool_status, table
from tests.kernel.test_ipvs_faults import without_module_loading
from tests.load import Load
from tests.running import RunningPybal, until
from tests.stage import VIP4, VIP6, Greeter, Host, IPAddress, Stage, ask


def run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=30)


@pytest.fixture
def manage(kernel: NetlinkKernel) -> Iterator[tuple[TurningClock, IPVSManager]]:
    clock = TurningClock()
    manager = IPVSManager(clock, kernel, lambda: 0.0, dry_run=False)
    manager.start()
    clock.turn(60)
    yield clock, manager
    manager.stop()


Manage = tuple[TurningClock, IPVSManager]

BY_HAND = [
    ("ipvsadm -C", "service_missing", "the service is gone"),
    ("ipvsadm -d -t 192.0.2.1:80 -r 198.51.100.1:80", "server_missing", "198.51.100.1:80 is gone"),
    ("ipvsadm -a -t 192.0.2.1:80 -r 198.51.100.9:80 -g", "server_foreign", "was added"),
    ("ipvsadm -e -t 192.0.2.1:80 -r 198.51.100.1:80 -g -w 5", "server_changed", "weight 5, not 10"),
    ("ipvsadm -E -t 192.0.2.1:80 -s rr", "service_changed", "scheduler rr, not wrr"),
]


@pytest.mark.parametrize(("command", "kind", "words"), BY_HAND, ids=[row[0] for row in BY_HAND])
def test_an_audit_names_counts_and_repairs_what_someone_did(
    kernel: NetlinkKernel, manage: Manage, command: str, kind: str, words: str
) -> None:
    clock, manager = manage
    wanted = {WEB: pool(WEB, 1, 2), DNS: pool(DNS, 1)}
    for entry in wanted.values():
        manager.publish(entry)
    clock.turn(60)
    run(*command.split())
    manager.audit()
    clock.turn(60)
    assert read_table(kernel) == wanted
    audit = manager.snapshot().audit
    assert dict(audit.drift_total)[kind] >= 1
    assert any(words in said for drift in audit.drift for said in drift.differences)
    assert audit.repairs_total >= 1
    manager.audit()
    clock.turn(60)
    assert manager.snapshot().audit.drift == ()
    assert manager.snapshot().in_sync


def eleven_thousand() -> Iterator[ServiceEntry]:
    """11,000 servers: one large service, others as in the largest real tables."""
    yield pool(WEB6, *range(1, 2001))
    for number in range(90):
        key = ServiceKey(L4Protocol.TCP, WEB.address, 8000 + number)
        yield pool(key, *range(1, 101))


def test_an_audit_of_what_is_right_changes_nothing_and_one_changed_weight_is_one_request() -> None:
    sent: list[Operation] = []

    class Watched(NetlinkKernel):
        def apply(self, operations: Sequence[Operation]) -> tuple[OperationResult, ...]:
            sent.extend(operations)
            return super().apply(operations)

    run("ipvsadm", "-C")
    clock = TurningClock()
    manager = IPVSManager(clock, Watched(), lambda: 0.0, dry_run=False)
    manager.start()
    table = {entry.service.key: entry for entry in eleven_thousand()}
    for entry in table.values():
        manager.publish(entry)
    clock.turn(200)
    assert manager.snapshot().destinations == 11_000
    sent.clear()
    manager.audit()
    clock.turn(200)
    assert manager.snapshot().audit.audits_total == 1
    assert sent == []
    for key, large in table.items():
        changed = destination(50, weight=7, key=key)
        manager.publish(ServiceEntry(large.service, {**large.destinations, changed.key: changed}))
        clock.turn(20)
        assert sent == [EditDestination(key, changed)]
        sent.clear()
    assert manager.snapshot().in_sync
    manager.stop()


class Narrow(NetlinkKernel):
    """Its socket takes a few answers only, as one that is overrun."""

    def _connect(self) -> Connection:
        connection = connect()
        connection._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # type: ignore[attr-defined]
        return connection


def test_after_an_overrun_of_the_socket_the_table_is_read_and_comes_right() -> None:
    run("ipvsadm", "-C")
    clock = TurningClock()
    kernel = Narrow()
    manager = IPVSManager(clock, kernel, lambda: 0.0, dry_run=False)
    manager.start()
    manager.publish(pool(WEB, *range(1, 91)))
    clock.turn(60)
    # Someone adds them all first: every request is refused, too many answers for the socket.
    run("ipvsadm", "-C")
    other = NetlinkKernel()
    manager.publish(pool(WEB, *range(1, 100)))
    manager.publish(pool(DNS, *range(1, 91)))
    clock.turn(60)
    assert any("ENOBUFS" in str(error) for error in errors(manager))
    for _ in range(8):
        clock.advance(60 * RETRY_FIRST_S)
        clock.turn(60)
    assert read_table(other) == {WEB: pool(WEB, *range(1, 100)), DNS: pool(DNS, *range(1, 91))}
    assert manager.snapshot().in_sync
    manager.stop()
    other.close()


def errors(manager: IPVSManager) -> list[str]:
    last = manager.snapshot().last_error
    return [] if last is None else [last.text]


def test_reading_into_a_socket_that_is_overrun_is_an_error_and_not_half_a_table() -> None:
    run("ipvsadm", "-C")
    kernel = NetlinkKernel()
    kernel.apply(loading(pool(WEB6, *range(1, 1001))))
    narrow = Narrow()
    try:
        found = narrow.read(WEB6)
    except KernelError as error:
        assert error.errno == errno.ENOBUFS  # noqa: PT017 - either is right
    else:
        assert found == pool(WEB6, *range(1, 1001))
    narrow.close()
    kernel.close()


def loading(entry: ServiceEntry) -> Sequence[Operation]:
    return leading({}, {entry.service.key: entry})


# -- the daemon ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network() -> Iterator[Stage]:
    with Stage("care", reals=2) as network:
        yield network


def config(folder: Path, stage: Stage, *names: str, more: str = "", service_more: str = "") -> str:
    """Services of these names on the VIPs, over all real servers."""
    text = GLOBAL.format(folder=folder) + more
    for name in names:
        vip = VIP6 if name.endswith("6") else VIP4
        lines = [f"{{'host': '{real.address(vip)}', 'weight': 1}}\n" for real in stage.reals]
        (folder / name).write_text("".join(lines))
        text += SERVICE.format(folder=folder, name=name, vip=vip, scheduler="rr", tunneling=False)
        text += service_more
    return text


def hold(client: Host, vip: IPAddress) -> socket.socket:
    """A connection to a service that stays open."""
    with client.inside():
        return socket.create_connection((str(vip), PORT), timeout=5)


def in_sync(pybal: RunningPybal) -> Any:
    return until(lambda: pybal.json("/api/v1/ipvs")["in_sync"])


def test_a_flush_under_load_is_repaired_within_one_audit_and_shown_while_it_lasts(
    stage: Stage, greeters: dict[str, Greeter], tmp_path: Path
) -> None:
    text = config(tmp_path, stage, "web", "web6", more="ipvs-audit-interval = 10\n")
    with RunningPybal(stage.director.wrap, tmp_path, text) as pybal:
        pybal.wait_for("/pools/web", pool_status(stage, VIP4))
        in_sync(pybal)
        until(lambda: len(table(stage).splitlines()) == 6)
        before = sorted(table(stage).splitlines())
        with Load(stage.client, VIP4, PORT).running():
            stage.director.run("ipvsadm", "-C")
            until(lambda: sorted(table(stage).splitlines()) == before, timeout_s=15)
        alert = until(lambda: pybal.get("/alerts").startswith("WARNING") and pybal.get("/alerts"))
        assert "was changed by others: the service is gone (repaired)" in alert
        assert 'pybal_ipvs_drift_total{kind="service_missing"} 2.0' in pybal.get("/metrics")
        assert pybal.json("/api/v1/ipvs")["audit"]["repairs_total"] == 6
        until(lambda: pybal.get("/alerts").startswith("OK"))
        assert ask(stage.client, VIP4, PORT).startswith("real")


BY_HAND_OF_A_DAEMON = (
    "-C",
    "-D -t {vip}:80",
    "-d -t {vip}:80 -r {real}:80",
    "-e -t {vip}:80 -r {real}:80 -g -w 7",
    "-e -t {vip}:80 -r {real}:80 -m -w 1",
    "-a -t {vip}:80 -r 192.0.2.77:80 -g",
    "-E -t {vip}:80 -s wlc",
)


def test_what_someone_changes_by_hand_lasts_a_second_or_two(
    stage: Stage, greeters: dict[str, Greeter], tmp_path: Path
) -> None:
    text = config(tmp_path, stage, "web", "web6")
    real = stage.reals[0].address(VIP4)
    with RunningPybal(stage.director.wrap, tmp_path, text) as pybal:
        pybal.wait_for("/pools/web", pool_status(stage, VIP4))
        in_sync(pybal)
        until(lambda: len(table(stage).splitlines()) == 6)
        before = sorted(table(stage).splitlines())
        lasted_s = {}
        for command in BY_HAND_OF_A_DAEMON:
            repairs = pybal.json("/api/v1/ipvs")["audit"]["repairs_total"]
            stage.director.run("ipvsadm", *command.format(vip=VIP4, real=real).split())
            began_at_s = time.monotonic()
            until(lambda n=repairs: pybal.json("/api/v1/ipvs")["audit"]["repairs_total"] > n)  # type: ignore[misc]
            until(lambda: sorted(table(stage).splitlines()) == before)
            lasted_s[command] = time.monotonic() - began_at_s
            # While there is something each time, looks become rare: one is to find nothing.
            time.sleep(2.5)
        assert max(lasted_s.values()) < 5, lasted_s


def test_a_service_whose_scheduler_is_missing_is_neither_ok_nor_pooled_until_it_is_there(
    stage: Stage, greeters: dict[str, Greeter], tmp_path: Path
) -> None:
    text = config(tmp_path, stage, "web", "web6").replace("scheduler = rr", "scheduler = mh", 1)
    well = pool_status(stage, VIP4)
    run("modprobe", "ip_vs_rr")
    run("modprobe", "-r", "ip_vs_mh")
    pybal = RunningPybal(stage.director.wrap, tmp_path, text)
    with ExitStack() as running:
        with without_module_loading():
            running.enter_context(pybal)
            pybal.wait_for("/pools/web", well.replace("/pooled", "/not pooled"))
            pybal.wait_for("/pools/web6", pool_status(stage, VIP6))
            alert = pybal.get("/alerts")
            assert alert.startswith("CRITICAL - IPVS: the kernel does not hold web (tcp ")
            assert "modprobe ip_vs_mh" in alert
        pybal.wait_for("/pools/web", well)
        until(lambda: pybal.get("/alerts").startswith("OK"))
        assert ask(stage.client, VIP4, PORT).startswith("real")


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_a_service_taken_out_of_the_configuration_goes_and_strangers_stay(
    stage: Stage, greeters: dict[str, Greeter], tmp_path: Path, ending: str
) -> None:
    run_there: Callable[..., str] = stage.director.run
    run_there("ipvsadm", "-A", "-t", "198.51.100.9:25", "-s", "wlc")
    both = config(tmp_path, stage, "web", "web6")
    with RunningPybal(stage.director.wrap, tmp_path, both) as pybal:
        pybal.wait_for("/pools/web6", pool_status(stage, VIP6))
        until(lambda: len(table(stage).splitlines()) == 7)
        in_sync(pybal)
        record = json.loads((tmp_path / "state/ipvs-services.json").read_text())
        assert record["services"] == sorted([f"tcp {VIP4}:80", f"tcp [{VIP6}]:80"])
        pybal.stop() if ending == "stop" else pybal.kill()
        pybal.config_path.write_text(config(tmp_path, stage, "web"))
        pybal.start()
        pybal.wait_for("/pools/web", pool_status(stage, VIP4))
        until(lambda: len(table(stage).splitlines()) == 4)
        assert "198.51.100.9:25" in table(stage)
        assert str(VIP6) not in table(stage)
        assert pybal.json("/api/v1/ipvs")["unmanaged"] == ["tcp 198.51.100.9:25"]


def test_a_drained_server_keeps_its_connection_over_a_restart_and_leaves_after_it(
    stage: Stage, greeters: dict[str, Greeter], tmp_path: Path
) -> None:
    text = config(tmp_path, stage, "web", service_more="depool-method = drain\n")
    drained = str(stage.reals[0].ipv4)
    # What was closed is remembered for a second, not for two minutes.
    stage.director.run("ipvsadm", "--set", "900", "1", "300")
    with RunningPybal(stage.director.wrap, tmp_path, text) as pybal:
        pybal.wait_for("/pools/web", pool_status(stage, VIP4))
        in_sync(pybal)
        pool_file = tmp_path / "web"
        whole = pool_file.read_text()
        with ExitStack() as stack:
            clients = [stack.enter_context(hold(stage.client, VIP4)) for _ in range(2)]
            until(lambda: sum(s["active_connections"] for s in servers(pybal)) == 2)
            pool_file.write_text(whole.replace("'weight': 1", "'weight': 1, 'enabled': False", 1))
            until(lambda: f"{drained}:80 -g -w 0" in table(stage))
            until(lambda: pybal.json("/api/v1/ipvs")["draining"][0]["connections"] == 1)
            pybal.kill()
            pybal.start()
            until(lambda: pybal.json("/api/v1/ipvs")["draining"][0]["connections"] == 1)
            assert f"{drained}:80 -g -w 0" in table(stage)
            assert len(clients) == 2
        pool_file.write_text(whole)
        until(lambda: f"{drained}:80 -g -w 1" in table(stage))
        assert pybal.json("/api/v1/ipvs")["draining"] == []
        pool_file.write_text(whole.replace("'weight': 1", "'weight': 1, 'enabled': False", 1))
        until(lambda: drained not in table(stage))


def servers(pybal: RunningPybal) -> Any:
    # Readings are kept for some seconds: the first may be from before the service stood.
    services = pybal.json("/api/v1/ipvs")["statistics"]["services"]
    return [server for service in services for server in service["servers"]]


def test_what_the_kernel_counts_is_shown(
    stage: Stage, greeters: dict[str, Greeter], tmp_path: Path
) -> None:
    with RunningPybal(stage.director.wrap, tmp_path, config(tmp_path, stage, "web")) as pybal:
        pybal.wait_for("/pools/web", pool_status(stage, VIP4))
        in_sync(pybal)
        for _ in range(6):
            ask(stage.client, VIP4, PORT)
        until(lambda: sum(s["traffic"]["connections"] for s in servers(pybal)) == 6)
        text = pybal.get("/metrics?servers=1")
        where = f'address="{stage.reals[0].ipv4}:80",host="{stage.reals[0].ipv4}",service="web"'
        assert f"pybal_ipvs_server_connections_total{{{where}}} 3\n" in text
        assert 'pybal_ipvs_service_connections_total{service="web"} 6\n' in text
        assert 'pybal_ipvs_service_packets_total{direction="in",service="web"}' in text
        assert all(server["traffic"]["bytes_in"] > 100 for server in servers(pybal))
