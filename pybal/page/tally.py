"""How a service's servers are, counted, and which of them want to be looked at. Pure."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple

from pybal.model import (
    Alert,
    ServerSnapshot,
    ServiceSnapshot,
    Severity,
    Verdict,
)


class Care(enum.Enum):
    """How a server is, the worst first; the value is what a page says of it."""

    HELD = "down, still pooled"
    DOWN = "down"
    WAITING = "not pooled"
    UNPROVEN = "not checked yet"
    DRAINED = "drained by an operator"
    IDLE = "draining, weight 0"
    DISABLED = "disabled"
    SERVES = "serves"

    def said_of(self, number: int) -> str:
        """`1 serves`, `2 serve`, `2 down`."""
        several = self is Care.SERVES and number != 1
        return f"{number} {'serve' if several else self.value}"


RANK = {care: rank for rank, care in enumerate(Care)}


class Tally(NamedTuple):
    """A service's counts: all servers, how many are up and pooled, how many of each kind of care,
    the hosts of those that are out against the operator's wish; and how many must stay pooled."""

    servers: int
    up: int
    pooled: int
    cares: tuple[tuple[Care, int], ...]
    out: tuple[str, ...]
    required: Fraction

    def count(self, care: Care) -> int:
        """How many servers are so."""
        return dict(self.cares).get(care, 0)


class HostTrouble(NamedTuple):
    """A host that is out somewhere: in which services, and how, the worst first; since when; what
    the first monitor says that is down."""

    host: str
    services: tuple[tuple[str, Care], ...]
    since: float | None
    reason: str

    @property
    def worst(self) -> Care:
        """In the service where it is worst."""
        return self.services[0][1]


def care_of(server: ServerSnapshot) -> Care:
    """How it is. What the operator wants of it comes before what its monitors say."""
    if server.over is not None and server.over.drains:
        return Care.DRAINED
    if not server.enabled:
        return Care.DISABLED
    if not server.pooled:
        return Care.WAITING if server.up else Care.DOWN
    if not server.up:
        return Care.HELD
    if server.decision is not None and server.decision.verdict is Verdict.POOLED_UNPROVEN:
        return Care.UNPROVEN
    return Care.SERVES if server.weight else Care.IDLE


def tally(service: ServiceSnapshot) -> tuple[Tally, tuple[tuple[ServerSnapshot, Care], ...]]:
    """The counts, and the servers that are out."""
    counts: Counter[Care] = Counter()
    out = []
    up = pooled = 0
    for server in service.servers:
        care = care_of(server)
        counts[care] += 1
        up += server.up
        pooled += server.pooled
        if care in _OUT:
            out.append((server, care))
    ordered = tuple((care, counts[care]) for care in Care if care in counts)
    hosts = tuple(server.host for server, _ in out)
    required = len(service.servers) * service.depool_threshold
    return Tally(len(service.servers), up, pooled, ordered, hosts, required), tuple(out)


_OUT = (Care.HELD, Care.DOWN, Care.WAITING)


def in_trouble(
    out: Iterable[tuple[str, Sequence[tuple[ServerSnapshot, Care]]]],
) -> tuple[HostTrouble, ...]:
    """Hosts of all services (name, servers that are out), those that are out of most first."""
    found: dict[str, list[tuple[str, ServerSnapshot, Care]]] = {}
    for name, servers in out:
        for server, care in servers:
            found.setdefault(server.host, []).append((name, server, care))
    troubles = [_trouble(host, where) for host, where in found.items()]
    return tuple(sorted(troubles, key=lambda each: (RANK[each.worst], -len(each.services))))


def _trouble(host: str, where: list[tuple[str, ServerSnapshot, Care]]) -> HostTrouble:
    where.sort(key=lambda each: RANK[each[2]])
    since = [s.decision.at for _, s, _ in where if s.decision is not None]
    reasons = (
        f"{monitor.name}: {monitor.last.reason}"
        for _, server, _ in where
        for monitor in server.monitors
        if monitor.last is not None and not monitor.last.up
    )
    services = tuple((name, care) for name, _, care in where)
    without = any(not server.ready for _, server, _ in where)
    reason = next(reasons, "its address is not known" if without else "")
    return HostTrouble(host, services, min(since, default=None), reason)


class Standing(enum.Enum):
    """How a service is, the worst first; the value is what a page says of it."""

    CRITICAL = "critical"
    WARNING = "warning"
    DEGRADED = "degraded"
    FINE = "ok"

    @property
    def level(self) -> str:
        """See words.state."""
        return self.value


_STANDING_RANK = {standing: rank for rank, standing in enumerate(Standing)}


def standing(counts: Tally, alerts: Iterable[Alert]) -> Standing:
    """By its alerts; without any it is degraded if a server is out."""
    severities = {alert.severity for alert in alerts}
    if Severity.CRITICAL in severities:
        return Standing.CRITICAL
    if Severity.WARNING in severities:
        return Standing.WARNING
    return Standing.DEGRADED if counts.out else Standing.FINE


def badness(state: Standing, counts: Tally) -> tuple[int, float, int]:
    """A key to sort services with, the worst first; those that are alike stay in their order."""
    out = len(counts.out)
    return _STANDING_RANK[state], -(out / counts.servers if counts.servers else 0.0), -out
