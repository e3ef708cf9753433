"""What `pybal --check-config` prints of BGP. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from pybal.bgp.extended_community import community_text
from pybal.config.settings import BGPPeerOptions, BGPSettings, LargeCommunity, LinkBandwidth
from pybal.net.addresses import endpoint
from pybal.runtime.naming import counted


def bgp_items(bgp: BGPSettings | None) -> list[tuple[str, str]]:
    """Names and texts of the lines."""
    if bgp is None:
        return [("BGP", "off")]
    listens = ", ".join(endpoint(address, bgp.local_port) for address in bgp.local_ips)
    nexthops = [str(hop) for hop in (bgp.nexthop_ipv4, bgp.nexthop_ipv6) if hop is not None]
    routers = [(str(peer.address), peer.options) for peer in bgp.peers]
    routers += [(f"on {one.interface}", one.options) for one in bgp.interface_peers]
    routers += [
        (f"up to {group.options.limit} of {group.network}", group.options) for group in bgp.groups
    ]
    items = [
        ("BGP", f"AS {bgp.local_asn}, peers {', '.join(name for name, _ in routers)}"),
        *(("BGP peer", _peer(name, options)) for name, options in routers),
        ("BGP listens on", listens or f"port {bgp.local_port} of every address"),
        ("BGP routes", f"AS path {' '.join(map(str, bgp.as_path))}, default MED {bgp.med}"),
        ("BGP next hops", ", ".join(nexthops) or "none"),
    ]
    if bgp.router_id is not None:
        items.append(("BGP router ID", str(bgp.router_id)))
    if bgp.communities or bgp.large_communities or bgp.extended_communities:
        said = communities(bgp.communities, bgp.large_communities, bgp.extended_communities)
        items.append(("BGP communities", said))
    if bgp.link_bandwidth is not None:
        items.append(("BGP bandwidth", bandwidth(bgp.link_bandwidth)))
    if bgp.confederation_id is not None:
        members = " ".join(map(str, bgp.confederation_peers)) or "none"
        items.append(("BGP confederation", f"AS {bgp.confederation_id}, other members {members}"))
    if bgp.shutdown_delay_s:
        items.append(("BGP shutdown", f"GRACEFUL_SHUTDOWN for {bgp.shutdown_delay_s:g} s first"))
    if bgp.advertised_addresses:
        items.append(("BGP also announces", ", ".join(map(str, bgp.advertised_addresses))))
    return items


def bandwidth(said: LinkBandwidth) -> str:
    """In words."""
    if said.bits_per_s is None:
        return "by the weights of the servers that are up"
    return f"{said.bits_per_s:g} bit/s"


def _peer(name: str, options: BGPPeerOptions) -> str:
    """Who it is, and what is not as usual; a password is only said to be there."""
    asn = "any AS" if options.asn is None else f"AS {options.asn}"
    parts = [name, asn, f"hold time {options.hold_time_s} s"]
    parts += _ways_of(options)
    parts += _care_of(options)
    parts += _told_otherwise(options)
    described = f" ({options.description})" if options.description else ""
    return ", ".join(parts) + described


def _present(said: Iterable[tuple[bool, str]]) -> list[str]:
    return [text for present, text in said if present]


def _ways_of(options: BGPPeerOptions) -> list[str]:
    """How a connection comes about, where that is not as usual."""
    hops, ao = options.ttl_security_hops, options.tcp_ao
    return _present(
        (
            (options.port != 179, f"port {options.port}"),
            (options.source_address is not None, f"from {options.source_address}"),
            (options.interface is not None, f"over {options.interface}"),
            (options.multihop is not None, f"TTL {options.multihop}"),
            (options.passive, "which connects to us"),
            (options.connect_only, "to which we connect"),
            (options.role is not None, f"we are its {options.role}"),
            (len(options.families) == 1, f"only IPv{options.families[0]} routes"),
            (options.password is not None, "with a password" if ao is None else "with TCP-AO"),
            (hops is not None, f"at most {counted(hops or 0, 'hop')} away"),
        )
    )


def _care_of(options: BGPPeerOptions) -> list[str]:
    """What is done for the session, and heard over it."""
    bfd = f"BFD {options.bfd_multiplier} x {options.bfd_interval_ms} ms"
    if options.bfd_multihop:
        bfd += " over several hops"
    if options.bfd_auth is not None:
        bfd += f" with {options.bfd_auth.kind}"
    keeps = options.graceful_restart
    stale_s = options.long_lived_stale_s
    return _present(
        (
            (keeps, f"graceful restart within {options.graceful_restart_time_s} s"),
            (keeps and stale_s > 0, f"then stale for {stale_s} s"),
            (options.bfd, bfd),
            (options.imports != "no", "asked who else announces our addresses"),
        )
    )


def _told_otherwise(options: BGPPeerOptions) -> list[str]:
    """What it is told otherwise than the other peers."""
    added = options.communities, options.large_communities, options.extended_communities
    return _present(
        (
            (options.nexthop_ipv4 is not None, f"next hop {options.nexthop_ipv4}"),
            (options.nexthop_ipv6 is not None, f"next hop {options.nexthop_ipv6}"),
            (options.med is not None, f"MED {options.med}"),
            (options.local_pref is not None, f"LOCAL_PREF {options.local_pref}"),
            (options.prepend > 0, f"our AS prepended {counted(options.prepend, 'time')}"),
            (any(added), f"communities {communities(*added)}"),
        )
    )


def communities(
    classic: tuple[int, ...],
    large: tuple[LargeCommunity, ...],
    extended: tuple[bytes, ...] = (),
) -> str:
    """As the configuration writes them."""
    words = [f"{community >> 16}:{community & 0xFFFF}" for community in classic]
    words += [":".join(map(str, community)) for community in large]
    return " ".join((*words, *map(community_text, extended))) or "none"
