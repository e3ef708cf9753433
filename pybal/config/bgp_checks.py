"""What of BGP is well-formed, but will not do what was meant. Pure."""

from __future__ import annotations

from pybal.config.section import SectionReader
from pybal.config.settings import BGPPeer, BGPPeerOptions, BGPSettings

_SHORT_HOLD_S = 9
_NOTHING = BGPPeerOptions()


def check_options(
    reader: SectionReader,
    options: BGPPeerOptions,
    general: BGPPeerOptions = _NOTHING,
) -> None:
    """What one section says of its routers, as far as `general` has not said it already."""
    hold_time_s = options.hold_time_s
    if 0 < hold_time_s < _SHORT_HOLD_S and hold_time_s != general.hold_time_s:
        reader.warn(
            "bgp-hold-time",
            f"keepalives go out every {hold_time_s / 3:.2g} s at most: a moment in which this host"
            " is busy, or paused as virtual machines are, ends the session; better 9 or more, and"
            " bgp-bfd where failures must be seen fast",
        )
    both = options.graceful_restart and options.bfd
    if both and not (general.graceful_restart and general.bfd):
        reader.warn(
            "bgp-bfd" if reader.is_set("bgp-bfd") else "bgp-graceful-restart",
            "where PyBal crashes or hangs, BFD may have a router drop the routes that"
            ' bgp-graceful-restart is to keep: tell it otherwise (BIRD: "bfd graceful"; FRR:'
            ' "neighbor ... bfd check-control-plane-failure"); a planned restart keeps them',
        )


def check_confederation(reader: SectionReader, bgp: BGPSettings) -> None:
    """RFC 5065."""
    if bgp.confederation_id is None and bgp.confederation_peers:
        reader.missing("bgp-confederation-id", "bgp-confederation-peers is of no use without it")
    if bgp.local_asn in bgp.confederation_peers:
        reader.warn("bgp-confederation-peers", f"{bgp.local_asn} is our own member AS")


def check_peer(
    section: SectionReader | None, reader: SectionReader, peer: BGPPeer, bgp: BGPSettings
) -> None:
    """One router, with its own section if it has one."""
    where = section or reader
    key = "bgp-peer-address"
    address, options = peer.address, peer.options
    if address.is_link_local and not getattr(address, "scope_id", None) and address.version == 6:
        reader.error(key, f"{address} is link-local: name its interface, as in {address}%eth0")
    if address in bgp.local_ips:
        reader.error(key, f"{address} is in bgp-local-ips: a peer is another host")
    for name, own, general in (
        ("bgp-nexthop-ipv4", options.nexthop_ipv4, bgp.nexthop_ipv4),
        ("bgp-nexthop-ipv6", options.nexthop_ipv6, bgp.nexthop_ipv6),
    ):
        if address == (own or general):
            (where if own else reader).warn(
                name, f"is the address of the peer {address}, which would send all to itself"
            )
    if bgp.confederation_id is not None and options.asn is None:
        where.missing("bgp-peer-asn", "in a confederation it tells what the peer is to be told")
