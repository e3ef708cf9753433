"""`/alerts`: the one line that the backends check reads. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
_ERROR_SHOWN = 200


def assess(
    services: Iterable[ServiceSnapshot],
    health: HealthSnapshot = _HEALTHY,
    drift: Sequence[DriftSnapshot] = (),
    maintenance: Iterable[MaintenanceSnapshot] = (),
) -> Alert:
    """Critical if enabled servers are pooled though not up, or this director is cut off; else a
    warning if a pool is too small for its depool threshold ever to let a server go, or has none as
    its list cannot be had, or if checks cannot be made for want of something of ours, or if
    someone else changed the kernel's table."""
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


def _drift_words(drift: DriftSnapshot) -> str:
    state = "repaired" if drift.repaired else "not repaired yet"
    return (
        f"IPVS: {drift.service} was changed by others: {'; '.join(drift.differences)} ({state}). "
    )


def _too_small_to_depool(service: ServiceSnapshot) -> bool:
    size = len(service.servers)
    return size > 1 and size < size * service.depool_threshold + 1
