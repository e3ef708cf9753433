"""`/api/v1/…`: all that is known, in JSON. Pure.

Additive by contract: fields may come, none changes its meaning. Every moment is an object
with `iso` (ISO 8601, UTC) and `epoch` (Unix seconds); durations are seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pybal.config.snapshot import ConfigSnapshot, ReloadSnapshot
from pybal.errors import RefusedError
from pybal.health.stalls import STALL_BUCKETS_S
from pybal.instrumentation.alerts import headline, in_order
from pybal.instrumentation.bgp_document import bgp_document
from pybal.instrumentation.draining import Drains, drains_of, has_weight_0, state_of
from pybal.instrumentation.history_documents import state_document
from pybal.instrumentation.instants import instant
from pybal.instrumentation.ipvs_document import ipvs_document
from pybal.instrumentation.json_pieces import Each
from pybal.instrumentation.openapi import openapi_document
from pybal.instrumentation.override_document import laid_document, overrides_document
from pybal.instrumentation.pending_alert import Dated
from pybal.instrumentation.pools import find_server
from pybal.instrumentation.same_address import Sharing, same_address, sharing
from pybal.instrumentation.verbs import verbs_document
from pybal.instrumentation.view import StatusView
from pybal.instrumentation.why import why_json
from pybal.kept_change import KeptSnapshot
from pybal.model import (
    CheckResult,
    DaemonSnapshot,
    HealthSnapshot,
    MonitorSnapshot,
    ServerSnapshot,
    ServiceSnapshot,
)
from pybal.runtime.naming import named

Document = dict[str, Any]

_PATHS = (
    "/api/v1/services",
    "/api/v1/services/{service}",
    "/api/v1/services/{service}/servers/{host}",
    "/api/v1/overrides",
    "/api/v1/ipvs",
    "/api/v1/bgp",
    "/api/v1/daemon",
    "/api/v1/config",
    "/api/v1/alerts",
    "/api/v1/events",
    "/api/v1/incidents",
    "/api/v1/servers/{host}/why",
    "/api/v1/services/{service}/servers/{host}/why",
    "/api/v1/openapi.json",
)
_NAMES_SHOWN = 200


class NoSuchDocumentError(RefusedError):
    """A path below `/api/v1` that leads nowhere; `remedy` says what there is."""

    def __init__(self, remedy: str, text: str = "The desired url was not found") -> None:
        super().__init__(text, remedy)


def signed(view: StatusView, shown: Document) -> Document:
    """A document that says which director it is of; a description of all of them is of none."""
    if "openapi" in shown:
        return shown
    daemon = view.daemon()
    director = {
        "name": daemon.host,
        "router_id": view.bgp().router_id,
        "version": daemon.version,
    }
    return {"director": director, **shown}


def reads_kernel(view: StatusView, segments: tuple[str, ...]) -> bool:
    """Whether the document shows what is only read from the kernel for who asks."""
    match segments:
        case ("ipvs",):
            return True
        case ("services", name, *_):
            return has_weight_0(view.service(name))
    return False


def document(
    view: StatusView, alerts: Callable[[], Sequence[Dated]], segments: tuple[str, ...]
) -> Document:
    """The document at a path below `/api/v1`, its long lists made as it is written. Raises
    NoSuchDocumentError."""
    match segments:
        case ():
            return {"paths": list(_PATHS), "verbs": verbs_document()}
        case ("openapi.json",):
            return openapi_document(view.daemon().version)
        case ("services",):
            return {"services": Each(summary(service) for service in view.services())}
        case ("services", name):
            service = _service(view, name)
            return service_document(service, drains_of(service, view.ipvs()))
        case ("services", name, "servers", host):
            service = _service(view, name)
            drains, found = drains_of(service, view.ipvs()), sharing(service.servers)
            return server_document(service, _server(service, host), drains, found)
        case ("overrides",):
            return overrides_document(view.overrides(), _overridden(view))
        case ("ipvs",):
            return ipvs_document(view.ipvs(), view.service)
        case ("bgp",):
            return bgp_document(view.bgp())
        case ("alerts",):
            return alerts_document(alerts())
        case ("daemon",):
            history = view.history().snapshot()
            return {
                **daemon_document(view.daemon(), view.config()),
                "history": state_document(history),
            }
        case ("config",):
            return {**config_document(view.config()), "text": view.config_text()}
    raise NoSuchDocumentError("/api/v1 lists the paths that there are")


def _overridden(view: StatusView) -> Iterator[ServiceSnapshot]:
    """The services in which operators want anything of servers."""
    for name in dict.fromkeys(each.service for each in view.overrides()):
        service = view.service(name)
        if service is not None:
            yield service


def _service(view: StatusView, name: str) -> ServiceSnapshot:
    service = view.service(name)
    if service is None:
        names = [each.name for each in view.services()]
        raise NoSuchDocumentError(f"The services are {named(names, _NAMES_SHOWN) or 'none'}")
    return service


def _server(service: ServiceSnapshot, host: str) -> ServerSnapshot:
    server = find_server(service, host)
    if server is None:
        hosts = named([each.host for each in service.servers], _NAMES_SHOWN)
        raise NoSuchDocumentError(f"The servers of {service.name} are {hosts or 'none'}")
    return server


def summary(service: ServiceSnapshot) -> Document:
    """A service without its servers."""
    servers = service.servers
    return {
        "name": service.name,
        "protocol": service.protocol.value,
        "address": str(service.address),
        "port": service.port,
        "scheduler": service.scheduler,
        "depool_threshold": float(service.depool_threshold),
        "can_depool": service.can_depool,
        "could_not_depool_total": service.could_not_depool_total,
        "source": {
            "url": service.source.url,
            "stale": service.source.stale,
            "last_good": instant(service.source.last_good_at),
            "last_error": service.source.last_error,
            "damage": service.source.damage,
            "kept": service.source.kept,
        },
        "counts": {
            "servers": len(servers),
            "enabled": sum(s.enabled for s in servers),
            "up": sum(s.up for s in servers),
            "pooled": sum(s.pooled for s in servers),
            "pooled_down": sum(s.pooled and not s.up for s in servers),
            "held": sum(len(change.servers) for change in service.held),
            "held_down": sum(server.hold_down is not None for server in servers),
            "draining": sum(s.pooled and s.weight == 0 for s in servers),
            "overridden": sum(s.over is not None for s in servers),
        },
    }


def service_document(service: ServiceSnapshot, drains: Drains) -> Document:
    """A service with everything about its servers."""
    found = sharing(service.servers)
    servers = (server_document(service, server, drains, found) for server in service.servers)
    held = [_held_change(change) for change in service.held]
    return {
        **summary(service),
        "held": held,
        "held_total": service.held_total,
        "hold_downs_total": service.hold_downs_total,
        "standing": service.standing,
        "list_error": service.list_error or None,
        "servers": Each(servers),
    }


def _held_change(change: KeptSnapshot) -> Document:
    """What a list takes away and what stays all the same; `waiting` for new servers to work."""
    return {
        "servers": list(change.servers),
        "since": instant(change.since),
        "waiting": change.waiting,
        "left": change.left,
        "required": change.required,
        "taken": [{"server": host, "at": instant(at)} for host, at in change.taken],
        "window_s": change.window_s,
    }


def server_document(
    service: ServiceSnapshot, server: ServerSnapshot, drains: Drains, found: Sharing
) -> Document:
    """A server: its state, why it is or is not pooled, and its monitors. `status` is the contract's
    three words; `state` also knows `draining`; `held` is what keeps it though its list takes it
    away. `found` are those that have the same address."""
    left = drains.get(server.host)
    return {
        "service": service.name,
        "host": server.host,
        "address": None if server.address is None else str(server.address),
        "weight": server.weight,
        "enabled": server.enabled,
        "ready": server.ready,
        "up": server.up,
        "partially_up": server.partially_up,
        "pooled": server.pooled,
        "status": server.status,
        "state": state_of(server, left),
        "draining": None if left is None else left._asdict(),
        "override": laid_document(server.over),
        "held": next((_held_change(c) for c in service.held if server.host in c.servers), None),
        "why": why_json(server, service.depool_threshold),
        "same_address": same_address(server, found),
        "monitors": [monitor_document(monitor) for monitor in server.monitors],
    }


def monitor_document(monitor: MonitorSnapshot) -> Document:
    """A monitor; `up` is null until `rise` or `fall` equal results came in a row."""
    return {
        "name": monitor.name,
        "up": monitor.up,
        "since": instant(monitor.since),
        "last_result": None if monitor.last is None else _result(monitor.last),
        "in_a_row": monitor.in_a_row,
        "rise": monitor.rise,
        "fall": monitor.fall,
        "up_transitions": monitor.up_transitions,
        "down_transitions": monitor.down_transitions,
        "up_results": monitor.up_results,
        "down_results": monitor.down_results,
        "samples": [
            {"metric": sample.metric, "labels": dict(sample.labels), "value": sample.value}
            for sample in monitor.samples
        ],
    }


def _result(result: CheckResult) -> Document:
    return {
        "up": result.up,
        "reason": result.reason,
        "duration_s": result.duration_s,
        "at": instant(result.at),
    }


def alerts_document(alerts: Sequence[Dated]) -> Document:
    """All alerts, the most severe first; `docs` is the section that says what to do."""
    dated = {each.alert: each for each in alerts}
    ordered = in_order(dated)
    return {
        **headline(ordered).as_json(),
        "alerts": [
            {
                "id": alert.id,
                "severity": alert.severity.value,
                "service": alert.service,
                "text": alert.text,
                "age_s": dated[alert].age_s,
                "acknowledged": _acknowledged(dated[alert]),
                "docs": f"docs/operating.md#{alert.id}",
            }
            for alert in ordered
        ],
    }


def _acknowledged(dated: Dated) -> Document | None:
    """Who knows of an alert; `severity` is the alert's own."""
    known = dated.known
    if known is None:
        return None
    return {
        "by": known.by,
        "reason": known.reason,
        "since": instant(known.since),
        "until": instant(known.until),
        "severity": dated.severity.value,
    }


