"""Drift: what the kernel holds other than we left it there. Pure but for DriftBook's counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from enum import Enum

from pybal.ipvs.model import (
    Destination,
    Persistence,
    Service,
    ServiceEntry,
    ServiceKey,
    Tunnel,
)
from pybal.ipvs.slices import Slices
from pybal.ipvs.snapshot import DriftSnapshot
from pybal.runtime.naming import counted

_WORDS_KEPT = 5

_PIECE = 100
_PIECE_COSTS = 20
"""So many servers are compared in a piece, and that is what it costs, in servers that are read."""


class DriftKind(Enum):
    """What someone else did; the value is a metric's label."""

    SERVICE_MISSING = "service_missing"
    SERVICE_FOREIGN = "service_foreign"
    SERVICE_CHANGED = "service_changed"
    SERVER_MISSING = "server_missing"
    SERVER_FOREIGN = "server_foreign"
    SERVER_CHANGED = "server_changed"


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference, in words that follow the service's name."""

    kind: DriftKind
    words: str


def comparing(left: ServiceEntry | None, found: ServiceEntry | None) -> Slices[tuple[Drift, ...]]:
    """The differences between a service as we left it and as it was found; None: not there."""
    drift: list[Drift] = []
    for number, each in enumerate(_differences(left, found), 1):
        if each is not None:
            drift.append(each)
        if number % _PIECE == 0:
            yield _PIECE_COSTS
    return tuple(drift)


def _differences(left: ServiceEntry | None, found: ServiceEntry | None) -> Iterator[Drift | None]:
    """None for each server that is no different."""
    if left is None and found is None:
        return
    if found is None:
        yield Drift(DriftKind.SERVICE_MISSING, "the service is gone")
        return
    if left is None:
        yield Drift(DriftKind.SERVICE_FOREIGN, "the service was there before it was added")
        return
    if left.service != found.service:
        yield Drift(
            DriftKind.SERVICE_CHANGED, f"the service has {_changes(left.service, found.service)}"
        )
    known = 0
    for key, destination in left.destinations.items():
        other = found.destinations.get(key)
        if other is None:
            yield Drift(DriftKind.SERVER_MISSING, f"server {key} is gone")
            continue
        known += 1
        if other is destination or other == destination:
            yield None
        else:
            words = f"server {key} has {_changes(destination, other)}"
            yield Drift(DriftKind.SERVER_CHANGED, words)
    if known == len(found.destinations):
        return
    for key in found.destinations:
        if key in left.destinations:
            yield None
        else:
            yield Drift(DriftKind.SERVER_FOREIGN, f"server {key} was added")


def _changes(left: Service | Destination, found: Service | Destination) -> str:
    """`weight 5, not 10, and forwarding tunnel, not direct`."""
    return " and ".join(
        f"{field.name.replace('_', ' ')} {_value(theirs)}, not {_value(ours)}"
        for field in fields(left)
        # A rank is no part of what stands in the kernel.
        if field.compare
        and (ours := getattr(left, field.name)) != (theirs := getattr(found, field.name))
    )


def _value(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, Persistence):
        clients = "an odd netmask" if value.prefix_length is None else f"/{value.prefix_length}"
        return f"{value.timeout_s} s ({clients})"
    if isinstance(value, Tunnel):
        port = f" to port {value.port}" if value.port else ""
        return f"{value.type.name.lower()}{port}, checksum flags {value.flags}"
    return value.name.lower() if isinstance(value, Enum) else str(value)


class DriftBook:
    """Counts drift, and remembers what of it an audit has not yet found to be over."""

    def __init__(self) -> None:
        self._counts: Counter[DriftKind] = Counter()
        self._open: dict[ServiceKey, DriftSnapshot] = {}
        self.repairs_total = 0

    def note(self, key: ServiceKey, drift: Sequence[Drift], at: float) -> None:
        """Drift of a service was found; `at` is Unix seconds."""
        self._counts.update(each.kind for each in drift)
        words = [each.words for each in drift[:_WORDS_KEPT]]
        if len(drift) > _WORDS_KEPT:
            words.append(counted(len(drift) - _WORDS_KEPT, "more difference"))
        before = self._open.get(key)
        since = at if before is None else before.since
        self._open[key] = DriftSnapshot(str(key), since, tuple(words), repaired=False)

    def repaired(self, key: ServiceKey, changes: int) -> None:
        """The service is again as it should be, after so many changes."""
        if not self._open[key].repaired:
            self.repairs_total += changes
            self._open[key] = self._open[key]._replace(repaired=True)

    def over(self, key: ServiceKey) -> None:
        """The service was found as we had left it, or it is no longer ours."""
        self._open.pop(key, None)

    def __contains__(self, key: ServiceKey) -> bool:
        return key in self._open

    def words(self, key: ServiceKey) -> str:
        """What was found, on one line."""
        return "; ".join(self._open[key].differences)

    @property
    def totals(self) -> tuple[tuple[str, int], ...]:
        """(kind, count) for each kind there is."""
        return tuple((kind.value, self._counts[kind]) for kind in DriftKind)

    @property
    def open(self) -> tuple[DriftSnapshot, ...]:
        """The services with differences, as they were found last."""
        return tuple(self._open.values())
