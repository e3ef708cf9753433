"""`/alerts`: the one line that the backends check reads. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pybal.held_change import HeldChange
from pybal.model import DriftSnapshot, HealthSnapshot, MaintenanceSnapshot, ServiceSnapshot


class Severity(enum.Enum):
    """The value is the word in JSON; in text it is upper-case."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Alert:
    """The state of all pools in one word and one line."""

    severity: Severity
    message: str

    def as_text(self) -> str:
        """`OK - …`, `WARNING - …` or `CRITICAL - …`, without a newline."""
        return f"{self.severity.value.upper()} - {self.message}"

    def as_json(self) -> dict[str, str]:
        """The contract's JSON object."""
        return {"status": self.severity.value, "msg": self.message}


_HEALTHY = HealthSnapshot()
_DRIFT_SHOWN = 3
_HOSTS_SHOWN = 10
_ERROR_SHOWN = 200


def assess(
    services: Iterable[ServiceSnapshot],
    health: HealthSnapshot = _HEALTHY,
    drift: Sequence[DriftSnapshot] = (),
    maintenance: Iterable[MaintenanceSnapshot] = (),
) -> Alert:
    """Critical if enabled servers are pooled though not up, or this director is cut off; else a
    warning if a pool is too small for its depool threshold ever to let a server go, has none as its
    list cannot be had, or holds servers that its list takes away; if checks cannot be made for want
    of something of ours; if someone else changed the kernel's table; or of maintenance."""
    held: list[str] = []
    warnings: list[str] = []
    if health.isolation.since is not None:
        held.append("This director is cut off from its servers, all pools are held as they are")
    if health.local_fault:
        warnings.append(f"This director cannot make all its checks: {health.local_fault}. ")
    warnings += [_drift_words(each) for each in drift[:_DRIFT_SHOWN]]
    if len(drift) > _DRIFT_SHOWN:
        warnings.append(f"IPVS: {len(drift) - _DRIFT_SHOWN} more services were changed. ")
    warnings += [_maintenance_words(each) for each in maintenance]
    for service in services:
        if not service.servers and service.source.last_error:
            error = service.source.last_error[:_ERROR_SHOWN]
            warnings.append(
                f"Pool {service.name} has no servers, its list cannot be had: {error}. "
            )
        warnings += [_held_words(service.name, change) for change in service.held]
        hosts = [s.host for s in service.servers if s.enabled and s.pooled and not s.up]
        if hosts:
            held.append(f"{service.name}: Servers {', '.join(hosts)} are marked down but pooled")
        if _too_small_to_depool(service):
            # The trailing blank is part of the contract's text.
            warnings.append(f"Pool {service.name} is too small to allow depooling. ")
    if held:
        return Alert(Severity.CRITICAL, "; ".join(held))
    if warnings:
        return Alert(Severity.WARNING, "".join(warnings))
    return Alert(Severity.OK, "All pools are healthy")


def _maintenance_words(maintenance: MaintenanceSnapshot) -> str:
    what = "This director" if maintenance.service is None else f"Pool {maintenance.service}"
    state = "withdrawn" if maintenance.withdrawn else "the last choice"
    return f"{what} is in maintenance: {state} in BGP. "


def _held_words(pool: str, change: HeldChange) -> str:
    if change.waiting:
        return f"Pool {pool} keeps {_named(change.servers)} until servers of its new list work. "
    after = ""
    if change.taken:
        others, minutes = [host for host, _ in change.taken], change.window_s / 60
        after = f", after {_named(others)} went within {minutes:g} minutes"
    return (
        f"Pool {pool} holds {_named(change.servers)}, which its list takes away{after}: "
        f"{change.left} working servers would be left, list-floor wants {change.required}. "
    )


def _named(hosts: Sequence[str]) -> str:
    more = f" and {len(hosts) - _HOSTS_SHOWN} more" if len(hosts) > _HOSTS_SHOWN else ""
    return ", ".join(hosts[:_HOSTS_SHOWN]) + more


def _drift_words(drift: DriftSnapshot) -> str:
    state = "repaired" if drift.repaired else "not repaired yet"
    return (
        f"IPVS: {drift.service} was changed by others: {'; '.join(drift.differences)} ({state}). "
    )


def _too_small_to_depool(service: ServiceSnapshot) -> bool:
    size = len(service.servers)
    return size > 1 and size < size * service.depool_threshold + 1
