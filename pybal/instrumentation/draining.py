"""Servers that get no new connections and keep those that they have, with how many these are.
Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pybal.ipvs.snapshot import IPVSSnapshot
from pybal.model import ServerSnapshot, ServiceSnapshot
from pybal.net.addresses import host_of


class Left(NamedTuple):
    """What a server still has: so many connections (None: not counted), for so long at most (None:
    until it gets another weight)."""

    connections: int | None
    seconds_left: float | None


Drains = Mapping[str, Left]
"""By host."""


def has_weight_0(service: ServiceSnapshot | None) -> bool:
    """Whether a server of it is pooled with weight 0: the kernel has to be asked how many
    connections such a one has."""
    return service is not None and any(map(_is_pooled_at_0, service.servers))


def drains_of(service: ServiceSnapshot, ipvs: IPVSSnapshot) -> Drains:
    """The servers of a service that drain: those pooled with weight 0, and those that left the
    pool and keep their connections for a while."""
    keys = {key for key, name in ipvs.names if name == service.name}
    leaving = {
        host_of(drain.server): Left(drain.connections, drain.seconds_left)
        for drain in ipvs.draining
        if drain.service in keys
    }
    counts: dict[str, int] = {}
    if has_weight_0(service):
        counts = {
            str(each.address): each.active + each.inactive
            for statistics in ipvs.statistics or ()
            if statistics.service in keys
            for each in statistics.destinations
        }
    found: dict[str, Left] = {}
    for server in service.servers:
        address = str(server.address)
        if _is_pooled_at_0(server):
            found[server.host] = Left(counts.get(address), None)
        elif not server.pooled and address in leaving:
            found[server.host] = leaving[address]
    return found


def state_of(server: ServerSnapshot, left: Left | None) -> str:
    """The server's status, with `draining` for its third word if it does."""
    words = server.status.split("/")
    return "/".join((*words[:2], "draining")) if left is not None else server.status


def _is_pooled_at_0(server: ServerSnapshot) -> bool:
    return server.pooled and server.weight == 0
