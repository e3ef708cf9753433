"""The difference between two IPVS tables, as the operations that lead from one to the other.
Pure."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace

from pybal.ipvs.model import (
    Destination,
    DestinationKey,
    Forwarding,
    Service,
    ServiceEntry,
    ServiceKey,
    Table,
)
from pybal.runtime.persistent_map import PersistentMap

_LOOKED_AT = 100
"""After so many destinations `planning` makes a step in any case."""

Destinations = Mapping[DestinationKey, Destination]

_FORWARDING_WORDS = {
    Forwarding.MASQUERADE: "masquerading",
    Forwarding.LOCAL: "local",
    Forwarding.TUNNEL: "tunnel",
    Forwarding.DIRECT: "direct routing",
    Forwarding.BYPASS: "bypass",
    Forwarding.UNKNOWN: "unknown forwarding",
}


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


def plan(actual: Table, wanted: Table, removable: Set[ServiceKey]) -> tuple[Operation, ...]:
    """The operations that turn `actual` into `wanted`; nothing that can be edited is re-created.

    Services that are neither wanted nor in `removable` are left alone. Services come first, then
    additions, edits and removals of destinations, then removals of services: after any number of
    the operations, each wanted service still has every destination that is in both tables.
    """
    return tuple(step for step in planning(actual, wanted, removable) if not isinstance(step, int))


def planning(actual: Table, wanted: Table, removable: Set[ServiceKey]) -> Iterator[Operation | int]:
    """The same, step by step: each is an operation, or says that so many destinations were looked
    at. The entries of both tables may not change meanwhile."""
    for key, entry in wanted.items():
        standing = actual.get(key)
        if standing is None:
            yield AddService(entry.service)
        elif standing.service != entry.service:
            yield EditService(entry.service)
    edits: list[Operation] = []
    leaving: list[ServiceKey] = []
    for key, entry in wanted.items():
        found = actual[key].destinations if key in actual else {}
        staying = yield from _additions(key, found, entry.destinations, edits)
        if staying < len(found):
            leaving.append(key)
    yield from edits
    for key in leaving:
        yield from _removals(key, actual[key].destinations, wanted[key].destinations)
    for key in actual:
        if key in removable and key not in wanted:
            yield RemoveService(key)


def _additions(
    key: ServiceKey, found: Destinations, wanted: Destinations, edits: list[Operation]
) -> Generator[Operation | int, None, int]:
    """What is to be added; what is to be changed is appended to `edits`. Returns how many of those
    that were found are wanted."""
    staying = 0
    for number, (server, destination) in enumerate(wanted.items(), 1):
        existing = found.get(server)
        if existing is None:
            yield AddDestination(key, destination)
        else:
            staying += 1
            if existing is not destination and existing != destination:
                edits.append(EditDestination(key, destination))
        if number % _LOOKED_AT == 0:
            yield _LOOKED_AT
    return staying


def _removals(
    key: ServiceKey, found: Destinations, wanted: Destinations
) -> Iterator[Operation | int]:
    for number, server in enumerate(found, 1):
        if server not in wanted:
            yield RemoveDestination(key, server)
        if number % _LOOKED_AT == 0:
            yield _LOOKED_AT


def applied(table: Table, operations: Iterable[Operation]) -> dict[ServiceKey, ServiceEntry]:
    """The table after the kernel has accepted all of the operations; `table` itself stays.

    An operation on a service that is not in `table` (other than adding it) changes nothing.
    """
    result = dict(table)
    apply_to(result, operations)
    return result


def apply_to(table: dict[ServiceKey, ServiceEntry], operations: Iterable[Operation]) -> None:
    """As `applied`, in place; the entries that were in the table stay as they are."""
    copied: dict[ServiceKey, _Copy] = {}
    for operation in operations:
        key = operation.key
        if isinstance(operation, AddService):
            copied[key] = _Copy({})
            table[key] = ServiceEntry(operation.service, {})
        elif key not in table:
            continue
        elif isinstance(operation, RemoveService):
            del table[key]
            copied.pop(key, None)
        elif isinstance(operation, EditService):
            table[key] = replace(table[key], service=operation.service)
        else:
            if key not in copied:
                copied[key] = _Copy(table[key].destinations)
            copied[key].change(operation)
    for key, copy in copied.items():
        table[key] = replace(table[key], destinations=copy.destinations)


class _Copy:
    """Of a service's destinations, changed. Of a PersistentMap no copy is made."""

    def __init__(self, destinations: Destinations) -> None:
        self._persistent = destinations if isinstance(destinations, PersistentMap) else None
        self._changed = {} if self._persistent is not None else dict(destinations)
        self._removed: dict[DestinationKey, None] = {}

    def change(self, operation: AddDestination | EditDestination | RemoveDestination) -> None:
        if isinstance(operation, RemoveDestination):
            self._changed.pop(operation.destination, None)
            self._removed[operation.destination] = None
        else:
            self._changed[operation.destination.key] = operation.destination
            self._removed.pop(operation.destination.key, None)

    @property
    def destinations(self) -> Destinations:
        if self._persistent is None:
            return self._changed
        return self._persistent.updated(self._changed, self._removed)
