"""What an IPVS table is made of. Frozen, comparable, pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from pybal.model import IPAddress, L4Protocol

SCHEDULERS = (
    "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh",
)  # fmt: skip


class Forwarding(Enum):
    """How packets reach a real server; the values are the kernel's (include/uapi/linux/ip_vs.h)."""

    MASQUERADE = 0
    LOCAL = 1
    TUNNEL = 2
    DIRECT = 3
    BYPASS = 4


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """What identifies a virtual service in the kernel."""

    protocol: L4Protocol
    address: IPAddress
    port: int


@dataclass(frozen=True, slots=True)
class Service:
    """A virtual service: its identity and the attributes that can be changed in place."""

    key: ServiceKey
    scheduler: str
    one_packet: bool = False


@dataclass(frozen=True, slots=True)
class DestinationKey:
    """What identifies a destination within its service."""

    address: IPAddress
    port: int


@dataclass(frozen=True, slots=True)
class Destination:
    """A real server as the kernel knows it; weight 0 takes no new connections."""

    key: DestinationKey
    weight: int
    forwarding: Forwarding


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """One service with all of its destinations."""

    service: Service
    destinations: Mapping[DestinationKey, Destination]


Table = Mapping[ServiceKey, ServiceEntry]
