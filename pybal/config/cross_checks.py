"""What the sections of one file must agree on."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from pybal.config.section import SectionReader
from pybal.config.service_section import ServiceDraft
from pybal.config.settings import BGPSettings
from pybal.model import IPAddress, L4Protocol


def check_distinct(services: Iterable[ServiceDraft]) -> None:
    """No two services on one protocol, address and port."""
    first: dict[tuple[L4Protocol, IPAddress, int], SectionReader] = {}
    for service in services:
        if service.protocol is None or service.address is None or service.port is None:
            continue
        key = (service.protocol, service.address, service.port)
        other = first.setdefault(key, service.reader)
        if other is not service.reader:
            taken = f"{service.protocol.value} port {service.port} of {service.address}"
            service.reader.error("port", f"{taken} is already [{other.name}] (line {other.line})")


def check_meds(
    services: Iterable[ServiceDraft], bgp: BGPSettings, global_reader: SectionReader
) -> None:
    """All services on one address are announced as one route, which has one MED."""
    first: dict[IPAddress, tuple[int, SectionReader]] = {}
    for service in services:
        if not service.announced or service.address is None or service.reader.is_bad("bgp-med"):
            continue
        if service.med is None and global_reader.is_bad("bgp-med"):
            continue
        med = bgp.med if service.med is None else service.med
        other_med, other = first.setdefault(service.address, (med, service.reader))
        if med != other_med:
            service.reader.error(
                "bgp-med",
                f"MED {med} differs from {other_med} of [{other.name}] (line {other.line});"
                f" both announce {service.address}, which can have one only",
            )


def check_nexthops(
    services: Iterable[ServiceDraft], bgp: BGPSettings, global_reader: SectionReader
) -> None:
    """What is announced needs a next hop of its family."""
    announced = [
        (service.address, f"[{service.reader.name}] announces {service.address}")
        for service in services
        if service.announced and service.address is not None
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
