"""The port to an IPVS kernel, and the words for what a kernel refuses. Pure."""

from __future__ import annotations

import errno
from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from pybal.errors import KernelError
from pybal.ipvs.model import (
    Destination,
    Forwarding,
    Service,
    ServiceEntry,
    ServiceKey,
    SyncDaemon,
    SyncRole,
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
)
from pybal.ipvs.slices import Slices
from pybal.ipvs.snapshot import ServiceStatistics
from pybal.runtime.pieces import in_one_go

MAX_NAME = 15
"""The longest name of a scheduler; a persistence engine's may have one more."""


class OperationResult(NamedTuple):
    """What became of one operation; `error` is None when the kernel holds it now."""

    operation: Operation
    error: KernelError | None = None


class Listing(NamedTuple):
    """The services of a kernel. `foreign` names, in words, those that ServiceKey cannot
    express: IP protocols other than TCP, UDP and SCTP."""

    services: tuple[Service, ...]
    foreign: tuple[str, ...] = ()


class Kernel(Protocol):
    """One IPVS table. Every call is synchronous; reads raise KernelError.

    Who minds the length of a call bounds the number of operations it passes, and reads in pieces.
    If servers of a service go between two pieces of its reading, be it by our own doing, others
    may be missing in it: the kernel remembers how many it has told, not which.
    """

    def open(self) -> None:
        """Connect; idempotent. KernelError, with a hint what to do, if there is no IPVS."""

    def close(self) -> None:
        """Disconnect, leaving the table as it is; idempotent."""

    def listing(self) -> Slices[Listing]:
        """All services, without their destinations."""

    def reading(self, key: ServiceKey) -> Slices[ServiceEntry | None]:
        """One service with its destinations; None if there is no such service."""

    def absent(self, keys: Sequence[ServiceKey]) -> Collection[ServiceKey]:
        """Which of these services, a few at most, the kernel says that it does not have: the
        cheapest question that it answers. Of others nothing is certain."""

    def counting(self, key: ServiceKey) -> Slices[ServiceStatistics | None]:
        """The connections and the traffic of one service and its destinations; None if there is
        no such service."""

    def services(self) -> Listing:
        """The listing in one piece."""
        return in_one_go(self.listing())

    def read(self, key: ServiceKey) -> ServiceEntry | None:
        """The reading in one piece."""
        return in_one_go(self.reading(key))

    def apply(self, operations: Sequence[Operation]) -> tuple[OperationResult, ...]:
        """Do all of the operations in order, whatever becomes of each; the results are in the
        same order. Never raises KernelError: a lost connection is a result, too."""

    def timeouts(self) -> Timeouts:
        """The kernel's timeouts."""

    def set_timeouts(self, timeouts: Timeouts) -> None:
        """Change those that are not 0. KernelError."""

    def sync_daemons(self) -> tuple[SyncDaemon, ...]:
        """The sync daemons that run."""

    def start_sync(self, daemon: SyncDaemon) -> None:
        """Start one; KernelError, also if one of this role runs already."""

    def stop_sync(self, role: SyncRole) -> None:
        """Stop one; KernelError, also if none of this role runs."""


def refusal(operation: Operation, number: int) -> KernelError:
    """The error for an operation that the kernel answered with this errno."""
    return KernelError(operation.words, number, _hint(operation, number))


def read_refusal(what: str, number: int) -> KernelError:
    """The error for a connection or a read that the kernel answered with this errno."""
    if number == errno.ENOENT:
        return KernelError(
            what, number, "the kernel has no IPVS and could not load it: modprobe ip_vs says why"
        )
    if number in (errno.EPERM, errno.EACCES):
        return KernelError(what, number, "IPVS needs CAP_NET_ADMIN (usually: root)")
    return KernelError(what, number)


def timeouts_refusal(what: str, number: int) -> KernelError:
    """The error for timeouts that the kernel did not take."""
    if number == errno.EINVAL:
        return KernelError(what, number, "a timeout is a number of seconds, up to some 24 days")
    return read_refusal(what, number)


def sync_refusal(what: str, number: int) -> KernelError:
    """The error for a sync daemon that the kernel did not start or stop."""
    hints = {
        errno.EEXIST: "one of this role runs already",
        errno.ESRCH: "none of this role runs",
        errno.ENODEV: "there is no such interface",
        errno.EINVAL: "no service may have servers of the other address family then, and the"
        " group must be a multicast address",
        errno.ENETUNREACH: "there is no route to the multicast group",
    }
    if number in (errno.EPERM, errno.EACCES):
        return read_refusal(what, number)
    return KernelError(what, number, hints.get(number, ""))


def is_drift(operation: Operation, number: int) -> bool:
    """Whether this answer means that the table is not what it was taken for."""
    if number in (errno.ESRCH, errno.EEXIST):
        return True
    return number == errno.ENOENT and isinstance(operation, EditDestination | RemoveDestination)


def _hint(operation: Operation, number: int) -> str:
    match number, operation:
        case errno.EPERM, _:
            return "changing IPVS needs CAP_NET_ADMIN (usually: root)"
        case errno.ESRCH, _:
            return "there is no such service in the kernel"
        case errno.EEXIST, AddService():
            return "the service is in the kernel already"
        case errno.EEXIST, _:
            return "the server is in the kernel's service already"
        case errno.ENOENT, AddService(service) | EditService(service):
            return _missing_module(service)
        case errno.ENOENT, EditDestination() | RemoveDestination():
            return "there is no such server in the kernel's service"
        case errno.EINVAL, AddDestination(key, destination) | EditDestination(key, destination):
            return _bad_destination(key, destination)
        case errno.EINVAL, AddService(service) | EditService(service):
            return _bad_service(service)
        case errno.ERANGE, _:
            return "a weight is 0 to 2147483647, a lower threshold at most the upper one"
        case _:
            return ""


def _bad_destination(key: ServiceKey, destination: Destination) -> str:
    tunnelled = destination.forwarding is Forwarding.TUNNEL
    if destination.key.address.version != key.address.version:
        if tunnelled:
            return "while a sync daemon runs no server can be of the other address family"
        return "only a tunnel can lead to the other address family"
    tunnel = destination.tunnel
    if tunnelled and tunnel.type is TunnelType.GUE and not tunnel.port:
        return "a GUE tunnel needs a port"
    return "the kernel takes local and unicast addresses only; is the loopback device up?"


def _bad_service(service: Service) -> str:
    if len(service.scheduler) > MAX_NAME:
        return f"is there a scheduler with the name of {service.scheduler!r}?"
    if len(service.persistence_engine) > MAX_NAME:
        return f"is there a persistence engine with the name of {service.persistence_engine!r}?"
    return "an IPv6 persistence netmask is a prefix length from 1 to 128"


def _missing_module(service: Service) -> str:
    hint = f"the scheduler is not known to the kernel: modprobe ip_vs_{service.scheduler}"
    if service.persistence_engine:
        hint += f", or the persistence engine: modprobe ip_vs_pe_{service.persistence_engine}"
    return hint
