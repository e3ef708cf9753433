"""Service addresses are announced once their services stand in the kernel, and not before."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address

from pybal.bgp.settings import Advertisement, FailoverSettings, PeerSettings, SpeakerSettings
from pybal.bgpfailover import BGPFailover
from pybal.config.settings import BGPSettings, ServiceSettings
from pybal.desired import service_key
from pybal.ipvs.model import ServiceKey
from pybal.model import IPAddress

_ANY = (IPv6Address("::"), IPv4Address("0.0.0.0"))
_LAST_RESORT = IPv4Address("127.0.0.1")


class Announcer:
    """Tells the BGP side which services stand. `services` are those that are to be announced
    (`bgp = yes`); once each of them has stood, the first routes are complete."""

    def __init__(self, failover: BGPFailover, services: Iterable[ServiceSettings]) -> None:
        self._failover = failover
        self._services = {service_key(service): service for service in services if service.bgp}
        self._awaited = set(self._services)

    def service_stands(self, key: ServiceKey) -> None:
        """The kernel holds the service with its first pool; later calls change nothing."""
        service = self._services.get(key)
        if service is None or key not in self._awaited:
            return
        wanted = Advertisement(service.address, service.bgp_med)
        self._failover.set_announced(service.name, (wanted,))
        self._awaited.remove(key)
        if not self._awaited:
            self._failover.first_routes_complete()


def failover_settings(
    settings: BGPSettings, source_address: Callable[[IPAddress], IPAddress | None]
) -> FailoverSettings:
    """pybal.conf's view of BGP as the speaker's. `source_address` tells from which of our
    addresses the kernel would reach a peer, None if from none."""
    speaker = SpeakerSettings(
        local_asn=settings.local_asn,
        router_id=_router_id(settings, source_address),
        peers=tuple(PeerSettings(address) for address in settings.peers),
        listen_addresses=settings.local_ips or _ANY,
        listen_port=settings.local_port,
    )
    return FailoverSettings(
        speaker=speaker,
        as_path=settings.as_path,
        next_hop_ipv4=settings.nexthop_ipv4,
        next_hop_ipv6=settings.nexthop_ipv6,
        med=settings.med,
        extra_addresses=settings.advertised_addresses,
    )


def _router_id(
    settings: BGPSettings, source_address: Callable[[IPAddress], IPAddress | None]
) -> IPv4Address:
    """An IPv4 address of our own (RFC 4271 section 4.2): one to listen on, else the next hop,
    else the one that the kernel uses towards a peer."""
    towards_peers = (source_address(peer) for peer in settings.peers)
    for address in (*settings.local_ips, settings.nexthop_ipv4, *towards_peers):
        if isinstance(address, IPv4Address) and not address.is_unspecified:
            return address
    return _LAST_RESORT


def kernel_source_address(peer: IPAddress) -> IPAddress | None:
    """The address from which this host would reach `peer`; nothing is sent."""
    family = socket.AF_INET if peer.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(peer), 9))
        except OSError:
            return None
        return ipaddress.ip_address(probe.getsockname()[0])
