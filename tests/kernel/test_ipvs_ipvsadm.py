"""PyBal and ipvsadm mean the same: each reads what the other has written."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

from pybal.ipvs.ipvsadm import (
    command,
    start_sync_command,
    stop_sync_command,
    timeouts_command,
)
from pybal.ipvs.model import (
    MAX_WEIGHT,
    SCHEDULERS,
    Destination,
    Forwarding,
    Persistence,
    Service,
    ServiceEntry,
    ServiceKey,
    SyncDaemon,
    SyncRole,
    Table,
    Timeouts,
    Tunnel,
    TunnelType,
)
from pybal.ipvs.netlink import NetlinkKernel
from tests.ipvs.examples import (
    DNS,
    DNS6,
    KEYS,
    MARK6,
    SIGNAL,
    TCP,
    UDP,
    WEB,
    WEB6,
    destination,
    pool,
    rules,
)
from tests.ipvs.tables import leading, read_table

TUNNEL = Forwarding.TUNNEL


def ipvsadm(*arguments: str) -> str:
    done = subprocess.run(
        ["ipvsadm", *arguments], check=True, timeout=10, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def _services() -> Iterator[Service]:
    for number, scheduler in enumerate(SCHEDULERS):
        for key in KEYS:
            if key.fwmark:
                yield Service(replace(key, fwmark=1000 + number), scheduler)
            else:
                yield Service(replace(key, port=1000 + number), scheduler)
    yield Service(DNS, "rr", one_packet=True)
    yield Service(DNS6, "rr", one_packet=True)
    flagged = [(name, flags) for name in ("sh", "mh") for flags in (1, 2, 3)] + [("rr", 7)]
    for number, (scheduler, flags) in enumerate(flagged):
        yield Service(ServiceKey(TCP, WEB.address, 2000 + number), scheduler, False, flags)
    for length in (8, 24, 32):
        yield Service(
            ServiceKey(UDP, WEB.address, length), "rr", persistence=Persistence(300, length)
        )
    for length in (32, 64, 128):
        yield Service(
            ServiceKey(UDP, WEB6.address, length), "rr", persistence=Persistence(99, length)
        )
    yield Service(ServiceKey(UDP, WEB.address, 5060), "rr", True, 0, Persistence(60, 32), "sip")


def _destinations(key: ServiceKey) -> Iterator[Destination]:
    for number, weight in enumerate((0, 1, 10, 65536, MAX_WEIGHT), 1):
        yield destination(number, weight, key=key)
    yield destination(11, forwarding=Forwarding.MASQUERADE, key=key)
    yield destination(12, forwarding=TUNNEL, key=key)
    yield replace(destination(13, key=key), upper_threshold=100)
    yield replace(destination(14, key=key), upper_threshold=100, lower_threshold=50)
    tunnels = (
        Tunnel(TunnelType.GUE, 6080, 0),
        Tunnel(TunnelType.GUE, 6080, 1),
        Tunnel(TunnelType.GUE, 6080, 2),
        Tunnel(TunnelType.GRE, 0, 0),
        Tunnel(TunnelType.GRE, 0, 1),
    )
    for number, tunnel in enumerate(tunnels, 21):
        yield replace(destination(number, forwarding=TUNNEL, key=key), tunnel=tunnel)


def everything() -> Table:
    """A table with every attribute that both programs know."""
    table = {service.key: ServiceEntry(service, {}) for service in _services()}
    for key in (WEB, WEB6, SIGNAL, MARK6):
        entries = {each.key: each for each in _destinations(key)}
        table[key] = ServiceEntry(Service(key, "wrr"), entries)
    return table


def without_thresholds(line: str) -> str:
    """`ipvsadm -S` forgets the connection thresholds."""
    return re.sub(r" -[xy] \d+", "", line)


def test_ipvsadm_shows_what_pybal_wrote(kernel: NetlinkKernel) -> None:
    table = everything()
    for outcome in kernel.apply(leading({}, table)):
        assert outcome.error is None
    shown = [line.strip().removesuffix(" --tun-type ipip") for line in ipvsadm("-Sn").splitlines()]
    assert sorted(shown) == sorted(without_thresholds(line) for line in rules(table))
    assert len(shown) > 90


def test_pybal_reads_what_ipvsadm_wrote(kernel: NetlinkKernel) -> None:
    table = everything()
    lines = "".join(f"{line}\n" for line in rules(table))
    subprocess.run(["ipvsadm", "-R"], input=lines, text=True, check=True, timeout=30)
    assert read_table(kernel) == table


def test_every_operation_shown_as_a_command_does_the_same_as_the_command(
    kernel: NetlinkKernel,
) -> None:
    before: Table = {
        WEB: ServiceEntry(Service(WEB, "wrr"), {d.key: d for d in _destinations(WEB)}),
        DNS: pool(DNS, 1, 2),
    }
    changed = {
        d.key: replace(d, weight=7, forwarding=TUNNEL, tunnel=Tunnel())
        for d in list(_destinations(WEB))[:6]
    }
    after: Table = {
        WEB: ServiceEntry(Service(WEB, "mh", False, 3, Persistence(60, 24)), changed),
        WEB6: pool(WEB6, 1),
    }
    operations = (*leading({}, before), *leading(before, after))
    assert len({type(operation) for operation in operations}) == 6
    for operation in operations:
        subprocess.run(shlex.split(command(operation)), check=True, timeout=10)
    assert read_table(kernel) == after


def test_exact_listing_agrees_with_the_destinations_read(kernel: NetlinkKernel) -> None:
    kernel.apply(leading({}, {WEB: pool(WEB, 1, 2), WEB6: pool(WEB6, 3)}))
    lines = ipvsadm("-Ln", "--exact").splitlines()
    shown = {line.split()[1] for line in lines if line.strip().startswith("->")}
    shown.discard("RemoteAddress:Port")
    table = read_table(kernel)
    assert shown == {str(key) for entry in table.values() for key in entry.destinations}
    assert len(shown) == 3


def test_timeouts_and_sync_daemons_are_as_the_commands_say(kernel: NetlinkKernel) -> None:
    before = kernel.timeouts()
    subprocess.run(shlex.split(timeouts_command(Timeouts(7, 0, 9))), check=True, timeout=10)
    assert kernel.timeouts() == replace(before, tcp_s=7, udp_s=9)
    kernel.set_timeouts(before)
    backup = SyncDaemon(SyncRole.BACKUP, "lo", 5, ip_address("224.0.0.99"), 8849, 3)
    subprocess.run(shlex.split(start_sync_command(backup)), check=True, timeout=10)
    assert kernel.sync_daemons() == (backup,)
    subprocess.run(shlex.split(stop_sync_command(backup.role)), check=True, timeout=10)
    assert kernel.sync_daemons() == ()


def test_a_netmask_with_holes_is_read_and_can_be_replaced(kernel: NetlinkKernel) -> None:
    ipvsadm("-A", "-t", "192.0.2.1:80", "-s", "rr", "-p", "60", "-M", "255.0.255.0")
    expected = Service(WEB, "rr", persistence=Persistence(60, None))
    assert kernel.services().services == (expected,)
    operations = leading(read_table(kernel), {WEB: pool(WEB)})
    assert [outcome.error for outcome in kernel.apply(operations)] == [None]
    assert read_table(kernel) == {WEB: pool(WEB)}
