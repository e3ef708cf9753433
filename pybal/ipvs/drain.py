"""Draining: a depooled server stays, with weight 0, until its connections have ended. Pure.

It lives between what a service's Coordinator wants and what the manager is told to keep in the
kernel: `Wanted` + `Draining` -> an entry that has both. What drains is not written down. If the
daemon ends meanwhile, such servers stay in the kernel with weight 0; the next start finds servers
there that are not pooled, and drains them anew, with the whole time limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pybal.ipvs.model import Destination, DestinationKey, ServiceEntry


@dataclass(frozen=True, slots=True)
class Drain:
    """One server that is on its way out. `until`: when it goes whatever its connections do, on
    the caller's clock; `connections` as last counted, None before that."""

    destination: Destination
    until: float
    connections: int | None = None


Draining = Mapping[DestinationKey, Drain]


def depool(
    before: ServiceEntry | None, wanted: ServiceEntry, draining: Draining, until: float
) -> Draining:
    """What drains once `wanted` takes the place of `before`, the entry that stood for the service
    till now, those that drained included. What is wanted again drains no more."""
    found = {} if before is None else before.destinations
    return {
        key: draining.get(key) or Drain(replace(destination, weight=0), until)
        for key, destination in found.items()
        if key not in wanted.destinations
    }


def merged(wanted: ServiceEntry, draining: Draining) -> ServiceEntry:
    """The entry that should stand in the kernel."""
    if not draining:
        return wanted
    leaving = {key: drain.destination for key, drain in draining.items()}
    return replace(wanted, destinations={**leaving, **wanted.destinations})


def counted(
    draining: Draining, connections: Mapping[DestinationKey, int] | None, now: float
) -> Draining:
    """What still drains. `connections` are those there are, None if they could not be counted; a
    server that is not among them is gone already."""
    left = {}
    for key, drain in draining.items():
        count = drain.connections if connections is None else connections.get(key, 0)
        if now < drain.until and count != 0:
            left[key] = replace(drain, connections=count)
    return left
