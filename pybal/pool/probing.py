"""How a server of a service is probed."""

from __future__ import annotations

from pybal.config.settings import ServiceSettings
from pybal.health.isolation_guard import ProbeTarget
from pybal.model import IPAddress
from pybal.pool.members import Member


def probe_of(
    settings: ServiceSettings, host: str, member: Member | None, address: IPAddress | None
) -> ProbeTarget | None:
    """By the port and the source address of its checks, if it was up when last heard of."""
    if member is None or address is None or not member.up or not settings.monitors:
        return None
    checked_by = next((m for m in settings.monitors if m.checks_by_tcp), settings.monitors[0])
    port = checked_by.port or settings.port
    return ProbeTarget(host, address, port, checked_by.source_address)
