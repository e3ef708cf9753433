"""The entry of a service made of all its servers at once: what DesiredEntry must come to."""

from __future__ import annotations

from collections.abc import Iterable

from pybal.config.settings import ServiceSettings
from pybal.ipvs.model import Destination, DestinationKey, ServiceEntry
from pybal.model import IPAddress
from pybal.pool.desired import destination, service_of


def service_entry(
    settings: ServiceSettings, pooled: Iterable[tuple[IPAddress, int]]
) -> ServiceEntry:
    """The entry with these (address, weight) pairs as destinations.

    Where several servers share an address the first one's weight counts: the kernel knows
    a destination by its address alone.
    """
    destinations: dict[DestinationKey, Destination] = {}
    for rank, (address, weight) in enumerate(pooled):
        each = destination(settings, address, weight, rank)
        destinations.setdefault(each.key, each)
    return ServiceEntry(service_of(settings), destinations)
