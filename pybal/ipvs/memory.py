"""An IPVS table in memory that answers as the kernel does."""

from __future__ import annotations

import errno
from collections.abc import Collection, Sequence

from pybal.ipvs.kernel import Listing, Outcome, refusal
from pybal.ipvs.model import (
    MAX_WEIGHT,
    SCHEDULERS,
    Destination,
    DestinationKey,
    Forwarding,
    Service,
    ServiceEntry,
    ServiceKey,
    Table,
)
from pybal.ipvs.plan import (
    AddDestination,
    AddService,
    EditDestination,
    EditService,
    Operation,
    RemoveDestination,
    RemoveService,
)
from pybal.model import IPAddress

_MAX_SCHEDULER_NAME = 15
_ENGINES = ("", "sip")


class MemoryKernel:
    """A kernel for tests and dry runs. `schedulers` are those whose modules it has."""

    def __init__(
        self, table: Table | None = None, schedulers: Collection[str] = SCHEDULERS
    ) -> None:
        entries = (table or {}).items()
        self._services = {key: entry.service for key, entry in entries}
        self._destinations = {key: dict(entry.destinations) for key, entry in entries}
        self._schedulers = frozenset(schedulers)

    def open(self) -> None:
        """Nothing to connect to."""

    def close(self) -> None:
        """Nothing to disconnect from."""

    def services(self) -> Listing:
        return Listing(tuple(self._services.values()))

    def read(self, key: ServiceKey) -> ServiceEntry | None:
        service = self._services.get(key)
        if service is None:
            return None
        return ServiceEntry(service, dict(self._destinations[key]))

    def apply(self, operations: Sequence[Operation]) -> tuple[Outcome, ...]:
        return tuple(self._outcome(operation) for operation in operations)

    def _outcome(self, operation: Operation) -> Outcome:
        number = self._do(operation)
        return Outcome(operation, refusal(operation, number) if number else None)

    def _do(self, operation: Operation) -> int:
        """Carry the operation out; 0, or the errno that the kernel would answer."""
        match operation:
            case AddService(service) | EditService(service) if (
                len(service.scheduler) > _MAX_SCHEDULER_NAME
            ):
                return errno.EINVAL
            case AddService(service):
                return self._add_service(service)
            case _ if operation.key not in self._services:
                return errno.ESRCH
            case EditService(service):
                return self._edit_service(service)
            case RemoveService(key):
                del self._services[key], self._destinations[key]
                return 0
            case AddDestination(key, destination):
                return self._add_destination(key, destination)
            case EditDestination(key, destination):
                return self._edit_destination(key, destination)
            case RemoveDestination(key, server):
                return 0 if self._destinations[key].pop(server, None) else errno.ENOENT

    def _add_service(self, service: Service) -> int:
        if service.key in self._services:
            return errno.EEXIST
        if not self._knows(service):
            return errno.ENOENT
        self._services[service.key] = service
        self._destinations[service.key] = {}
        return 0

    def _edit_service(self, service: Service) -> int:
        if not self._knows(service):
            return errno.ENOENT
        self._services[service.key] = service
        return 0

    def _knows(self, service: Service) -> bool:
        return service.scheduler in self._schedulers and service.persistence_engine in _ENGINES

    def _add_destination(self, key: ServiceKey, destination: Destination) -> int:
        number = _refused(key, destination)
        if number:
            return number
        if destination.key in self._destinations[key]:
            return errno.EEXIST
        if not _reachable(destination.key.address):
            return errno.EINVAL
        self._store(key, destination)
        return 0

    def _edit_destination(self, key: ServiceKey, destination: Destination) -> int:
        number = _refused(key, destination)
        if number:
            return number
        if destination.key not in self._destinations[key]:
            return errno.ENOENT
        self._store(key, destination)
        return 0

    def _store(self, key: ServiceKey, destination: Destination) -> None:
        destinations: dict[DestinationKey, Destination] = self._destinations[key]
        destinations[destination.key] = destination


def _refused(key: ServiceKey, destination: Destination) -> int:
    mixed = destination.key.address.version != key.address.version
    if mixed and destination.forwarding is not Forwarding.TUNNEL:
        return errno.EINVAL
    if not 0 <= destination.weight <= MAX_WEIGHT:
        return errno.ERANGE
    if destination.lower_threshold > destination.upper_threshold:
        return errno.ERANGE
    return 0


def _reachable(address: IPAddress) -> bool:
    """What the kernel takes for a destination without knowing its routes."""
    if address.version == 6:
        return not (address.is_multicast or address.is_link_local or address.is_unspecified)
    return not (address.is_multicast or int(address) in (0, 2**32 - 1))
