"""The messages of BGP as frozen values. The codec turns them into bytes and back. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Union

from pybal.bgp.constants import Family, Origin, RefreshSubtype, Role, SegmentType
from pybal.bgp.errors import notification_name
from pybal.bgp.prefix import Prefix
from pybal.model import IPAddress


@dataclass(frozen=True, slots=True)
class RestartFamily:
    """One family of the graceful restart capability; `forwarding` is its F bit."""

    family: Family
    forwarding: bool


@dataclass(frozen=True, slots=True)
class GracefulRestart:
    """RFC 4724 section 3; `notification` is the N bit of RFC 8538. Time: 0 to 4095 s."""

    restarting: bool
    notification: bool
    restart_time_s: int
    families: tuple[RestartFamily, ...]


@dataclass(frozen=True, slots=True)
class LongLivedFamily:
    """One family of the long-lived graceful restart capability (RFC 9494 section 3.1): after the
    restart time, stale routes may be kept for `stale_time_s` more, 0 to 2^24 - 1."""

    family: Family
    forwarding: bool
    stale_time_s: int


@dataclass(frozen=True, slots=True)
class ExtendedNextHop:
    """RFC 8950: prefixes of `family` may have next hops of AFI `next_hop_afi`."""

    family: Family
    next_hop_afi: int


def role_name(role: int) -> str:
    """As the configuration calls it; a number that RFC 9234 does not know is kept."""
    try:
        return Role(role).name.lower().replace("_", "-")
    except ValueError:
        return str(role)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one side announced in its OPEN. `roles` are those of RFC 9234, of which more than one is
    an error. `unknown` keeps (code, value) of all others."""

    families: tuple[Family, ...] = ()
    four_octet_asn: int | None = None
    route_refresh: bool = False
    enhanced_route_refresh: bool = False
    extended_message: bool = False
    graceful_restart: GracefulRestart | None = None
    extended_next_hop: tuple[ExtendedNextHop, ...] = ()
    long_lived: tuple[LongLivedFamily, ...] = ()
    roles: tuple[int, ...] = ()
    unknown: tuple[tuple[int, bytes], ...] = ()

    def names(self) -> tuple[str, ...]:
        """For people: one short name for each capability."""
        named = [str(family) for family in self.families]
        for present, name in (
            (self.four_octet_asn is not None, "4-octet-asn"),
            (self.route_refresh, "route-refresh"),
            (self.enhanced_route_refresh, "enhanced-route-refresh"),
            (self.extended_message, "extended-message"),
            (self.graceful_restart is not None, "graceful-restart"),
            (self.long_lived != (), "long-lived-graceful-restart"),
            (self.extended_next_hop != (), "extended-next-hop"),
            (self.roles != (), f"role-{'-'.join(map(role_name, self.roles))}"),
        ):
            if present:
                named.append(name)
        return (*named, *(f"unknown-{code}" for code, _ in self.unknown))


@dataclass(frozen=True, slots=True)
class Open:
    """RFC 4271 section 4.2. `asn` is the true ASN, 4 octets wide if capabilities say so.

    `capabilities` is None when the optional parameters are left out altogether.
    """

    asn: int
    hold_time_s: int
    bgp_identifier: IPv4Address
    capabilities: Capabilities | None


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of an AS path: 1 to 255 ASNs."""

    kind: SegmentType
    asns: tuple[int, ...]


ASPath = tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Aggregator:
    """RFC 4271 section 5.1.7."""

    asn: int
    address: IPv4Address


@dataclass(frozen=True, slots=True)
class UnknownAttribute:
    """An optional attribute that this speaker does not understand; `flags` as received."""

    flags: int
    code: int
    value: bytes


@dataclass(frozen=True, slots=True)
class PathAttributes:
    """The attributes of a route, next hop and NLRI left out. Absent ones are None or empty.

    Communities are 32-bit numbers, large ones triples of those, extended ones 8 raw bytes.
    """

    origin: Origin | None = None
    as_path: ASPath | None = None
    med: int | None = None
    local_pref: int | None = None
    atomic_aggregate: bool = False
    aggregator: Aggregator | None = None
    communities: tuple[int, ...] = ()
    originator_id: IPv4Address | None = None
    cluster_list: tuple[IPv4Address, ...] = ()
    extended_communities: tuple[bytes, ...] = ()
    large_communities: tuple[tuple[int, int, int], ...] = ()
    only_to_customer: int | None = None
    unknown: tuple[UnknownAttribute, ...] = ()


@dataclass(frozen=True, slots=True)
class MPReach:
    """RFC 4760 section 3. `next_hops` is one address, or a global and a link-local one."""

    family: Family
    next_hops: tuple[IPAddress, ...]
    prefixes: tuple[Prefix, ...]


@dataclass(frozen=True, slots=True)
class MPUnreach:
    """RFC 4760 section 4; without prefixes it is End-of-RIB (RFC 4724 section 2)."""

    family: Family
    prefixes: tuple[Prefix, ...] = ()


@dataclass(frozen=True, slots=True)
class Update:
    """RFC 4271 section 4.3. An Update of nothing is End-of-RIB of IPv4 unicast."""

    withdrawn: tuple[Prefix, ...] = ()
    attributes: PathAttributes = field(default_factory=PathAttributes)
    next_hop: IPv4Address | None = None
    prefixes: tuple[Prefix, ...] = ()
    mp_reach: MPReach | None = None
    mp_unreach: MPUnreach | None = None


@dataclass(frozen=True, slots=True)
class Notification:
    """RFC 4271 section 4.5."""

    code: int
    subcode: int
    data: bytes = b""

    def __str__(self) -> str:
        return notification_name(self.code, self.subcode)


@dataclass(frozen=True, slots=True)
class Keepalive:
    """RFC 4271 section 4.4."""


@dataclass(frozen=True, slots=True)
class RouteRefresh:
    """RFC 2918; `subtype` is RFC 7313's (a number that neither knows is kept)."""

    family: Family
    subtype: int = RefreshSubtype.REQUEST


Message = Union[Open, Update, Notification, Keepalive, RouteRefresh]
