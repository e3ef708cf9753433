"""An IPVS table in memory that answers as the kernel does. Pure."""

from __future__ import annotations

import errno
from collections.abc import Collection, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from itertools import islice

from pybal.ipvs.kernel import (
    MAX_NAME,
    Kernel,
    Listing,
    OperationResult,
    read_refusal,
    refusal,
    sync_refusal,
    timeouts_refusal,
)
from pybal.ipvs.model import (
    IPIP,
    MAX_WEIGHT,
    NO_SCHEDULER,
    SCHEDULERS,
    Destination,
    DestinationKey,
    Forwarding,
    Service,
    ServiceEntry,
    ServiceKey,
    SyncDaemon,
    SyncRole,
    Table,
    Timeouts,
    TunnelType,
)
from pybal.ipvs.operations import (
    AddDestination,
    AddService,
    EditDestination,
    EditService,
    Operation,
    RemoveDestination,
    RemoveService,
)
from pybal.ipvs.slices import Slices
from pybal.ipvs.snapshot import DestinationStatistics, ServiceStatistics, Traffic
from pybal.model import IPAddress

_ENGINES = ("", "sip")
_MAX_TIMEOUT_S = (2**31 - 1) // 1000  # what a kernel of 1,000 Hz takes; of fewer, takes more

_NO_TRAFFIC = Traffic()
_NO_COUNTS = (0, 0, 0)
_REMEMBERED = 32768


@lru_cache(_REMEMBERED)
def _statistics(
    key: DestinationKey, counts: tuple[int, int, int], weight: int
) -> DestinationStatistics:
    return DestinationStatistics(str(key), key.address, *counts, _NO_TRAFFIC, weight)


