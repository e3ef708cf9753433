"""`/api/v1/ipvs`. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pybal.instrumentation.instants import instant
from pybal.instrumentation.json_pieces import Each
from pybal.ipvs.snapshot import DrainSnapshot, IPVSSnapshot, MissingSnapshot, ServiceStatistics
from pybal.model import ServiceSnapshot
from pybal.net.addresses import host_of

Document = dict[str, Any]


def ipvs_document(ipvs: IPVSSnapshot, service: Callable[[str], ServiceSnapshot | None]) -> Document:
    """The IPVS table, what was done to it, and what passes through it. Beside each address stands
    the `host` that the pool list has there, or null: `service` finds a service by its name."""
    error, audit = ipvs.last_error, ipvs.audit
    hosts = _Hosts(dict(ipvs.names), service)
    document: Document = {
        "in_sync": ipvs.in_sync,
        "dry_run": ipvs.dry_run,
        "services": ipvs.services,
        "destinations": ipvs.destinations,
        "names": dict(ipvs.names),
        "changes_total": ipvs.changes_total,
        "errors_total": ipvs.errors_total,
        "last_error": None if error is None else {"text": error.text, "at": instant(error.at)},
        "audit": {
            "audits_total": audit.audits_total,
            "finished": instant(audit.finished_at),
            "drift": [{**each._asdict(), "since": instant(each.since)} for each in audit.drift],
            "drift_total": dict(audit.drift_total),
            "repairs_total": audit.repairs_total,
        },
        "missing": [_missing(each, hosts) for each in ipvs.missing],
        "unmanaged": ipvs.unmanaged,
        "ownership_error": ipvs.ownership_error or None,
        "draining": Each(_draining(each, hosts) for each in ipvs.draining),
        "statistics": None,
    }
    if ipvs.statistics is not None:
        document["statistics"] = {
            "at": instant(ipvs.statistics_at),
            "services": Each(_statistics(each, hosts) for each in ipvs.statistics),
        }
    return document


class _Hosts:
    """The names of servers, which the kernel knows by address and port. Those of one service are
    kept, as most who ask go through one after another."""

    def __init__(
        self, names: dict[str, str], service: Callable[[str], ServiceSnapshot | None]
    ) -> None:
        self.names = names
        self._service = service
        self._of: tuple[str, dict[str, str]] = ("", {})

    def host(self, key: str, server: str) -> str | None:
        """Who is at `server` of the service that the kernel knows by `key`."""
        if self._of[0] != key:
            self._of = (key, self._hosts(key))
        return self._of[1].get(host_of(server))

    def _hosts(self, key: str) -> dict[str, str]:
        """By address. Where several share one the first counts, as in the kernel."""
        name = self.names.get(key)
        service = None if name is None else self._service(name)
        if service is None:
            return {}
        return {
            str(server.address): server.host
            for server in reversed(service.servers)
            if server.address is not None
        }


def _missing(missing: MissingSnapshot, hosts: _Hosts) -> Document:
    named = [hosts.host(missing.service, server) for server in missing.servers]
    return {**missing._asdict(), "name": hosts.names.get(missing.service), "hosts": named}


def _draining(drain: DrainSnapshot, hosts: _Hosts) -> Document:
    name, host = hosts.names.get(drain.service), hosts.host(drain.service, drain.server)
    return {**drain._asdict(), "name": name, "host": host}


def _statistics(statistics: ServiceStatistics, hosts: _Hosts) -> Document:
    key = statistics.service
    return {
        "name": hosts.names.get(key),
        "service": key,
        "traffic": statistics.traffic._asdict(),
        "servers": Each(
            {
                "server": each.server,
                "host": hosts.host(key, each.server),
                "weight": each.weight,
                "active_connections": each.active,
                "inactive_connections": each.inactive,
                "persistent_connections": each.persistent,
                "traffic": each.traffic._asdict(),
            }
            for each in statistics.destinations
        ),
    }
