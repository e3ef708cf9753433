"""pybal.conf's settings of BGP as the speaker's settings. Pure."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

from pybal.bgp.constants import IPV4_UNICAST, IPV6_UNICAST, Role
from pybal.bgp.settings import (
    AOSettings,
    BFDAuthSettings,
    BFDSettings,
    Confederation,
    ExportPolicy,
    FailoverSettings,
    InterfacePeer,
    MaintenanceSettings,
    Options,
    PeerGroup,
    PeerSettings,
    SpeakerSettings,
)
from pybal.config.settings import (
    TCPAO,
    BGPInterfacePeer,
    BGPPeer,
    BGPPeerGroup,
    BGPPeerOptions,
    BGPSettings,
)
from pybal.model import IPAddress

_ANY = (IPv6Address("::"), IPv4Address("0.0.0.0"))
_FAMILIES = {4: IPV4_UNICAST, 6: IPV6_UNICAST}
_UNKNOWN = IPv6Address("fe80::")  # until it has been found
_LAST_RESORT = IPv4Address("127.0.0.1")


def failover_settings(
    settings: BGPSettings, source_address: Callable[[IPAddress], IPAddress | None]
) -> FailoverSettings:
    """Translate the settings. `source_address` tells from which of our addresses the kernel
    would reach a peer, None if from none."""
    speaker = SpeakerSettings(
        local_asn=settings.local_asn,
        router_id=settings.router_id or _router_id(settings, source_address),
        peers=tuple(map(_peer_settings, settings.peers)),
        listen_addresses=settings.local_ips or _ANY,
        listen_port=settings.local_port,
        confederation=_confederation(settings),
        groups=tuple(map(_group, settings.groups)),
        interfaces=tuple(map(_interface_peer, settings.interface_peers)),
        next_hops=tuple(hop for hop in (settings.nexthop_ipv4, settings.nexthop_ipv6) if hop),
    )
    return FailoverSettings(
        speaker=speaker,
        as_path=settings.as_path,
        next_hop_ipv4=settings.nexthop_ipv4,
        next_hop_ipv6=settings.nexthop_ipv6,
        med=settings.med,
        local_pref=settings.local_pref,
        communities=settings.communities,
        large_communities=settings.large_communities,
        extra_addresses=settings.advertised_addresses,
        extended_communities=settings.extended_communities,
        shutdown_delay_s=settings.shutdown_delay_s,
        maintenance=MaintenanceSettings(
            med=settings.maintenance_med,
            prepend=settings.maintenance_prepend,
            withdraw_after_s=settings.maintenance_withdraw_s,
        ),
    )


def _interface_peer(given: BGPInterfacePeer) -> InterfacePeer:
    return InterfacePeer(given.interface, _peer_settings(BGPPeer(_UNKNOWN, given.options)))


def _group(given: BGPPeerGroup) -> PeerGroup:
    anyone = BGPPeer(given.network.network_address, given.options)
    return PeerGroup(given.network, _peer_settings(anyone), given.options.limit)


def _confederation(settings: BGPSettings) -> Confederation | None:
    if settings.confederation_id is None:
        return None
    members = frozenset(settings.confederation_peers) - {settings.local_asn}
    return Confederation(settings.confederation_id, members)


def _peer_settings(peer: BGPPeer) -> PeerSettings:
    options = peer.options
    return PeerSettings(
        address=peer.address,
        asn=options.asn,
        port=options.port,
        local_address=options.source_address,
        password=None if options.password is None else options.password.encode(),
        ao=_ao(options.tcp_ao),
        ttl_security_hops=options.ttl_security_hops,
        hold_time_s=options.hold_time_s,
        families=tuple(_FAMILIES[version] for version in options.families),
        restart_time_s=options.graceful_restart_time_s if options.graceful_restart else None,
        stale_time_s=options.long_lived_stale_s,
        bfd=_bfd(options) if options.bfd else None,
        fsm=Options(connect_retry_s=options.connect_retry_s, passive=options.passive),
        connect_only=options.connect_only,
        ttl=options.multihop,
        interface=options.interface,
        export=_export_policy(options),
        role=None if options.role is None else Role[options.role.upper().replace("-", "_")],
        role_strict=options.role_strict,
        description=options.description,
        imports=options.imports != "no",
        shares=options.imports == "shared",
    )


def _bfd(options: BGPPeerOptions) -> BFDSettings:
    hops, auth, key = options.ttl_security_hops, options.bfd_auth, options.bfd_password
    any_ttl = 0 if hops is None else 256 - hops
    return BFDSettings(
        options.bfd_interval_ms,
        options.bfd_multiplier,
        multihop=options.bfd_multihop,
        min_ttl=any_ttl if options.bfd_multihop else 255,
        auth=None
        if auth is None or key is None
        else BFDAuthSettings(auth.kind.upper().replace("-", "_"), auth.key_id, key.encode()),
    )


def _ao(given: TCPAO | None) -> AOSettings | None:
    if given is None:
        return None
    return AOSettings(given.algorithm, given.send_id, given.receive_id)


def _export_policy(options: BGPPeerOptions) -> ExportPolicy:
    return ExportPolicy(
        next_hop_ipv4=options.nexthop_ipv4,
        next_hop_ipv6=options.nexthop_ipv6,
        med=options.med,
        local_pref=options.local_pref,
        prepend=options.prepend,
        communities=options.communities,
        large_communities=options.large_communities,
        extended_communities=options.extended_communities,
    )


def _router_id(
    settings: BGPSettings, source_address: Callable[[IPAddress], IPAddress | None]
) -> IPv4Address:
    """An IPv4 address of our own (RFC 4271 section 4.2): one to listen on, else the next hop,
    else the one that the kernel uses towards a peer."""
    towards_peers = (source_address(peer.address) for peer in settings.peers)
    for address in (*settings.local_ips, settings.nexthop_ipv4, *towards_peers):
        if isinstance(address, IPv4Address) and not address.is_unspecified:
            return address
    return _LAST_RESORT
