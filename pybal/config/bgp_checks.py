"""What of BGP is well-formed, but will not do what was meant. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from pybal.config.bgp_kinds import ip_without_use
from pybal.config.kinds import INTERFACE, is_interface_name
from pybal.config.section import SectionReader
from pybal.config.settings import BGPPeer, BGPPeerOptions, BGPSettings, IPNetwork
from pybal.model import IPAddress

_SHORT_HOLD_S = 9
_SHORT_DETECTION_MS = 100
_AS_TRANS = 23456
_LAST_ASNS = (65535, 4294967295)
_NOTHING = BGPPeerOptions()
_PEERS = "bgp-peer-address"
_HURTING = {
    0xFFFF0000: "graceful-shutdown: routers take these routes for the last choice as long as it is"
    " there; for a time there is bgp-shutdown-delay, or pybalctl maintenance",
    0xFFFF0006: "llgr-stale: routers take these routes for left over, and hardly use them",
    0xFFFF029A: "blackhole: routers may drop all that is sent to these addresses (RFC 7999)",
}
# Keys that say nothing without another one: what they set, the other, and what that sets.
_NEEDS = (
    ("bgp-graceful-restart-time", "graceful_restart_time_s", "bgp-graceful-restart"),
    ("bgp-long-lived-graceful-restart", "long_lived_stale_s", "bgp-graceful-restart"),
    ("bgp-bfd-interval", "bfd_interval_ms", "bgp-bfd"),
    ("bgp-bfd-multiplier", "bfd_multiplier", "bgp-bfd"),
    ("bgp-bfd-multihop", "bfd_multihop", "bgp-bfd"),
    ("bgp-bfd-auth", "bfd_auth", "bgp-bfd"),
)


def check_options(
    reader: SectionReader,
    options: BGPPeerOptions,
    general: BGPPeerOptions = _NOTHING,
) -> None:
    """What one section says of its routers, as far as `general` has not said it already."""
    if options.asn != general.asn:
        _check_asn(reader, "bgp-peer-asn", options.asn)
    _check_hold_time(reader, options, general)
    both = options.graceful_restart and options.bfd
    if both and not (general.graceful_restart and general.bfd):
        reader.warn(
            "bgp-bfd" if reader.is_set("bgp-bfd") else "bgp-graceful-restart",
            "where PyBal crashes or hangs, BFD may have a router drop the routes that"
            ' bgp-graceful-restart is to keep: tell it otherwise (BIRD: "bfd graceful"; FRR:'
            ' "neighbor ... bfd check-control-plane-failure"); a planned restart keeps them',
        )
    detection_ms = options.bfd_interval_ms * options.bfd_multiplier
    before_ms = general.bfd_interval_ms * general.bfd_multiplier
    if (
        options.bfd
        and detection_ms < _SHORT_DETECTION_MS
        and (detection_ms != before_ms or not general.bfd)
    ):
        key = "bgp-bfd-interval" if reader.is_set("bgp-bfd-interval") else "bgp-bfd-multiplier"
        reader.warn(
            key,
            f"a router takes this director for dead after {detection_ms} ms, as long as a busy host"
            " may take to wake a process; better 300 or more",
        )


def _check_hold_time(
    reader: SectionReader, options: BGPPeerOptions, general: BGPPeerOptions
) -> None:
    hold_time_s = options.hold_time_s
    if hold_time_s == general.hold_time_s and options.bfd == general.bfd:
        return
    if hold_time_s == 0 and not options.bfd:
        reader.warn(
            "bgp-hold-time",
            "without keepalives a router does not notice that this host has gone or hangs, and"
            " sends traffic to it for good; bgp-bfd would tell it",
        )
    if 0 < hold_time_s < _SHORT_HOLD_S and hold_time_s != general.hold_time_s:
        reader.warn(
            "bgp-hold-time",
            f"keepalives go out every {hold_time_s / 3:.2g} s at most: a moment in which this host"
            " is busy, or paused as virtual machines are, ends the session; better 9 or more, and"
            " bgp-bfd where failures must be seen fast",
        )


def check_needs(
    reader: SectionReader, options: BGPPeerOptions, others: Iterable[BGPPeerOptions] = ()
) -> None:
    """Keys without effect, as no router of this section, nor of `others`, has what they need."""
    everybody = (options, *others)
    for key, sets, other in _NEEDS:
        if not reader.is_set(key) or getattr(options, sets) == getattr(_NOTHING, sets):
            continue
        needed = other.removeprefix("bgp-").replace("-", "_")
        if not any(getattr(each, needed) for each in everybody):
            reader.warn(key, f"has no effect without {other}")


def check_communities(
    reader: SectionReader, communities: Iterable[int], general: Iterable[int] = ()
) -> None:
    """Those with which one's own service is unreachable."""
    for community in communities:
        if community in _HURTING and community not in general:
            reader.warn("bgp-communities", f"has {_HURTING[community]}")


