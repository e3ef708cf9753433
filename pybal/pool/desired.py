"""The desired state of a service in IPVS, from its settings and pooled servers. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import index
from typing import NamedTuple, SupportsIndex

from pybal.config.settings import ServiceSettings
from pybal.ipvs.model import (
    Destination,
    DestinationKey,
    Service,
    ServiceEntry,
    ServiceKey,
)
from pybal.model import IPAddress
from pybal.pool.member import Member
from pybal.pool.members import Members
from pybal.runtime.persistent_map import PersistentMap


def service_key(settings: ServiceSettings) -> ServiceKey:
    """What identifies the service in the kernel."""
    if settings.ipvs.fwmark:
        return ServiceKey.marked(settings.ipvs.fwmark, settings.address.version)
    return ServiceKey(settings.protocol, settings.address, settings.port)


def modules_needed(settings: ServiceSettings) -> tuple[str, ...]:
    """The kernel's modules that the service needs, beyond ip_vs itself."""
    engine = settings.ipvs.persistence_engine
    return (f"ip_vs_{settings.scheduler}", *([f"ip_vs_pe_{engine}"] if engine else []))


def all_modules_needed(services: Iterable[ServiceSettings]) -> list[tuple[str, tuple[str, ...]]]:
    """The same of all services, by their names."""
    return [(settings.name, modules_needed(settings)) for settings in services]


def destination_key(settings: ServiceSettings, address: IPAddress) -> DestinationKey:
    """What identifies a real server in the kernel. A service by firewall mark has no port: packets
    keep the port that they came for."""
    return DestinationKey(address, 0 if settings.ipvs.fwmark else settings.port)


def service_of(settings: ServiceSettings) -> Service:
    """The service itself."""
    options = settings.ipvs
    return Service(
        service_key(settings),
        settings.scheduler,
        settings.one_packet,
        options.scheduler_flags,
        options.persistence,
        options.persistence_engine,
    )


def destination(
    settings: ServiceSettings, address: IPAddress, weight: int, rank: SupportsIndex = 0
) -> Destination:
    """A real server; `rank` is its place in the pool list."""
    options = settings.ipvs
    return Destination(
        destination_key(settings, address),
        weight,
        options.forwarding,
        options.upper_threshold,
        options.lower_threshold,
        options.tunnel,
        rank,
    )


@dataclass(slots=True)
class ListOrder:
    """The order of a pool list, which is another one as soon as the list is."""

    members: Members


@dataclass(frozen=True, slots=True)
class Place:
    """A server's place in a pool list, as that stands now: when one server goes from a list of
    thousands, all that come after it move, and nothing else changes of them."""

    order: ListOrder
    host: str

    def __index__(self) -> int:
        members = self.order.members
        # One that drains comes after those that are listed.
        return members.position(self.host) if self.host in members else len(members)


class Changes(NamedTuple):
    """A pool, and those of it that may stand otherwise than before, in order. It `goes_on` if the
    servers that there were are all there, in the same order."""

    members: Members
    concerned: Sequence[Member]
    goes_on: bool

    def and_also(self, members: Iterable[Member]) -> Changes:
        """These may stand otherwise, too."""
        return self._replace(concerned=(*self.concerned, *members))

    def and_all_of_another_list(self) -> Changes:
        """All of them may stand otherwise if another list has come."""
        return self if self.goes_on else self._replace(concerned=tuple(self.members.in_order()))


class DesiredEntry:
    """A pool's entry, kept up to date: an update costs what has changed since the last one. Entries
    that follow one another share what has not.

    Where several servers share an address the first one's weight counts: the kernel knows a
    destination by its address alone. tests/pool/reference_entry.py makes the same of all servers
    each time. `beside` has destinations that stand in it besides, where no server is pooled."""

    def __init__(
        self, settings: ServiceSettings, beside: Mapping[DestinationKey, Destination]
    ) -> None:
        self._settings = settings
        self._members = Members()
        self._order = ListOrder(Members())
        self._beside = dict(beside)
        self._destinations: PersistentMap[DestinationKey, Destination] = PersistentMap()
        self._service = service_of(settings)
        self._entry = ServiceEntry(self._service, self._destinations)
        self._by_host: dict[str, Destination] = {}
        self._by_key: dict[DestinationKey, tuple[Destination, ...]] = {}
        """Of all servers that share an address, those first that come first in the pool list."""
        self._concerned: set[DestinationKey] = set(self._beside)
        """Where `_by_key` may differ from the entry."""

    def reconfigure(self, settings: ServiceSettings) -> None:
        """From now on these are the settings."""
        before, self._settings = self._settings, settings
        self._service = service_of(settings)
        if (settings.ipvs, settings.port) != (before.ipvs, before.port):
            # All that there are are other ones in the kernel.
            self._members = Members()

    def without(self, keys: Iterable[DestinationKey]) -> None:
        """These stand in it besides no longer."""
        for key in keys:
            del self._beside[key]
            self._concerned.add(key)

    def changes(self, members: Members) -> Changes:
        """What has changed since the last update."""
        goes_on = members.same_list(self._members) or members.continues(self._members)
        return Changes(members, tuple(members.differing(self._members)), goes_on)

    def updated(
        self, changes: Changes, address_of: Callable[[str], IPAddress | None]
    ) -> ServiceEntry:
        """The entry after these changes; the same object if it is as before. The address of a
        member that is the same object as before is, too."""
        members = self._order.members = changes.members
        if not changes.goes_on:
            for host in [host for host in self._by_host if host not in members]:
                self._remove(host)
            self._sort_again()
        for member in changes.concerned:
            host = member.spec.host
            address = address_of(host) if member.pooled else None
            if address is None:
                self._remove(host)
            else:
                place = Place(self._order, host)
                self._place(host, destination(self._settings, address, member.spec.weight, place))
        # Only now: what raises on the way leaves all to the next time.
        self._members = members
        return self._become()

    def _place(self, host: str, new: Destination) -> None:
        if self._by_host.get(host) == new:
            return
        self._remove(host)
        self._by_host[host] = new
        self._concerned.add(new.key)
        self._by_key[new.key] = _in_order((*self._by_key.get(new.key, ()), new))

    def _sort_again(self) -> None:
        """The list is in another order."""
        for key, sharing in self._by_key.items():
            if len(sharing) > 1:
                self._by_key[key] = _in_order(sharing)
                self._concerned.add(key)

    def _remove(self, host: str) -> None:
        found = self._by_host.pop(host, None)
        if found is None:
            return
        self._concerned.add(found.key)
        left = tuple(each for each in self._by_key.pop(found.key) if each is not found)
        if left:
            self._by_key[found.key] = left

    def _become(self) -> ServiceEntry:
        stand = {key: self._by_key[key][0] for key in self._concerned if key in self._by_key}
        others = self._concerned.difference(stand)
        stand |= {key: self._beside[key] for key in others if key in self._beside}
        gone = [key for key in others if key not in self._beside]
        self._concerned.clear()
        destinations = self._destinations.updated(stand, gone)
        if destinations is not self._destinations or self._service != self._entry.service:
            self._destinations = destinations
            self._entry = ServiceEntry(self._service, destinations)
        return self._entry


def _in_order(sharing: Iterable[Destination]) -> tuple[Destination, ...]:
    return tuple(sorted(sharing, key=lambda each: index(each.rank)))