class MemoryKernel(Kernel):
    """A kernel for tests and dry runs. `schedulers` are those whose modules it has,
    `interfaces` those of the host; not `permitted`, it refuses everything, as the kernel does
    without CAP_NET_ADMIN."""

    piece = 100
    """So many services or servers it tells of at a time."""

    def __init__(
        self,
        table: Table | None = None,
        schedulers: Collection[str] = SCHEDULERS,
        interfaces: Collection[str] = (),
        *,
        permitted: bool = True,
    ) -> None:
        entries = (table or {}).items()
        self._services = {key: entry.service for key, entry in entries}
        self._destinations = {key: dict(entry.destinations) for key, entry in entries}
        self._counted: dict[ServiceKey, dict[DestinationKey, tuple[int, int, int]]] = {}
        self._schedulers = frozenset((NO_SCHEDULER, *schedulers))
        self._interfaces = frozenset(interfaces)
        self._permitted = permitted
        self._timeouts = Timeouts(900, 120, 300)
        self._sync: dict[SyncRole, SyncDaemon] = {}

    def open(self) -> None:
        """Nothing to connect to."""

    def close(self) -> None:
        """Nothing to disconnect from."""

    def listing(self) -> Slices[Listing]:
        """See Kernel."""
        self._check_permission("read the IPVS services")
        found: list[Service] = []
        while True:
            more = tuple(islice(self._services.values(), len(found), len(found) + self.piece))
            if not more:
                return Listing(tuple(found))
            found += more
            yield len(more)

    def reading(self, key: ServiceKey) -> Slices[ServiceEntry | None]:
        """See Kernel."""
        self._check_permission(f"read service {key}")
        service = self._services.get(key)
        if service is None:
            return None
        found = yield from self._dump(key)
        return ServiceEntry(service, {each.key: each for each in found})

    def absent(self, keys: Sequence[ServiceKey]) -> Collection[ServiceKey]:
        """See Kernel."""
        self._check_permission("look at the IPVS services")
        return [key for key in keys if key not in self._services]

    def counting(self, key: ServiceKey) -> Slices[ServiceStatistics | None]:
        """Nothing passes through here, but for what `count` says."""
        if key not in self._services:
            return None
        found = yield from self._dump(key)
        counted = self._counted.get(key, {})
        return ServiceStatistics(
            str(key),
            _NO_TRAFFIC,
            tuple(
                _statistics(each.key, counted.get(each.key, _NO_COUNTS), each.weight)
                for each in found
            ),
        )

    def _dump(self, key: ServiceKey) -> Slices[list[Destination]]:
        """As the kernel does it: where it goes on is but a number, whatever has gone meanwhile."""
        found: list[Destination] = []
        while True:
            standing = self._destinations.get(key, {}).values()
            more = tuple(islice(standing, len(found), len(found) + self.piece))
            if not more:
                return found
            found += more
            yield len(more)

    def count(
        self, key: ServiceKey, server: DestinationKey, active: int, inactive: int = 0
    ) -> None:
        """Have a destination show so many connections, as a test likes."""
        self._counted.setdefault(key, {})[server] = (active, inactive, 0)

    def apply(self, operations: Sequence[Operation]) -> tuple[OperationResult, ...]:
        """See Kernel."""
        return tuple(self._outcome(operation) for operation in operations)

    def timeouts(self) -> Timeouts:
        """See Kernel."""
        self._check_permission("read the IPVS timeouts")
        return self._timeouts

    def set_timeouts(self, timeouts: Timeouts) -> None:
        """See Kernel."""
        what = "set the IPVS timeouts"
        self._check_permission(what)
        wanted = {field.name: getattr(timeouts, field.name) for field in fields(timeouts)}
        if not all(0 <= each <= _MAX_TIMEOUT_S for each in wanted.values()):
            raise timeouts_refusal(what, errno.EINVAL)
        changes = {name: each for name, each in wanted.items() if each}
        self._timeouts = replace(self._timeouts, **changes)

    def sync_daemons(self) -> tuple[SyncDaemon, ...]:
        """See Kernel."""
        self._check_permission("read the IPVS sync daemons")
        return tuple(self._sync[role] for role in SyncRole if role in self._sync)

    def start_sync(self, daemon: SyncDaemon) -> None:
        """See Kernel."""
        what = f"start {daemon}"
        self._check_permission(what)
        if not daemon.group.is_multicast or self._is_mixed():
            raise sync_refusal(what, errno.EINVAL)
        if daemon.interface not in self._interfaces:
            raise sync_refusal(what, errno.ENODEV)
        if daemon.role in self._sync:
            raise sync_refusal(what, errno.EEXIST)
        self._sync[daemon.role] = daemon

    def stop_sync(self, role: SyncRole) -> None:
        """See Kernel."""
        what = f"stop {role.words}"
        self._check_permission(what)
        if self._sync.pop(role, None) is None:
            raise sync_refusal(what, errno.ESRCH)

    def _is_mixed(self) -> bool:
        return any(
            server.address.version != key.address.version
            for key, destinations in self._destinations.items()
            for server in destinations
        )

    def _check_permission(self, what: str) -> None:
        if not self._permitted:
            raise read_refusal(what, errno.EPERM)

    def _outcome(self, operation: Operation) -> OperationResult:
        number = self._do(operation)
        return OperationResult(operation, refusal(operation, number) if number else None)

    def _do(self, operation: Operation) -> int:
        """Carry the operation out; 0, or the errno that the kernel would answer."""
        if not self._permitted:
            return errno.EPERM
        match operation:
            case AddService(service) | EditService(service) if (
                len(service.scheduler) > MAX_NAME or len(service.persistence_engine) > MAX_NAME + 1
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
        number = self._bad(service)
        if number:
            return number
        self._services[service.key] = service
        self._destinations[service.key] = {}
        return 0

    def _edit_service(self, service: Service) -> int:
        number = self._bad(service)
        if number:
            return number
        self._services[service.key] = service
        return 0

    def _bad(self, service: Service) -> int:
        if service.scheduler not in self._schedulers or service.persistence_engine not in _ENGINES:
            return errno.ENOENT
        if service.key.address.version == 6 and service.persistence is not None:
            length = service.persistence.prefix_length
            return 0 if length is None or 1 <= length <= 128 else errno.EINVAL
        return 0

    def _add_destination(self, key: ServiceKey, destination: Destination) -> int:
        number = self._refused(key, destination)
        if number:
            return number
        if destination.key in self._destinations[key]:
            return errno.EEXIST
        if not _reachable(destination.key.address):
            return errno.EINVAL
        self._store(key, destination)
        return 0

    def _edit_destination(self, key: ServiceKey, destination: Destination) -> int:
        number = self._refused(key, destination)
        if number:
            return number
        if destination.key not in self._destinations[key]:
            return errno.ENOENT
        self._store(key, destination)
        return 0

    def _store(self, key: ServiceKey, destination: Destination) -> None:
        tunnel, tunnelled = destination.tunnel, destination.forwarding is Forwarding.TUNNEL
        if tunnel is not IPIP and (not tunnelled or tunnel.type is TunnelType.IPIP):
            destination = replace(destination, tunnel=IPIP)
        destinations: dict[DestinationKey, Destination] = self._destinations[key]
        destinations[destination.key] = destination

    def _refused(self, key: ServiceKey, destination: Destination) -> int:
        mixed = destination.key.address.version != key.address.version
        if mixed and (self._sync or destination.forwarding is not Forwarding.TUNNEL):
            return errno.EINVAL
        return _out_of_range(destination)


def _out_of_range(destination: Destination) -> int:
    if not 0 <= destination.weight <= MAX_WEIGHT:
        return errno.ERANGE
    if destination.lower_threshold > destination.upper_threshold:
        return errno.ERANGE
    tunnel = destination.tunnel
    tunnelled = destination.forwarding is Forwarding.TUNNEL
    return errno.EINVAL if tunnelled and tunnel.type is TunnelType.GUE and not tunnel.port else 0


def _reachable(address: IPAddress) -> bool:
    """What the kernel takes for a destination without knowing its routes."""
    if address.version == 6:
        return not (
            address.is_multicast
            or address.is_link_local
            or address.is_unspecified
            or address.ipv4_mapped is not None
        )
    return not (address.is_multicast or int(address) in (0, 2**32 - 1))