def config_document(config: ConfigSnapshot) -> Document:
    """Which configuration runs, and how the last reload went."""
    last = config.last_reload
    return {
        **config._asdict(),
        "modified_at": instant(config.modified_at),
        "loaded_at": instant(config.loaded_at),
        "differs_since": instant(config.differs_since),
        "last_success_at": instant(config.last_success_at or None),
        "last_error_at": instant(config.last_error_at or None),
        "last_reload": None if last is None else _reload_document(last),
    }


def _reload_document(last: ReloadSnapshot) -> Document:
    return {
        **last._asdict(),
        "at": instant(last.at),
        "successful": last.successful,
        "outcome": last.outcome.value,
    }


def daemon_document(daemon: DaemonSnapshot, config: ConfigSnapshot) -> Document:
    """The process."""
    document = {
        **daemon._asdict(),
        "started_at": instant(daemon.started_at),
        "config": config_document(config),
        "health": _health_document(daemon.health),
        "unwritten": [{"file": file, "error": error} for file, error in daemon.unwritten],
    }
    del document["alerts"]  # /api/v1/alerts has them all
    return document


def _health_document(health: HealthSnapshot) -> Document:
    limits = (*STALL_BUCKETS_S, None)
    return {
        **health._asdict(),
        "isolation": {**health.isolation._asdict(), "since": instant(health.isolation.since)},
        "local_faults": dict(health.local_faults),
        "stall_buckets": [
            {"up_to_s": limit_s, "beats": beats}
            for limit_s, beats in zip(limits, health.stalls, strict=False)
        ],
    }
