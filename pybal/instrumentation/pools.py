"""`/pools…`: each server's status, as scripts and checks have always read it. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from itertools import islice

from pybal.ipvs.snapshot import MissingSnapshot
from pybal.model import ServerSnapshot, ServiceSnapshot
from pybal.net.addresses import host_of

_AT_ONCE = 50
"""So many servers make a piece of a long answer."""


def as_held(service: ServiceSnapshot, missing: MissingSnapshot | None) -> Iterable[ServerSnapshot]:
    """Its servers, none of them pooled that the kernel does not hold though it was asked to."""
    if missing is None or missing.otherwise:
        return service.servers
    addresses = set(map(host_of, missing.servers))
    return (_unless_missing(each, addresses) for each in service.servers)


def server_as_held(
    service: ServiceSnapshot, missing: MissingSnapshot | None, host: str
) -> ServerSnapshot | None:
    """The same of one; None if there is none of that name."""
    server = find_server(service, host)
    if server is None or missing is None or missing.otherwise:
        return server
    return _unless_missing(server, set(map(host_of, missing.servers)))


def _unless_missing(server: ServerSnapshot, addresses: Collection[str]) -> ServerSnapshot:
    """`addresses` are those of servers that are missing; none: the whole service is."""
    if server.pooled and (not addresses or str(server.address) in addresses):
        return server._replace(pooled=False)
    return server


def names_text(names: Iterable[str]) -> str:
    """Pool names, one a line."""
    return "".join(f"{name}\n" for name in names)


def pool_text(servers: Iterable[ServerSnapshot]) -> Iterator[str]:
    """`host:`, a tab and the status, one server a line: some lines at a time."""
    for some in _parts(servers):
        yield "".join(f"{server.host}:\t{server.status}\n" for server in some)


def pool_json(servers: Iterable[ServerSnapshot]) -> Iterator[str]:
    """An object of server objects by host, as json.dumps writes it: some at a time."""
    before = "{"
    for some in _parts(servers):
        objects = json.dumps({server.host: server_json(server) for server in some})
        yield before + objects[1:-1]
        before = ", "
    yield "{}" if before == "{" else "}"


def _parts(servers: Iterable[ServerSnapshot]) -> Iterator[list[ServerSnapshot]]:
    left = iter(servers)
    while some := list(islice(left, _AT_ONCE)):
        yield some


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
