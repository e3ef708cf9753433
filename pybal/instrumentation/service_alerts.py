"""What an operator must look at in one pool. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pybal.instrumentation.pending_alert import STARTING_S, PendingAlert
from pybal.instrumentation.same_address import contradictions
from pybal.kept_change import KeptSnapshot
from pybal.model import (
    Alert,
    ServerSnapshot,
    ServiceSnapshot,
    Severity,
    Verdict,
)
from pybal.net.addresses import parse_address
from pybal.runtime.naming import counted, named, shortened
from pybal.runtime.pieces import Pieces, between

_SETTLING_S = 2.0
_NO_ADDRESS_S = 10.0
_STALE_S = 30.0
_LONG_S = 86400.0
_ERROR_SHOWN = 200


def service_alerts(service: ServiceSnapshot) -> Pieces[tuple[PendingAlert, ...]]:
    """All that is to be said of a service, in pieces: a long list is gone through several times."""
    found: list[PendingAlert] = []
    for part in (_of_pooled, _of_list, _overrides, _same_address, _kept, _of_addresses):
        found += part(service)
        yield from between(service.servers)
    return tuple(found)


def _of_pooled(service: ServiceSnapshot) -> Iterator[PendingAlert]:
    name, servers, source = service.name, service.servers, service.source
    held = [s.host for s in servers if s.enabled and s.pooled and not s.up]
    if held:
        text = f"{name}: Servers {', '.join(held)} are marked down but pooled"
        alert = Alert("down-but-pooled", Severity.CRITICAL, name, text)
        yield PendingAlert(alert, details=tuple(held))
    if _too_small_to_depool(service):
        text = f"Pool {name} is too small to allow depooling"
        yield PendingAlert(Alert("too-small", Severity.WARNING, name, text))
    if not any(s.pooled and s.weight > 0 for s in servers) and not service.standing:
        yield _nobody_served(service)
    elif source.stale and source.last_error:
        why = _short(source.last_error, name)
        text = f"Pool {name} has an old list, a new one cannot be had: {why}"
        yield PendingAlert(Alert("list-stale", Severity.WARNING, name, text), after_s=_STALE_S)


def _of_list(service: ServiceSnapshot) -> Iterator[PendingAlert]:
    name, source = service.name, service.source
    if source.damage:
        text = f"Pool {name} has a damaged list: {_short('; '.join(source.damage), name)}"
        alert = Alert("list-damaged", Severity.WARNING, name, text)
        yield PendingAlert(alert, details=tuple(source.damage))
    if service.list_error:
        text = f"Pool {name} is not as its list and operators want it, by a fault of PyBal's: "
        alert = Alert(
            "list-failed", Severity.WARNING, name, text + _short(service.list_error, name)
        )
        yield PendingAlert(alert, service.list_error)


def _kept(service: ServiceSnapshot) -> Iterator[PendingAlert]:
    name = service.name
    for change in service.held:
        alert = Alert("list-held", Severity.WARNING, name, _held(name, change))
        yield PendingAlert(alert, str(change.since))
    if service.standing:
        text = f"Pool {name} keeps what stood in the kernel before PyBal started: "
        text += f"{named(service.standing)}, which may be servers that are found nowhere else"
        alert = Alert("standing", Severity.WARNING, name, text)
        yield PendingAlert(alert, after_s=_NO_ADDRESS_S, details=service.standing)


def _of_addresses(service: ServiceSnapshot) -> Iterator[PendingAlert]:
    name, servers = service.name, service.servers
    refused = [s.host for s in servers if s.enabled and _is_refused(s)]
    if refused:
        text = f"IPVS: the kernel refuses the addresses of {named(refused)} of {name}"
        alert = Alert("not-in-kernel", Severity.WARNING, name, text)
        yield PendingAlert(alert, "refused", details=tuple(refused))
    without = [s.host for s in servers if s.enabled and s.address is None]
    if without:
        text = f"Pool {name} has servers without an address: {named(without)}"
        if others := [host for host in without if parse_address(host) is not None]:
            text += f"; not of the service's IP version: {named(others)}"
        alert = Alert("no-address", Severity.WARNING, name, text)
        yield PendingAlert(alert, after_s=_NO_ADDRESS_S, details=tuple(without))


def _overrides(service: ServiceSnapshot) -> Iterator[PendingAlert]:
    """What an operator has taken out on purpose is no fault, unless it may have been forgotten."""
    for server in service.servers:
        over = server.over
        if over is None and server.enabled:
            continue
        name = f"{server.host} of pool {service.name}"
        if over is not None:
            text = f"{name} is {over.override.text}, for more than a day"
            alert = Alert("overridden-long", Severity.WARNING, service.name, text)
            yield PendingAlert(alert, server.host, from_at=over.override.since + _LONG_S)
        if over is not None and over.suspended:
            text = f"{name} is {over.text}"
            alert = Alert("override-suspended", Severity.WARNING, service.name, text)
            yield PendingAlert(alert, server.host)
        if not (server.enabled if over is None else over.listed_enabled):
            text = f"{name} is disabled by its list, for more than a day"
            alert = Alert("disabled-long", Severity.WARNING, service.name, text)
            yield PendingAlert(alert, server.host, after_s=_LONG_S)


def _same_address(service: ServiceSnapshot) -> Iterator[PendingAlert]:
    for found in contradictions(service.servers):
        text = f"Pool {service.name}: {found.text}"
        alert = Alert("same-address", Severity.WARNING, service.name, text)
        yield PendingAlert(alert, found.address, details=found.hosts)


def _is_refused(server: ServerSnapshot) -> bool:
    """It is wanted no more then, so that the kernel lacks nothing that it should hold."""
    return server.decision is not None and server.decision.verdict is Verdict.REFUSED


def _held(name: str, change: KeptSnapshot) -> str:
    if change.waiting:
        return f"Pool {name} keeps {named(change.servers)} until servers of its new list work"
    after = ""
    if change.taken:
        others, minutes = [host for host, _ in change.taken], change.window_s / 60
        unit = "minute" if minutes == 1 else "minutes"
        after = f", after {named(others)} went within {minutes:g} {unit}"
    return (
        f"Pool {name} holds {named(change.servers)}, which its list takes away{after}: "
        f"{counted(change.left, 'working server')} would be left, "
        f"list-floor wants {change.required}"
    )


def _nobody_served(service: ServiceSnapshot) -> PendingAlert:
    name, servers, error = service.name, service.servers, service.source.last_error

    def pending(severity: Severity, why: str) -> PendingAlert:
        alert = Alert("nobody-served", severity, name, f"Pool {name} {why}")
        return PendingAlert(alert, after_s=_SETTLING_S, may_be_start=True)

    if not servers and error:
        text = f"Pool {name} has no servers, its list cannot be had: {_short(error, name)}"
        alert = Alert("nobody-served", Severity.WARNING, name, text)
        return PendingAlert(alert, critical_after_s=STARTING_S)
    if not servers:
        return pending(Severity.CRITICAL, "has no servers: its list has not come yet")
    enabled = [server for server in servers if server.enabled]
    # An operator's explicit word is no fault; that nobody is served is worth saying.
    if not enabled:
        return pending(
            Severity.WARNING, f"serves nobody: all its servers are disabled{_by_operators(servers)}"
        )
    if not any(server.weight for server in enabled):
        text = f"serves nobody: the weights of all its servers are 0{_by_operators(servers)}"
        return pending(Severity.WARNING, text)
    weighty = [server for server in enabled if server.weight]
    why = _not_pooled(weighty)
    if len(weighty) < len(enabled):
        why += f", and the weight of {named([s.host for s in enabled if not s.weight])} is 0"
    return pending(Severity.CRITICAL, f"serves nobody: {why}")


def _by_operators(servers: Sequence[ServerSnapshot]) -> str:
    """Whom operators have taken out for a time."""
    out = [s.host for s in servers if s.over is not None and s.over.takes_out]
    return f" (operators have taken out {named(out)}: pybalctl overrides)" if out else ""


def _not_pooled(enabled: Sequence[ServerSnapshot]) -> str:
    if all(server.address is None for server in enabled):
        return f"no address is known of {named([server.host for server in enabled])}"
    if not any(server.up for server in enabled):
        return f"none of its servers is up ({named([server.host for server in enabled])})"
    return f"not pooled: {named([server.host for server in enabled])}"


def _too_small_to_depool(service: ServiceSnapshot) -> bool:
    size = len(service.servers)
    return size > 1 and size < size * service.depool_threshold + 1


def _short(text: str, service: str) -> str:
    return shortened(text, _ERROR_SHOWN, f"pybalctl pool {service}")
