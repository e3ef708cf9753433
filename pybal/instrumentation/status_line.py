"""The one line of `systemctl status` on how all is. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pybal.config.snapshot import ConfigSnapshot
from pybal.model import BGPSnapshot, ServiceSnapshot


def status_line(
    services: Sequence[ServiceSnapshot], bgp: BGPSnapshot, config: ConfigSnapshot
) -> str:
    """`118 services, 11095 servers, 11093 up, BGP 2/2`; trouble with the configuration first."""
    servers = [server for service in services for server in service.servers]
    parts = [
        f"{len(services)} services",
        f"{len(servers)} servers",
        f"{sum(server.up for server in servers)} up",
    ]
    if bgp.enabled:
        established = sum(peer.established for peer in bgp.peers)
        parts.append(f"BGP {established}/{len(bgp.peers)}")
    last = config.last_reload
    if config.is_last_good:
        parts.insert(0, "runs the LAST GOOD configuration, the file has errors")
    elif last is not None and not last.successful:
        parts.insert(0, "the changed configuration was REFUSED")
    return ", ".join(parts)
