"""How a server of a service is probed."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from pybal.config.settings import ServiceSettings
from pybal.health.probe_round import ProbeTarget
from pybal.model import IPAddress, L4Protocol
from pybal.pool.member import Member
from pybal.pool.members import Members
from pybal.pool.server import Server


def picked_probe(
    settings: ServiceSettings,
    servers: Mapping[str, Server],
    members: Members,
    source: Random,
) -> ProbeTarget | None:
    """Of a server picked at random; see `probe_of`. Only those of TCP can be probed."""
    if settings.protocol is not L4Protocol.TCP or not members:
        return None
    member = members.at(source.randrange(len(members)))
    server = servers.get(host := member.spec.host)
    return probe_of(settings, host, member, None if server is None else server.address)


def probe_of(
    settings: ServiceSettings, host: str, member: Member | None, address: IPAddress | None
) -> ProbeTarget | None:
    """By the port and the source address of its checks, if it was up when last heard of."""
    if member is None or address is None or not member.up or not settings.monitors:
        return None
    checked_by = next((m for m in settings.monitors if m.checks_by_tcp), settings.monitors[0])
    port = checked_by.port or settings.port
    return ProbeTarget(host, address, port, checked_by.source_address)
