"""What the manager knows of one published service, and how it says what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from twisted.logger import Logger

from pybal.errors import KernelError
from pybal.ipvs.model import DestinationKey, ServiceEntry, ServiceKey, Table
from pybal.ipvs.operations import (
    AddDestination,
    AddService,
    EditDestination,
    EditService,
    RemoveDestination,
    RemoveService,
)
from pybal.ipvs.outstanding import Outstanding
from pybal.ipvs.snapshot import MissingSnapshot
from pybal.runtime.clock import DelayedCall, cancel
from pybal.runtime.naming import counted

_ERRORS_LOGGED = 5

LOST_AFTER_S = 1.0
"""A refusal of a mere moment withdraws no route."""

_SUMMARY = {
    AddService: "service added",
    EditService: "service changed",
    RemoveService: "service removed",
    AddDestination: "{} added",
    EditDestination: "{} changed",
    RemoveDestination: "{} removed",
}


RefusedServers = Callable[[ServiceKey, Collection[DestinationKey]], None]
"""Takes the servers of a service whose addresses the kernel refuses."""


class Subscribers:
    """Who is told of a service; a fault of one keeps nothing from the others."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._callbacks: list[Callable[..., None]] = []

    def add(self, callback: Callable[..., None]) -> None:
        """From now on it is called."""
        self._callbacks.append(callback)

    def tell(self, key: ServiceKey, *more: object) -> None:
        """Call all."""
        for callback in self._callbacks:
            try:
                callback(key, *more)
            except Exception:  # noqa: BLE001 - another room's fault must not stop this one
                self._log.failure("Telling of the change of {key} failed", key=str(key))


class Staleness(IntEnum):
    """Whether the kernel may hold other than what is known of a service; the worst counts."""

    NONE = 0
    """What the kernel acknowledged counts."""
    LOOK = 1
    """It must be read; what differs is someone else's doing."""
    LOST = 2
    """It must be read; what differs may be our own doing."""


@dataclass(slots=True)
class Managed:
    """One service. `wanted` None: it is to go. `outstanding`: what is left to be done, None if that
    is not known. `stands`: the wanted state has been in the kernel, and was not lost since;
    `unserved_since_s`: since when, by what the kernel refuses, it may be lost. `unrecorded`: it is
    not added before it is on record. `refused_for_good`: among the steps done were some that the
    kernel will not take, and that leave the service standing. `looked`: it was read at once for a
    refusal, which may help only the first time. `refusal`: what the kernel said when it last
    refused something of it."""

    wanted: ServiceEntry | None
    outstanding: Outstanding | None = None
    staleness: Staleness = Staleness.NONE
    stands: bool = False
    unrecorded: bool = False
    refused_for_good: bool = False
    looked: bool = False
    refusal: str = ""
    failures: int = 0
    unserved_since_s: float | None = None
    retry: DelayedCall | None = None
    changes: Counter[type] = field(default_factory=Counter)

    def no_retry(self) -> None:
        """Whatever is to be done is done otherwise."""
        cancel(self.retry)
        self.retry = None

    def succeed(self) -> None:
        """The kernel holds what is wanted."""
        self.no_retry()
        self.failures, self.unserved_since_s, self.refusal = 0, None, ""

    def want(self, entry: ServiceEntry | None) -> None:
        """From now on it should be this."""
        if entry is None or self.wanted is None:
            self.outstanding = None
        self.wanted = entry

    @property
    def is_done(self) -> bool:
        """Whether the last steps were those to what is wanted now."""
        return self.outstanding is not None and self.outstanding.compared is self.wanted

    def may_stand(self, known: ServiceEntry | None) -> bool:
        """Whether the kernel, which holds this, has somebody for new connections, if any is wanted:
        those that drain are none."""
        return known is not None and (_serves(known) or not _serves(self.wanted))

    def lose(self, known: ServiceEntry | None, now_s: float) -> bool:
        """The kernel, which holds this, has refused what is wanted. Whether what stood is lost now:
        the kernel has had nobody for new connections for LOST_AFTER_S, whatever was tried."""
        if self.may_stand(known):
            self.unserved_since_s = None
        elif self.unserved_since_s is None:
            self.unserved_since_s = now_s
        elif self.stands and now_s - self.unserved_since_s >= LOST_AFTER_S:
            self.stands = False
            return True
        return False

    @property
    def in_doubt(self) -> bool:
        """Whether it is lost if the kernel goes on to refuse what is wanted."""
        return self.stands and self.unserved_since_s is not None

    def mark_stale(self, staleness: Staleness) -> None:
        """What is known of it does not hold."""
        self.staleness = max(self.staleness, staleness)
        self.outstanding = None


def _serves(entry: ServiceEntry | None) -> bool:
    return entry is not None and any(each.weight for each in entry.destinations.values())


def missing(managed: Mapping[ServiceKey, Managed], known: Table) -> tuple[MissingSnapshot, ...]:
    """What the kernel, having been asked for it, does not hold."""
    each = (missing_of(key, one, known.get(key)) for key, one in managed.items())
    return tuple(filter(None, each))


def missing_of(
    key: ServiceKey, managed: Managed | None, known: ServiceEntry | None
) -> MissingSnapshot | None:
    """The same of one service, as it is managed and known."""
    if managed is None:
        return None
    wanted = managed.wanted
    tried = managed.failures or managed.unrecorded or managed.refused_for_good
    if wanted is None or not tried:
        return None
    if known is None:
        return MissingSnapshot(str(key), error=managed.refusal)
    servers = tuple(str(each) for each in wanted.destinations if each not in known.destinations)
    others = len(wanted.destinations) - len(servers)
    if not servers and not managed.refusal:
        return None
    return MissingSnapshot(str(key), servers, others, managed.refusal, otherwise=not servers)


def log_refusals(log: Logger, key: ServiceKey, errors: Sequence[KernelError]) -> None:
    """The first few in words, the rest as a number."""
    for error in errors[:_ERRORS_LOGGED]:
        log.error("Could not {error}", error=str(error))
    if len(errors) > _ERRORS_LOGGED:
        log.error("{key}: and {count} more", key=str(key), count=len(errors) - _ERRORS_LOGGED)


def summary(changes: Counter[type]) -> str:
    """`service added, 3 servers added, 1 server removed`."""
    return ", ".join(
        words.format(counted(count, "server"))
        for kind, words in _SUMMARY.items()
        if (count := changes.get(kind))
    )
