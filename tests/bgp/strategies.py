"""Hypothesis strategies of BGP values that the codec can say."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from hypothesis import strategies as st

from pybal.bgp.constants import (
    IPV4_UNICAST,
    IPV6_UNICAST,
    AttributeType,
    CapabilityCode,
    Family,
    Origin,
    SegmentType,
)
from pybal.bgp.messages import (
    Aggregator,
    Capabilities,
    ExtendedNextHop,
    GracefulRestart,
    Keepalive,
    MPReach,
    MPUnreach,
    Notification,
    Open,
    PathAttributes,
    RestartFamily,
    RouteRefresh,
    Segment,
    UnknownAttribute,
    Update,
)
from pybal.bgp.prefix import Prefix

u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFFFFFF)
asns = st.integers(1, 0xFFFFFFFF) | st.integers(1, 0xFFFF)
ipv4 = st.integers(1, 0xFFFFFFFF).map(IPv4Address)
ipv6 = st.integers(1, 2**128 - 1).map(IPv6Address)
families = st.builds(Family, u16, st.integers(0, 255))
KNOWN_CODES = {int(code) for code in CapabilityCode}
KNOWN_ATTRIBUTES = {int(code) for code in AttributeType}


def prefixes(width: int) -> st.SearchStrategy[Prefix]:
    def masked(length: int, number: int) -> Prefix:
        bits = width * 8
        network = number >> (bits - length) << (bits - length)
        return Prefix(length, network.to_bytes(width, "big"))

    return st.builds(masked, st.integers(0, width * 8), st.integers(0, 2 ** (width * 8) - 1))


ipv4_prefixes = st.lists(prefixes(4), max_size=6).map(tuple)
ipv6_prefixes = st.lists(prefixes(16), max_size=6).map(tuple)

restarts = st.builds(
    GracefulRestart,
    restarting=st.booleans(),
    notification=st.booleans(),
    restart_time_s=st.integers(0, 4095),
    families=st.lists(st.builds(RestartFamily, families, st.booleans()), max_size=3).map(tuple),
)
capabilities = st.builds(
    Capabilities,
    families=st.lists(families, max_size=4, unique=True).map(tuple),
    four_octet_asn=st.none() | asns,
    route_refresh=st.booleans(),
    enhanced_route_refresh=st.booleans(),
    extended_message=st.booleans(),
    graceful_restart=st.none() | restarts,
    extended_next_hop=st.lists(st.builds(ExtendedNextHop, families, u16), max_size=3).map(tuple),
    unknown=st.lists(
        st.tuples(
            st.integers(0, 255).filter(lambda code: code not in KNOWN_CODES),
            st.binary(max_size=8),
        ),
        max_size=3,
    ).map(tuple),
)


def _open(
    capabilities: Capabilities | None, asn: int, hold_time_s: int, ident: IPv4Address
) -> Open:
    if capabilities is not None and capabilities.four_octet_asn is not None:
        asn = capabilities.four_octet_asn
    elif asn > 0xFFFF:
        asn = 23456
    return Open(asn, hold_time_s, ident, capabilities)


opens = st.builds(_open, st.none() | capabilities, asns, st.just(0) | st.integers(3, 0xFFFF), ipv4)

as_paths = st.lists(
    st.builds(
        Segment, st.sampled_from(SegmentType), st.lists(asns, min_size=1, max_size=4).map(tuple)
    ),
    max_size=3,
).map(tuple)
attributes = st.builds(
    PathAttributes,
    origin=st.sampled_from(Origin),
    as_path=as_paths,
    med=st.none() | u32,
    local_pref=u32,
    atomic_aggregate=st.booleans(),
    aggregator=st.none() | st.builds(Aggregator, asns, ipv4),
    communities=st.lists(u32, max_size=4).map(tuple),
    originator_id=st.none() | ipv4,
    cluster_list=st.lists(ipv4, max_size=3).map(tuple),
    extended_communities=st.lists(st.binary(min_size=8, max_size=8), max_size=3).map(tuple),
    large_communities=st.lists(st.tuples(u32, u32, u32), max_size=3, unique=True).map(tuple),
    only_to_customer=st.none() | u32,
    unknown=st.lists(
        st.builds(
            UnknownAttribute,
            st.sampled_from((0x80, 0xC0, 0xE0)),
            st.integers(0, 255).filter(lambda code: code not in KNOWN_ATTRIBUTES),
            st.binary(max_size=300),
        ),
        max_size=2,
        unique_by=lambda attribute: attribute.code,
    ).map(lambda unknown: tuple(sorted(unknown, key=lambda attribute: attribute.code))),
)
withdrawals = st.builds(
    Update,
    withdrawn=ipv4_prefixes,
    mp_unreach=st.none() | st.builds(MPUnreach, st.just(IPV6_UNICAST), ipv6_prefixes),
)
announcements = st.builds(
    Update,
    attributes=attributes,
    next_hop=ipv4,
    prefixes=ipv4_prefixes.filter(bool),
) | st.builds(
    Update,
    attributes=attributes,
    mp_reach=st.builds(
        MPReach,
        st.just(IPV6_UNICAST),
        st.lists(ipv6, min_size=1, max_size=2).map(tuple),
        ipv6_prefixes,
    )
    | st.builds(MPReach, st.just(IPV4_UNICAST), ipv6.map(lambda a: (a,)), ipv4_prefixes),
)
updates = withdrawals | announcements
others = (
    st.builds(Notification, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=40))
    | st.builds(Keepalive)
    | st.builds(RouteRefresh, families, st.integers(0, 255))
)
