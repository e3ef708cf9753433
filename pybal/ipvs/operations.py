"""What can be done to an IPVS table: the operations, and what becomes of a table by them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from pybal.ipvs.model import (
    Destination,
    DestinationKey,
    Forwarding,
    Service,
    ServiceEntry,
    ServiceKey,
)
from pybal.runtime.persistent_map import PersistentMap

Destinations = Mapping[DestinationKey, Destination]

_FORWARDING_WORDS = {
    Forwarding.MASQUERADE: "masquerading",
    Forwarding.LOCAL: "local",
    Forwarding.TUNNEL: "tunnel",
    Forwarding.DIRECT: "direct routing",
    Forwarding.BYPASS: "bypass",
    Forwarding.UNKNOWN: "unknown forwarding",
}

_MANY = 4000


@dataclass(frozen=True, slots=True)
class AddService:
    """Create a service, without destinations."""

    service: Service

    @property
    def key(self) -> ServiceKey:
        return self.service.key

    @property
    def words(self) -> str:
        return f"add service {self.key} ({_service_words(self.service)})"


@dataclass(frozen=True, slots=True)
class EditService:
    """Give a standing service these attributes; destinations and connections stay."""

    service: Service

    @property
    def key(self) -> ServiceKey:
        return self.service.key

    @property
    def words(self) -> str:
        return f"change service {self.key} ({_service_words(self.service)})"


@dataclass(frozen=True, slots=True)
class RemoveService:
    """Remove a service with all of its destinations."""

    key: ServiceKey

    @property
    def words(self) -> str:
        return f"remove service {self.key}"


@dataclass(frozen=True, slots=True)
class AddDestination:
    """Add a destination to the service `key`."""

    key: ServiceKey
    destination: Destination

    @property
    def words(self) -> str:
        return f"add server {_destination_words(self.destination)} to service {self.key}"


@dataclass(frozen=True, slots=True)
class EditDestination:
    """Give a standing destination these attributes; its connections stay."""

    key: ServiceKey
    destination: Destination

    @property
    def words(self) -> str:
        return f"change server {_destination_words(self.destination)} of service {self.key}"


@dataclass(frozen=True, slots=True)
class RemoveDestination:
    """Remove a destination from the service `key`."""

    key: ServiceKey
    destination: DestinationKey

    @property
    def words(self) -> str:
        return f"remove server {self.destination} from service {self.key}"


Operation = (
    AddService | EditService | RemoveService | AddDestination | EditDestination | RemoveDestination
)


def _service_words(service: Service) -> str:
    return service.scheduler + (", one-packet" if service.one_packet else "")


def _destination_words(destination: Destination) -> str:
    forwarding = _FORWARDING_WORDS[destination.forwarding]
    return f"{destination.key} (weight {destination.weight}, {forwarding})"


def of_each_service(
    operations: Iterable[Operation],
) -> Iterator[tuple[ServiceKey, Iterator[Operation]]]:
    """Those on one service that follow one another, together."""
    return groupby(operations, attrgetter("key"))


def apply_to(table: dict[ServiceKey, ServiceEntry], operations: Iterable[Operation]) -> None:
    """Make of `table` what it is once the kernel has accepted all of the operations; the entries
    that were in it stay as they are. An operation on a service that is not in the table (other than
    adding it) changes nothing."""
    for key, together in of_each_service(operations):
        entry = _changed(table.get(key), together)
        if entry is not None:
            table[key] = entry
        else:
            table.pop(key, None)


def _changed(entry: ServiceEntry | None, operations: Iterable[Operation]) -> ServiceEntry | None:
    service = None if entry is None else entry.service
    copy = _Copy({} if entry is None else entry.destinations)
    for operation in operations:
        if isinstance(operation, (AddDestination, EditDestination)):
            copy.put(operation.destination)
        elif isinstance(operation, RemoveDestination):
            copy.remove(operation.destination)
        elif isinstance(operation, AddService):
            service, copy = operation.service, _Copy({})
        elif isinstance(operation, RemoveService):
            service = None
        elif service is not None:
            service = operation.service
    return None if service is None else ServiceEntry(service, copy.destinations)


class _Copy:
    """Of a service's destinations, changed. Of a PersistentMap no copy is made; nor of more than
    _MANY, which have so few changes at once that they had better become one."""

    def __init__(self, destinations: Destinations) -> None:
        # Not isinstance(), which asks an abstract class: that takes as long as all the rest.
        self._persistent = destinations if type(destinations) is PersistentMap else None
        if self._persistent is None and len(destinations) > _MANY:
            self._persistent = PersistentMap(destinations)
        self._changed = {} if self._persistent is not None else dict(destinations)
        self._removed: dict[DestinationKey, None] = {}

    def put(self, destination: Destination) -> None:
        self._changed[destination.key] = destination
        if self._removed:
            self._removed.pop(destination.key, None)

    def remove(self, server: DestinationKey) -> None:
        self._changed.pop(server, None)
        self._removed[server] = None

    @property
    def destinations(self) -> Destinations:
        if self._persistent is None:
            return self._changed
        return self._persistent.updated(self._changed, self._removed)
