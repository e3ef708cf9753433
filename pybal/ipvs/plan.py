"""The difference between two IPVS tables, as the operations that lead from one to the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
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
    services: list[Operation] = []
    additions: list[Operation] = []
    edits: list[Operation] = []
    removals: list[Operation] = []
    for key, entry in wanted.items():
        standing = actual.get(key)
        if standing is None:
            services.append(AddService(entry.service))
            standing = ServiceEntry(entry.service, {})
        elif standing.service != entry.service:
            services.append(EditService(entry.service))
        for server, destination in entry.destinations.items():
            existing = standing.destinations.get(server)
            if existing is None:
                additions.append(AddDestination(key, destination))
            elif existing != destination:
                edits.append(EditDestination(key, destination))
        removals.extend(
            RemoveDestination(key, server)
            for server in standing.destinations
            if server not in entry.destinations
        )
    return (*services, *additions, *edits, *removals, *_unwanted(actual, wanted, removable))


def _unwanted(actual: Table, wanted: Table, removable: Set[ServiceKey]) -> Iterator[Operation]:
    return (RemoveService(key) for key in actual if key in removable and key not in wanted)


def applied(table: Table, operations: Iterable[Operation]) -> dict[ServiceKey, ServiceEntry]:
    """The table after the kernel has accepted all of the operations; `table` itself stays.

    An operation on a service that is not in `table` (other than adding it) changes nothing.
    """
    result = dict(table)
    copied: dict[ServiceKey, dict[DestinationKey, Destination]] = {}
    for operation in operations:
        if isinstance(operation, AddService):
            copied[operation.key] = {}
            result[operation.key] = ServiceEntry(operation.service, copied[operation.key])
        elif operation.key not in result:
            continue
        elif isinstance(operation, RemoveService):
            del result[operation.key]
            copied.pop(operation.key, None)
        elif isinstance(operation, EditService):
            result[operation.key] = replace(result[operation.key], service=operation.service)
        else:
            if operation.key not in copied:
                entry = result[operation.key]
                copied[operation.key] = dict(entry.destinations)
                result[operation.key] = replace(entry, destinations=copied[operation.key])
            _change(copied[operation.key], operation)
    return result


def _change(
    destinations: dict[DestinationKey, Destination],
    operation: AddDestination | EditDestination | RemoveDestination,
) -> None:
    if isinstance(operation, RemoveDestination):
        destinations.pop(operation.destination, None)
    else:
        destinations[operation.destination.key] = operation.destination
