"""One network and one daemon for all tests of this folder."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.kernel.traffic.scene import Scene, ip, write
from tests.kernel.traffic.services import CHOICES, MARK, VIPS, WAYS, config
from tests.kernel.traffic.talk import GUE_PORT, PORT, Talker
from tests.running import RunningPybal
from tests.stage import Host, IPAddress, Stage

_DIRECTOR_SYSCTLS = {
    "net/ipv4/ip_forward": 1,
    "net/ipv6/conf/all/forwarding": 1,
    "net/ipv4/conf/all/send_redirects": 0,
    "net/ipv4/conf/eth0/send_redirects": 0,
    # That a service has no server for a client is to be heard each time.
    "net/ipv4/icmp_ratelimit": 0,
}
CLIENTS = 64


@pytest.fixture(scope="package")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """All services stand in the director's table."""
    folder = tmp_path_factory.mktemp("traffic")
    subprocess.run(["modprobe", "-a", "fou", "fou6", "sctp"], check=True, timeout=30)
    sctp = [service.vip for service in WAYS if service.protocol == "sctp"]
    with Stage("traffic", reals=3, vips=VIPS) as stage, ExitStack() as stack:
        write_pools(folder, stage)
        with RunningPybal(stage.director.wrap, folder, config(folder)) as pybal:
            # What it takes to start is time enough for all this.
            stage.director.set_sysctls(_DIRECTOR_SYSCTLS)
            mark(stage.director)
            for real in stage.reals:
                open_tunnels(real)
                answer_through(stage.director, stage.client, real)
                stack.callback(Talker(real, (PORT, PORT + 1), sctp).stop)
            clients = [stage.client.ipv4 + 100 + n for n in range(CLIENTS)]
            ip(stage.client, 4, *(f"address add {client}/24 dev eth0" for client in clients))
            found = Scene(stage, pybal, folder, clients)
            found.wait_until_settled()
            yield found


def write_pools(folder: Path, stage: Stage) -> None:
    """Every pool is all real servers."""
    for service in (*WAYS, *CHOICES.values()):
        address_of = summing if service.pool == "summing" else own
        addresses = (address_of(real, service.server) for real in stage.reals)
        pool = {str(address): {"weight": 1} for address in addresses}
        write(service.pool_path(folder), json.dumps(pool))


def own(real: Host, version: int) -> IPAddress:
    return real.ipv4 if version == 4 else real.ipv6


def summing(real: Host, version: int) -> IPAddress:
    """The address at which a real server takes GRE with checksums: a receiving device wants all
    packets to have one, or none."""
    return own(real, version) + 50


def open_tunnels(real: Host) -> None:
    """Take what the stage's own devices do not: IPv6 in IPv4, GRE, and GUE."""
    gre4, gre6 = summing(real, 4), summing(real, 6)
    ip(
        real,
        4,
        f"address add {gre4}/24 dev eth0",
        f"link add sit1 type sit local {real.ipv4}",
        "link add gre1 type gre external",
        f"link add gre2 type gre local {gre4} icsum",
        *(f"link set {name} up" for name in ("sit1", "gre1", "gre2")),
        f"fou add port {GUE_PORT} gue",
    )
    ip(
        real,
        6,
        f"address add {gre6}/64 dev eth0 nodad",
        "link add gre3 type ip6gre external",
        f"link add gre4 type ip6gre local {gre6} icsum",
        *(f"link set {name} up" for name in ("gre3", "gre4")),
        f"fou add port {GUE_PORT} gue",
    )


def answer_through(director: Host, client: Host, real: Host) -> None:
    """What a real server says under its own address, as to a director that masquerades, goes
    back that way."""
    # The director says that there is a shorter way back.
    real.set_sysctls({"net/ipv6/conf/eth0/accept_redirects": 0})
    for address in (real.ipv4, real.ipv6):
        to, via = client.address(address), director.address(address)
        ip(
            real,
            address.version,
            f"rule add from {address} table 100",
            f"route add {to} via {via} table 100",
        )


def mark(director: Host) -> None:
    """Packets for the VIPs of services of marks get the mark."""
    director.run("tc", "qdisc", "add", "dev", "eth0", "clsact")
    vips = [service.vip for service in WAYS if service.name.startswith("mark")]
    assert len(vips) == 2
    for vip in vips:
        family, match = ("ip", "ip") if vip.version == 4 else ("ipv6", "ip6")
        director.run(
            *f"tc filter add dev eth0 ingress protocol {family} prio {vip.version} u32 match"
            f" {match} dst {vip}/{vip.max_prefixlen} action skbedit mark {MARK}".split()
        )
