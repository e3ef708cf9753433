"""The services of one pybal.conf that asks for all that IPVS can do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

from tests.kernel.traffic.talk import GUE_PORT, PORT, SCTP, TCP, UDP
from tests.stage import IPAddress

MARK = 7

# What was closed is remembered for a second, not for two minutes.
_GLOBAL = """
[global]
instrumentation = yes
instrumentation_ips = ["127.0.0.1"]
state-directory = {folder}/state
ipvs-tcpfin-timeout = 1
"""
_SERVICE = """
[{name}]
protocol = {protocol}
ip = {vip}
port = {port}
config = file://{pool}
monitors = ["IdleConnection"]
{options}
"""


@dataclass(frozen=True, slots=True)
class Service:
    """`version` is its IP version, `server` that of the servers' addresses; `pool` names a list of
    servers, of which there is one for each IP version; `seen` is what comes to a server. `number`
    is the service's own."""

    name: str
    protocol: str
    version: int
    options: str
    pool: str = "steady"
    server: int = 4
    seen: str = ""
    number: int = 0

    @property
    def vip(self) -> IPAddress:
        if self.version == 4:
            return ip_address(f"198.51.100.{self.number}")
        return ip_address(f"2001:db8:100::{self.number:x}")

    @property
    def ip_protocol(self) -> int:
        """The protocol's number."""
        return {"tcp": TCP, "udp": UDP, "sctp": SCTP}[self.protocol]

    def pool_path(self, folder: Path) -> Path:
        return folder / f"{self.pool}{self.server}.json"


def config(folder: Path) -> str:
    """The file; the pool lists are in the same folder."""
    return _GLOBAL.format(folder=folder) + "".join(
        _SERVICE.format(
            name=service.name,
            protocol=service.protocol,
            vip=service.vip,
            port=PORT,
            pool=service.pool_path(folder),
            options=service.options,
        )
        for service in (*WAYS, *CHOICES.values())
    )


def _ways() -> Iterator[Service]:
    """Every way to a real server."""
    for version in (4, 6):
        for name, protocol, options in (
            ("direct", "tcp", ""),
            ("masquerade", "tcp", "forwarding-method = masquerade"),
            ("mark", "tcp", f"fwmark = {MARK}"),
            ("sctp", "sctp", ""),
            ("udp", "udp", ""),
            ("one-packet", "udp", "ops = yes"),
        ):
            yield _way(f"{name}{version}", protocol, version, options, version, protocol.upper())
        for server in (4, 6):
            yield from _tunnels(version, server)


def _tunnels(version: int, server: int) -> Iterator[Service]:
    family = f"server-address-family = ipv{server}\n" if server != version else ""
    gue = f"forwarding-method = tunnel\ntunnel-type = gue\ntunnel-port = {GUE_PORT}"
    gre = "forwarding-method = tunnel\ntunnel-type = gre"
    for name, options, seen in (
        ("ipip", "tunneling = yes", ""),
        ("gre", gre, "GRE "),
        ("gre-checksum", gre + "\ntunnel-checksum = yes", "GRE+checksum "),
        ("gue", gue, "GUE "),
        ("gue-checksum", gue + "\ntunnel-checksum = yes", "GUE+checksum "),
        ("gue-remote", gue + "\ntunnel-checksum = remote", "GUE+checksum+remote "),
    ):
        yield _way(
            f"{name}{version}to{server}",
            "tcp",
            version,
            family + options,
            server,
            f"{seen}IPv{version} TCP",
        )


def _way(name: str, protocol: str, version: int, options: str, server: int, seen: str) -> Service:
    # To GRE with checksums there is an address of its own: see the fixture.
    pool = "summing" if name.startswith("gre-checksum") else "steady"
    options = f"scheduler = rr\n{options}"
    return Service(name, protocol, version, options, pool, server, f"IPv{server} {seen}")


_OPS = "ops = yes\nscheduler = "
_PERSISTENT = "scheduler = rr\npersistence-timeout = "
_DRAIN = "\ndepool-method = drain"


def _choices() -> Iterator[Service]:
    """Every way to choose a real server. `hashed` and `drained` are changed by tests."""
    for name, protocol, pool, options in (
        ("mh", "udp", "hashed", _OPS + "mh\nscheduler-flags = mh-port, mh-fallback"),
        ("mh-strict", "udp", "hashed", _OPS + "mh\nscheduler-flags = mh-port"),
        ("mh-address", "udp", "hashed", _OPS + "mh\nscheduler-flags = mh-fallback"),
        ("mh-tcp", "tcp", "hashed", "scheduler = mh\nscheduler-flags = mh-port, mh-fallback"),
        ("mh6", "udp", "hashed", _OPS + "mh\nscheduler-flags = mh-port, mh-fallback"),
        ("sh", "udp", "hashed", _OPS + "sh\nscheduler-flags = sh-port, sh-fallback"),
        ("sh-strict", "udp", "hashed", _OPS + "sh\nscheduler-flags = sh-port"),
        ("packets", "udp", "steady", _OPS + "rr"),
        ("flows", "udp", "steady", "scheduler = rr"),
        ("persistent", "tcp", "steady", _PERSISTENT + "60"),
        ("network", "tcp", "steady", _PERSISTENT + "60\npersistence-netmask = 255.255.255.240"),
        ("packets-persistent", "udp", "steady", "ops = yes\n" + _PERSISTENT + "1"),
        ("calls", "udp", "steady", f"ops = yes\n{_PERSISTENT}60\npersistence-engine = sip"),
        ("limited", "tcp", "steady", "scheduler = rr\nupper-threshold = 2\nlower-threshold = 1"),
        ("draining", "tcp", "drained", "scheduler = rr" + _DRAIN),
        ("draining-persistent", "tcp", "drained", _PERSISTENT + "60" + _DRAIN),
    ):
        version = 6 if name.endswith("6") else 4
        yield Service(name, protocol, version, options, pool, version)


WAYS = tuple(replace(service, number=n) for n, service in enumerate(_ways(), 1))
CHOICES = {
    service.name: replace(service, number=n) for n, service in enumerate(_choices(), len(WAYS) + 1)
}
VIPS = tuple(service.vip for service in (*WAYS, *CHOICES.values()))
