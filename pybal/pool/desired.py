"""The desired state of a service in IPVS, from its settings and pooled servers. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from pybal.config.settings import ServiceSettings
from pybal.ipvs.model import (
    Destination,
    DestinationKey,
    Service,
    ServiceEntry,
    ServiceKey,
)
from pybal.model import IPAddress


def service_key(settings: ServiceSettings) -> ServiceKey:
    """What identifies the service in the kernel."""
    if settings.ipvs.fwmark:
        return ServiceKey.marked(settings.ipvs.fwmark, settings.address.version)
    return ServiceKey(settings.protocol, settings.address, settings.port)


def modules_needed(settings: ServiceSettings) -> tuple[str, ...]:
    """The kernel's modules that the service needs, beyond ip_vs itself."""
    engine = settings.ipvs.persistence_engine
    return (f"ip_vs_{settings.scheduler}", *([f"ip_vs_pe_{engine}"] if engine else []))


def destination_key(settings: ServiceSettings, address: IPAddress) -> DestinationKey:
    """What identifies a real server in the kernel. A service by firewall mark has no port: packets
    keep the port that they came for."""
    return DestinationKey(address, 0 if settings.ipvs.fwmark else settings.port)


def service_entry(
    settings: ServiceSettings, pooled: Iterable[tuple[IPAddress, int]]
) -> ServiceEntry:
    """The entry with these (address, weight) pairs as destinations.

    Where several servers share an address the first one's weight counts: the kernel knows
    a destination by its address alone.
    """
    options = settings.ipvs
    destinations: dict[DestinationKey, Destination] = {}
    for address, weight in pooled:
        key = destination_key(settings, address)
        destination = Destination(
            key,
            weight,
            options.forwarding,
            options.upper_threshold,
            options.lower_threshold,
            options.tunnel,
        )
        destinations.setdefault(key, destination)
    service = Service(
        service_key(settings),
        settings.scheduler,
        settings.one_packet,
        options.scheduler_flags,
        options.persistence,
        options.persistence_engine,
    )
    return ServiceEntry(service, destinations)