def _gives_router_id(bgp: BGPSettings) -> bool:
    """By an IPv4 address that is ours, or that of a peer: we reach it from one of ours."""
    found = (*bgp.local_ips, bgp.nexthop_ipv4, *(peer.address for peer in bgp.peers))
    return any(hop is not None and hop.version == 4 and not hop.is_unspecified for hop in found)


def check_speaker(reader: SectionReader, bgp: BGPSettings) -> None:
    """What is said of ourselves."""
    _check_asn(reader, "bgp-local-asn", bgp.local_asn)
    _check_asn(reader, "bgp-confederation-id", bgp.confederation_id)
    _check_confederation(reader, bgp)
    check_communities(reader, bgp.communities)
    if bgp.router_id is not None and bgp.router_id.is_loopback:
        reader.warn("bgp-router-id", f"{bgp.router_id} is every host's: routers need one of each")
    speaks = bgp.peers or bgp.groups or bgp.interface_peers
    if speaks and bgp.router_id is None and not _gives_router_id(bgp):
        message = "not set, and no IPv4 address of this host is known from elsewhere: it would be"
        reader.warn("bgp-router-id", f"{message} 127.0.0.1, every host's; routers need one of each")
    for address in bgp.local_ips:
        if address.version == 6 and address.is_link_local:
            reader.error("bgp-local-ips", f"{address} cannot be listened on: it is of one link")
    _check_advertised(reader, bgp.advertised_addresses)
    for key, hop in (
        ("bgp-nexthop-ipv4", bgp.nexthop_ipv4), ("bgp-nexthop-ipv6", bgp.nexthop_ipv6)
    ):  # fmt: skip
        _check_hop(reader, key, hop)
    first = bgp.as_path[:1]
    if bgp.confederation_id is None and first and first[0] != bgp.local_asn:
        reader.warn(
            "bgp-as-path",
            f"begins with {first[0]}, not with bgp-local-asn: routers that check that (FRR does)"
            " refuse all routes",
        )


def _check_advertised(reader: SectionReader, addresses: Iterable[IPAddress]) -> None:
    key = "advertised_instrumentation_ips"
    for address in addresses:
        mapped = getattr(address, "ipv4_mapped", None)
        if why := ip_without_use(address):
            reader.error(key, f"{address} is no host's: {why}")
        elif mapped is not None:
            reader.error(key, f"{address} must be written as {mapped}")
        elif why := not_routed(address):
            reader.warn(key, f"{address} {why}")


def not_routed(address: IPAddress) -> str:
    """Why an announcement of it is in vain, to follow it in a sentence; empty if it is not."""
    if address.is_loopback:
        return "is each host itself: no router forwards to it"
    return "is link-local: no router forwards to it" if address.is_link_local else ""


def _check_asn(reader: SectionReader, key: str, asn: int | None) -> None:
    if asn == _AS_TRANS:
        reader.error(key, f"{asn} is nobody's: it stands in for greater ones (AS_TRANS, RFC 6793)")
    elif asn in _LAST_ASNS:
        reader.warn(key, f"{asn} is reserved (RFC 7300): routers may refuse it")


def _check_hop(reader: SectionReader, key: str, hop: IPAddress | None) -> None:
    if hop is None:
        return
    if hop.is_loopback:
        reader.warn(key, f"{hop} is each router itself: it would send nothing here")
    elif hop.version == 6 and hop.is_link_local:
        reader.warn(
            key,
            f"{hop} is link-local: only routers on that link can use it, and many refuse it; for"
            " [[peer INTERFACE]] it is found without being told",
        )
    elif key == "bgp-nexthop-ipv4" and getattr(hop, "ipv4_mapped", None) is not None:
        reader.warn(key, f"{hop} is an IPv4 address in IPv6's clothes: write it plainly")


def _check_confederation(reader: SectionReader, bgp: BGPSettings) -> None:
    """RFC 5065."""
    own_id = bgp.confederation_id
    if own_id is None and bgp.confederation_peers:
        reader.missing("bgp-confederation-id", "bgp-confederation-peers is of no use without it")
    if bgp.local_asn in bgp.confederation_peers:
        reader.warn("bgp-confederation-peers", f"{bgp.local_asn} is our own member AS")
    if own_id is not None and own_id in bgp.confederation_peers:
        reader.warn("bgp-confederation-peers", f"{own_id} is the confederation, not a member of it")


