"""What an IPVS table is made of. Frozen, comparable, pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from pybal.model import IPAddress, L4Protocol

SCHEDULERS = (
    "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh",
)  # fmt: skip

MAX_WEIGHT = 2**31 - 1


def endpoint(address: IPAddress, port: int) -> str:
    """`address:port`, an IPv6 address in brackets."""
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


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


@dataclass(frozen=True, slots=True)
class Tunnel:
    """How `Forwarding.TUNNEL` wraps packets; `port` is GUE's, `flags` are the kernel's
    IP_VS_TUNNEL_ENCAP_FLAG_*, of GUE and GRE."""

    type: TunnelType = TunnelType.IPIP
    port: int = 0
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Persistence:
    """Clients stay with their real server. `prefix_length` groups the clients' addresses; None is
    an IPv4 netmask with holes, which PyBal only ever reads."""

    timeout_s: int
    prefix_length: int | None


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """What identifies a virtual service in the kernel; its text is `tcp 192.0.2.1:80`."""

    protocol: L4Protocol
    address: IPAddress
    port: int

    def __hash__(self) -> int:
        # The generated one costs three times as much, and tables are all look-ups.
        return hash((int(self.address), self.port))

    def __str__(self) -> str:
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

    def __hash__(self) -> int:
        return hash((int(self.address), self.port))

    def __str__(self) -> str:
        return endpoint(self.address, self.port)


@dataclass(frozen=True, slots=True)
class Destination:
    """A real server as the kernel knows it; weight 0 takes no new connections.

    The weight is 0 to MAX_WEIGHT. The thresholds count connections, 0 is none; `tunnel`
    counts only for `Forwarding.TUNNEL`.
    """

    key: DestinationKey
    weight: int
    forwarding: Forwarding
    upper_threshold: int = 0
    lower_threshold: int = 0
    tunnel: Tunnel = Tunnel()


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """One service with all of its destinations."""

    service: Service
    destinations: Mapping[DestinationKey, Destination]


Table = Mapping[ServiceKey, ServiceEntry]
