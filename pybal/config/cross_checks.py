"""What the sections of one file must agree on. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address

from pybal.config.bgp_checks import not_routed
from pybal.config.section import SectionReader
from pybal.config.service_section import ServiceDraft
from pybal.config.settings import BGPSettings
from pybal.ipvs.model import ServiceKey
from pybal.ipvs.options import KernelOptions
from pybal.model import IPAddress


def check_distinct(services: Iterable[ServiceDraft]) -> None:
    """No two services on one protocol, address and port, or on one mark and address family."""
    first: dict[ServiceKey, SectionReader] = {}
    for service in services:
        if service.protocol is None or service.address is None or service.port is None:
            continue
        if service.fwmark:
            key = ServiceKey.marked(service.fwmark, service.address.version)
        else:
            key = ServiceKey(service.protocol, service.address, service.port)
        other = first.setdefault(key, service.reader)
        if other is not service.reader:
            taken = f"{service.protocol.value} port {service.port} of {service.address}"
            name = str(key) if service.fwmark else taken
            service.reader.error(
                "fwmark" if service.fwmark else "port",
                f"{name} is already [{other.name}] (line {other.line})",
            )


def check_families(services: Iterable[ServiceDraft], kernel: KernelOptions) -> None:
    """The kernel's sync daemons know no servers of another address family than the service's."""
    for service in services:
        settings = service.settings
        if settings is None or settings.server_version == settings.address.version:
            continue
        if kernel.sync:
            service.reader.error(
                "server-address-family",
                "must be that of ip, because ipvs-sync-daemon is set in [global]",
            )


def check_attributes(
    services: Sequence[ServiceDraft], bgp: BGPSettings, global_reader: SectionReader
) -> None:
    """All services on one address are announced as one route, with one set of attributes."""
    attributes: tuple[tuple[str, Callable[[ServiceDraft], object], object], ...] = (
        ("bgp-med", lambda service: service.bgp.med, bgp.med),
        ("bgp-communities", lambda service: service.bgp.communities, bgp.communities),
        (
            "bgp-large-communities",
            lambda service: service.bgp.large_communities,
            bgp.large_communities,
        ),
        (
            "bgp-extended-communities",
            lambda service: service.bgp.extended_communities,
            bgp.extended_communities,
        ),
    )
    for key, own, general in attributes:
        first: dict[IPAddress, tuple[object, SectionReader]] = {}
        for service in services:
            if not service.bgp.announced or service.address is None or service.reader.is_bad(key):
                continue
            if own(service) is None and global_reader.is_bad(key):
                continue
            value = general if own(service) is None else own(service)
            other_value, other = first.setdefault(service.address, (value, service.reader))
            if value != other_value:
                service.reader.error(
                    key,
                    f"{_difference(value, other_value)} [{other.name}] (line {other.line});"
                    f" both announce {service.address}, which can have one only",
                )


def _difference(value: object, other: object) -> str:
    if isinstance(value, int):
        return f"MED {value} differs from {other} of"
    return "the set differs from that of"


def check_withdrawals(services: Sequence[ServiceDraft]) -> None:
    """An address is announced while one service on it wants that: one alone withdraws nothing."""
    staying: dict[IPAddress, SectionReader] = {}
    for service in services:
        if (
            service.bgp.announced
            and service.address is not None
            and service.bgp.withdraw_below is None
        ):
            staying.setdefault(service.address, service.reader)
    for service in services:
        other = staying.get(service.address) if service.address is not None else None
        if service.bgp.announced and service.bgp.withdraw_below is not None and other is not None:
            service.reader.warn(
                "bgp-withdraw-on-down",
                f"has no effect: [{other.name}] (line {other.line}) announces"
                f" {service.address}, too, and has it not",
            )


def check_own_nexthops(
    services: Iterable[ServiceDraft], bgp: BGPSettings, global_reader: SectionReader
) -> None:
    """A route to an address whose next hop is that address leads nowhere."""
    hops: list[tuple[str, IPAddress | None, str]] = [
        ("bgp-nexthop-ipv4", bgp.nexthop_ipv4, ""),
        ("bgp-nexthop-ipv6", bgp.nexthop_ipv6, ""),
    ]
    for peer in bgp.peers:
        whose = f" of {peer.address}"
        hops.append(("bgp-nexthop-ipv4", peer.options.nexthop_ipv4, whose))
        hops.append(("bgp-nexthop-ipv6", peer.options.nexthop_ipv6, whose))
    for service in services:
        for key, hop, whose in hops:
            if hop is not None and service.bgp.announced and service.address == hop:
                global_reader.warn(
                    key,
                    f"that{whose} is the address of [{service.reader.name}], which is announced: it"
                    " must be an address of this host that routers reach without that route",
                )


def check_routers(
    services: Iterable[ServiceDraft], bgp: BGPSettings, global_reader: SectionReader
) -> None:
    """Whom routes are told, and whether that can be."""
    families = {family for options in bgp.all_options for family in options.families}
    routers = {peer.address for peer in bgp.peers}
    hops = {hop for hop in (bgp.nexthop_ipv4, bgp.nexthop_ipv6) if hop is not None}
    for service in services:
        address, aggregate = service.address, service.bgp.aggregate
        if address is None or not service.bgp.announced:
            continue
        name = service.reader.name
        if why := not_routed(address):
            service.reader.warn("ip", f"{address} {why}, but it is announced")
        if address in routers:
            global_reader.warn(
                "bgp-peer-address", f"{address} is the address of [{name}]: a peer is another host"
            )
        if families and address.version not in families:
            service.reader.warn(
                "ip",
                f"bgp-families has no router told of {address}: it is announced to nobody",
            )
        inside = [each for each in (*routers, *hops) if aggregate and each in aggregate]
        if inside and aggregate is not None and aggregate.prefixlen:
            service.reader.warn(
                "bgp-aggregate",
                f"holds {inside[0]}, by which routers reach this director: keep it out of there",
            )


def check_nexthops(
    services: Iterable[ServiceDraft], bgp: BGPSettings, global_reader: SectionReader
) -> None:
    """What is announced needs a next hop of its family."""
    announced = [
        (service.address, f"[{service.reader.name}] announces {service.address}")
        for service in services
        if service.bgp.announced and service.address is not None
    ]
    announced += [
        (address, f"advertised_instrumentation_ips holds {address}")
        for address in bgp.advertised_addresses
    ]
    for key, family in (("bgp-nexthop-ipv4", IPv4Address), ("bgp-nexthop-ipv6", IPv6Address)):
        reasons = (reason for address, reason in announced if isinstance(address, family))
        reason = next(reasons, None)
        if reason is not None and not global_reader.is_set(key):
            global_reader.missing(key, f"must be an address, because {reason}")