def check_group(section: SectionReader, network: IPNetwork, options: BGPPeerOptions) -> None:
    """Routers out of a prefix."""
    mapped = network.version == 6 and getattr(network[0], "ipv4_mapped", None) is not None
    if network.is_multicast or mapped:
        section.error_of_section(f"no router connects from {network}")
    everybody = network.prefixlen == 0
    if everybody and options.password is None and options.ttl_security_hops is None:
        section.warn(
            "bgp-password", "not set: whoever reaches this host may be a peer; nor bgp-ttl-security"
        )


def check_peer(
    section: SectionReader | None, reader: SectionReader, peer: BGPPeer, bgp: BGPSettings
) -> None:
    """One router, with its own section if it has one."""
    where = section or reader
    address, options = peer.address, peer.options
    _check_address(reader, address)
    if address in bgp.local_ips:
        reader.error(_PEERS, f"{address} is in bgp-local-ips: a peer is another host")
    elif address == bgp.router_id:
        reader.warn(_PEERS, f"{address} is our own bgp-router-id, which no router may have as well")
    if address == options.source_address:
        where.error("bgp-source-address", "is the address of the peer: it must be one of our own")
    for name, own, general in (
        ("bgp-nexthop-ipv4", options.nexthop_ipv4, bgp.nexthop_ipv4),
        ("bgp-nexthop-ipv6", options.nexthop_ipv6, bgp.nexthop_ipv6),
    ):
        if own is not None:
            _check_hop(where, name, own)
        if address == (own or general):
            (where if own else reader).warn(
                name, f"is the address of the peer {address}, which would send all to itself"
            )
    if section is not None:
        _check_inside(section, options, bgp)


def check_unnamed(section: SectionReader, options: BGPPeerOptions, bgp: BGPSettings) -> None:
    """Routers of an interface or a prefix, or all that have no section of their own."""
    _check_inside(section, options, bgp)
    for name, own in (
        ("bgp-nexthop-ipv4", options.nexthop_ipv4), ("bgp-nexthop-ipv6", options.nexthop_ipv6)
    ):  # fmt: skip
        _check_hop(section, name, own)


def _check_address(reader: SectionReader, address: IPAddress) -> None:
    """Whether a router can have it."""
    scope = getattr(address, "scope_id", None)
    mapped = getattr(address, "ipv4_mapped", None)
    on_a_link = address.version == 6 and address.is_link_local
    if why := ip_without_use(address):
        reader.error(_PEERS, f"{address} is no router's: {why}")
    elif mapped is not None:
        reader.error(_PEERS, f"{address} must be written as {mapped}")
    elif on_a_link and not scope:
        reader.error(_PEERS, f"{address} is link-local: name its interface, as in {address}%eth0")
    elif scope and not on_a_link:
        plain = str(address).partition("%")[0]
        reader.error(_PEERS, f"{address} must be written as {plain}: only fe80::/10 is of one link")
    elif scope and not is_interface_name(scope):
        reader.error(_PEERS, f"{address}: {scope} must be {INTERFACE.wanted}")


def _check_inside(where: SectionReader, options: BGPPeerOptions, bgp: BGPSettings) -> None:
    """What depends on whether the router is in our AS, or in our confederation."""
    asn = options.asn
    if bgp.confederation_id is not None:
        if asn is None:
            where.missing("bgp-peer-asn", "in a confederation it tells what the peer is to be told")
        elif asn == bgp.confederation_id:
            where.warn("bgp-peer-asn", f"{asn} is the confederation itself: name the member AS")
    inside = asn in (bgp.local_asn, *bgp.confederation_peers)
    if asn is None:
        return
    if asn == bgp.local_asn and options.prepend and where.is_set("bgp-prepend"):
        where.warn("bgp-prepend", "has no effect towards routers of our AS: use bgp-local-pref")
    if inside and options.role is not None and where.is_set("bgp-role"):
        where.warn("bgp-role", "has no effect towards routers of our AS (RFC 9234)")
    if not inside and options.local_pref is not None:
        where.warn("bgp-local-pref", "is told to routers of our own AS alone: use bgp-med")
    if asn != bgp.local_asn and asn in bgp.as_path:
        where.warn(
            "bgp-as-path" if where.is_set("bgp-as-path") else "bgp-peer-asn",
            f"{asn} is in bgp-as-path: that router takes its own number there for a loop",
        )
