"""Draining: a depooled server stays, with weight 0, until its connections have ended. Pure.

It lives between what a service's Coordinator wants and what the manager is told to keep in the
kernel: the entry that is wanted + `Draining` -> an entry that has both. What drains is not written
down. If the daemon ends meanwhile, such servers stay in the kernel with weight 0; the next start
finds servers there that are not pooled, and drains them anew, with the whole time limit.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from pybal.ipvs.model import Destination, DestinationKey, ServiceEntry
from pybal.runtime.persistent_map import PersistentMap, difference


class Drain(NamedTuple):
    """One server that is on its way out. `until`: when it goes whatever its connections do, on
    the caller's clock; `connections` as last counted, None before that."""

    destination: Destination
    until: float
    connections: int | None = None


Draining = Mapping[DestinationKey, Drain]


def counted(
    draining: Draining, connections: Mapping[DestinationKey, int] | None, now: float
) -> Draining:
    """What still drains. `connections` are those there are, None if they could not be counted; a
    server that is not among them is gone already."""
    left = {}
    for key, drain in draining.items():
        count = drain.connections if connections is None else connections.get(key, 0)
        if now < drain.until and count != 0:
            left[key] = drain if count == drain.connections else drain._replace(connections=count)
    return left


class DrainedEntry:
    """What is wanted of a service, with what drains of it, at the cost of what has changed. `entry`
    is what should stand in the kernel."""

    def __init__(self, entry: ServiceEntry) -> None:
        self.wanted = entry
        self.entry = entry
        self.draining: dict[DestinationKey, Drain] = {}

    def leave(self, before: ServiceEntry | None, until: float) -> Draining:
        """What stood before the first entry, and is not in it, drains; returns that."""
        new = {
            key: Drain(replace(destination, weight=0), until)
            for key, destination in (before.destinations if before else {}).items()
            if key not in self.wanted.destinations
        }
        self._merge(new, ())
        return new

    def want(
        self, entry: ServiceEntry, until: float, stand: Container[DestinationKey] | None = None
    ) -> Draining:
        """From now on this is wanted; what leaves drains `until` then, if it does `stand` (None:
        all that was wanted do): what the kernel has refused has no connections. Returns that."""
        changed = difference(self.wanted.destinations, entry.destinations)
        self.wanted = entry
        new: dict[DestinationKey, Drain] = {}
        back: list[DestinationKey] = []
        gone: list[DestinationKey] = []
        standing: dict[DestinationKey, Destination] = {}
        for key, before, after in filter(None, changed):
            if after is not None:
                standing[key] = after
                back.append(key)
            elif before is not None and (stand is None or key in stand):
                new[key] = Drain(replace(before, weight=0), until)
            else:
                gone.append(key)
        if not self.draining and not new:
            self.entry = entry
        else:
            destinations = self._persistent().updated(standing, gone)
            self.entry = replace(entry, destinations=destinations)
            self._merge(new, back)
        return new

    def count(self, connections: Mapping[DestinationKey, int] | None, now: float) -> Draining:
        """See `counted`; returns what drains no more."""
        left = counted(self.draining, connections, now)
        gone = {key: drain for key, drain in self.draining.items() if key not in left}
        self.draining = dict(left)
        if not left:
            self.entry = self.wanted
        elif gone:
            destinations = self._persistent().updated({}, gone)
            self.entry = replace(self.entry, destinations=destinations)
        return gone

    def _merge(self, new: Draining, back: Iterable[DestinationKey]) -> None:
        for key in back:
            self.draining.pop(key, None)
        self.draining.update(new)
        leaving = {key: drain.destination for key, drain in new.items()}
        if not self.draining:
            self.entry = self.wanted
        elif leaving:
            destinations = self._persistent().updated(leaving)
            self.entry = replace(self.entry, destinations=destinations)

    def _persistent(self) -> PersistentMap[DestinationKey, Destination]:
        destinations = self.entry.destinations
        if isinstance(destinations, PersistentMap):
            return destinations
        return PersistentMap(destinations)
