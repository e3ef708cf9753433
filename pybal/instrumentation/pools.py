"""`/pools…`: each server's status, as scripts and checks have always read it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from pybal.ipvs.snapshot import MissingSnapshot
from pybal.model import ServerSnapshot, ServiceSnapshot


def as_held(service: ServiceSnapshot, missing: MissingSnapshot) -> ServiceSnapshot:
    """The service with no server pooled that the kernel does not hold though it was asked to."""
    addresses = {each.rpartition(":")[0].strip("[]") for each in missing.servers}
    servers = tuple(_unless_missing(each, addresses) for each in service.servers)
    return replace(service, servers=servers)


def _unless_missing(server: ServerSnapshot, addresses: Collection[str]) -> ServerSnapshot:
    """`addresses` are those of servers that are missing; none: the whole service is."""
    if server.pooled and (not addresses or str(server.address) in addresses):
        return replace(server, pooled=False)
    return server


def names_text(names: Iterable[str]) -> str:
    """Pool names, one a line."""
    return "".join(f"{name}\n" for name in names)


def pool_text(service: ServiceSnapshot) -> str:
    """`host:`, a tab and the status, one server a line."""
    return "".join(f"{server.host}:\t{server.status}\n" for server in service.servers)


def pool_json(service: ServiceSnapshot) -> dict[str, dict[str, bool | int]]:
    """Server objects by host."""
    return {server.host: server_json(server) for server in service.servers}


def server_text(server: ServerSnapshot) -> str:
    """The status, one line."""
    return f"{server.status}\n"


def server_json(server: ServerSnapshot) -> dict[str, bool | int]:
    """The server object. Consumers refuse any further key: richer data is in api.py."""
    return {
        "pooled": server.pooled,
        "up": server.up,
        "enabled": server.enabled,
        "weight": server.weight,
    }


def find_server(service: ServiceSnapshot, host: str) -> ServerSnapshot | None:
    """The server of that name, if the pool has one."""
    return next((server for server in service.servers if server.host == host), None)
