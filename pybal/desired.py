"""From a service's settings and pooled servers to the entry that should stand in IPVS. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from pybal.config.settings import ServiceSettings
from pybal.ipvs.model import (
    Destination,
    DestinationKey,
    Forwarding,
    Service,
    ServiceEntry,
    ServiceKey,
)
from pybal.model import IPAddress


def service_key(settings: ServiceSettings) -> ServiceKey:
    """What identifies the service in the kernel."""
    return ServiceKey(settings.protocol, settings.address, settings.port)


def service_entry(
    settings: ServiceSettings, pooled: Iterable[tuple[IPAddress, int]]
) -> ServiceEntry:
    """The entry with these (address, weight) pairs as destinations.

    Where several servers share an address the first one's weight counts: the kernel knows
    a destination by its address alone.
    """
    forwarding = Forwarding.TUNNEL if settings.tunneling else Forwarding.DIRECT
    destinations: dict[DestinationKey, Destination] = {}
    for address, weight in pooled:
        key = DestinationKey(address, settings.port)
        destinations.setdefault(key, Destination(key, weight, forwarding))
    service = Service(service_key(settings), settings.scheduler, settings.one_packet)
    return ServiceEntry(service, destinations)
