"""What an IPVS table is made of. Frozen and comparable. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import SupportsIndex

from pybal.model import IPAddress, L4Protocol
from pybal.net.addresses import endpoint

SCHEDULERS = (
    "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh",
)  # fmt: skip

NO_SCHEDULER = "none"
"""The kernel's name for a service that forwards nothing."""

MAX_WEIGHT = 2**31 - 1

SYNC_GROUP = IPv4Address("224.0.0.81")

SCHEDULER_FLAGS = {"sh": ("sh-fallback", "sh-port"), "mh": ("mh-fallback", "mh-port")}
"""What a scheduler's flags are called, from the lowest bit; the other schedulers have none."""


class Forwarding(Enum):
    """How packets reach a real server; the values are the kernel's (include/uapi/linux/ip_vs.h)."""

    MASQUERADE = 0
    LOCAL = 1
    TUNNEL = 2
    DIRECT = 3
    BYPASS = 4
    UNKNOWN = 7
    """5 to 7, which the kernel keeps if told so but gives no meaning."""


class TunnelType(Enum):
    """What a tunnelled packet is wrapped in; the values are the kernel's."""

    IPIP = 0
    GUE = 1
    GRE = 2


class Checksum(Enum):
    """How a GUE or GRE header is checksummed; the values are the kernel's
    IP_VS_TUNNEL_ENCAP_FLAG_*. REMOTE, remote checksum offload, is GUE's alone."""

    NONE = 0
    FULL = 1
    REMOTE = 2


@dataclass(frozen=True, slots=True)
class Tunnel:
    """How `Forwarding.TUNNEL` wraps packets: `port` is GUE's, and never 0 there; `flags` are
    the bits of Checksum, of GUE and GRE."""

    type: TunnelType = TunnelType.IPIP
    port: int = 0
    flags: int = 0


IPIP = Tunnel()


@dataclass(frozen=True, slots=True)
class Persistence:
    """Clients stay with their real server. `prefix_length` groups the clients' addresses; None is
    an IPv4 netmask with holes, which PyBal only ever reads."""

    timeout_s: int
    prefix_length: int | None


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """What identifies a virtual service in the kernel; its text is `tcp 192.0.2.1:80`.

    A service of packets that carry a firewall mark has that and an address family alone: it is
    made by `marked`, the rest is as the kernel has it then, and its text is `fwmark 5 IPv4`.
    """

    protocol: L4Protocol
    address: IPAddress
    port: int
    fwmark: int = 0
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Hashed once and for all: tables are all look-ups, and the generated hash costs more
        # than everything else in a look-up.
        hashed = hash((int(self.address), self.port or self.fwmark))
        object.__setattr__(self, "_hash", hashed)

    @classmethod
    def marked(cls, fwmark: int, version: int) -> ServiceKey:
        """The key of IPv4 or IPv6 packets that carry a mark, 1 to 2**32 - 1."""
        return cls(L4Protocol.TCP, IPv6Address(0) if version == 6 else IPv4Address(0), 0, fwmark)

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        if self.fwmark:
            return f"fwmark {self.fwmark} IPv{self.address.version}"
        return f"{self.protocol.value} {endpoint(self.address, self.port)}"


@dataclass(frozen=True, slots=True)
class Service:
    """A virtual service: its identity and the attributes that can be changed in place.

    `scheduler_flags` are the three bits that each scheduler reads its own way (0 to 7).
    """

    key: ServiceKey
    scheduler: str
    one_packet: bool = False
    scheduler_flags: int = 0
    persistence: Persistence | None = None
    persistence_engine: str = ""


@dataclass(frozen=True, slots=True)
class DestinationKey:
    """What identifies a destination within its service; its text is `192.0.2.1:80`."""

    address: IPAddress
    port: int
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((int(self.address), self.port)))

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return endpoint(self.address, self.port)


@dataclass(frozen=True, slots=True)
class Destination:
    """A real server as the kernel knows it; weight 0 takes no new connections.

    The weight is 0 to MAX_WEIGHT. The thresholds count connections, 0 is none; `tunnel`
    counts only for `Forwarding.TUNNEL`. `rank` is no part of it: servers are added in that order,
    which may become another one.
    """

    key: DestinationKey
    weight: int
    forwarding: Forwarding
    upper_threshold: int = 0
    lower_threshold: int = 0
    tunnel: Tunnel = IPIP
    rank: SupportsIndex = field(default=0, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """One service with all of its destinations. Two entries that follow one another are cheap to
    compare if their destinations are PersistentMaps of which one has come of the other."""

    service: Service
    destinations: Mapping[DestinationKey, Destination]


Table = Mapping[ServiceKey, ServiceEntry]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long the kernel keeps a connection on which nothing comes, in seconds; all services
    share them. 0, where they are set: leave it as it is."""

    tcp_s: int = 0
    tcp_fin_s: int = 0
    udp_s: int = 0


class SyncRole(Enum):
    """What a sync daemon does; the values are the kernel's."""

    MASTER = 1
    """Tells other directors of this one's connections."""
    BACKUP = 2
    """Learns the connections of others."""

    @property
    def words(self) -> str:
        return f"the {self.name.lower()} sync daemon"


@dataclass(frozen=True, slots=True)
class SyncDaemon:
    """A thread of the kernel's that shares connections by multicast; one of each role can run.

    `sync_id`, 0 to 255, keeps apart those who share a group; a backup with 0 listens to all.
    """

    role: SyncRole
    interface: str
    sync_id: int = 0
    group: IPAddress = SYNC_GROUP
    port: int = 8848
    ttl: int = 1

    def __str__(self) -> str:
        return (
            f"{self.role.words} on {self.interface} (id {self.sync_id},"
            f" {endpoint(self.group, self.port)}, TTL {self.ttl})"
        )
