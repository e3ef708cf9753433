"""Values of BGP's keys, at the bounds of what is taken."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from pybal.config import bgp_kinds as kinds
from pybal.config.bad_value import BadValueError
from pybal.config.kinds import Kind
from pybal.config.settings import TCPAO, LinkBandwidth

REGISTRY = {
    "graceful-shutdown": 0xFFFF0000, "accept-own": 0xFFFF0001,
    "route-filter-translated-v4": 0xFFFF0002, "route-filter-v4": 0xFFFF0003,
    "route-filter-translated-v6": 0xFFFF0004, "route-filter-v6": 0xFFFF0005,
    "llgr-stale": 0xFFFF0006, "no-llgr": 0xFFFF0007, "accept-own-nexthop": 0xFFFF0008,
    "standby-pe": 0xFFFF0009, "blackhole": 0xFFFF029A, "no-export": 0xFFFFFF01,
    "no-advertise": 0xFFFFFF02, "no-export-subconfed": 0xFFFFFF03, "local-as": 0xFFFFFF03,
    "no-peer": 0xFFFFFF04,
}  # fmt: skip
"""IANA's, of well-known communities."""


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        *((kinds.COMMUNITIES, name, (number,)) for name, number in REGISTRY.items()),
        (kinds.COMMUNITIES, "65535:65535 0:1 0:1", (0xFFFFFFFF, 1)),
        (kinds.LARGE_COMMUNITIES, "4294967295:0:1", ((4294967295, 0, 1),)),
        (kinds.EXTENDED_COMMUNITIES, "0x0002fc5800000064", (bytes.fromhex("0002fc5800000064"),)),
        (kinds.EXTENDED_COMMUNITIES, "rt:192.0.2.1:65535", (bytes.fromhex("0102c0000201ffff"),)),
        (kinds.EXTENDED_COMMUNITIES, "rt:65535:4294967295",
         (bytes.fromhex("0002ffffffffffff"),)),
        (kinds.EXTENDED_COMMUNITIES, "soo:65536:65535", (bytes.fromhex("020300010000ffff"),)),
        (kinds.EXTENDED_COMMUNITIES, "soo:4294967295:1", (bytes.fromhex("0203ffffffff0001"),)),
        (kinds.LINK_BANDWIDTH, "1", LinkBandwidth(1.0)),
        (kinds.LINK_BANDWIDTH, "2.5k", LinkBandwidth(2500.0)),
        (kinds.LINK_BANDWIDTH, "3M", LinkBandwidth(3e6)),
        (kinds.LINK_BANDWIDTH, "10G", LinkBandwidth(1e10)),
        (kinds.LINK_BANDWIDTH, "1t", LinkBandwidth(1e12)),
        (kinds.LINK_BANDWIDTH, "auto", LinkBandwidth()),
        (kinds.LINK_BANDWIDTH, "no", None),
        (kinds.PEER_ADDRESSES, "['', '192.0.2.1']", (ip_address("192.0.2.1"),)),
        (kinds.FAMILIES, "ipv6 IPv4", (4, 6)),
        (kinds.FAMILIES, "['ipv6']", (6,)),
        (kinds.TCP_AO, "hmac-sha-1-96 0 255", TCPAO("hmac(sha1)", 0, 255)),
        (kinds.HOLD_TIME, "0", 0),
        (kinds.HOLD_TIME, "3", 3),
        (kinds.HOLD_TIME, "65535", 65535),
        (kinds.TTL_SECURITY, "254", 254),
        (kinds.TTL_SECURITY, "yes", 1),
        (kinds.TTL_SECURITY, "0", None),
        (kinds.MULTIHOP, "1", 1),
        (kinds.MULTIHOP, "255", 255),
        (kinds.PEER_LIMIT, "10000", 10_000),
        (kinds.PREPEND, "0", 0),
        (kinds.PREPEND, "20", 20),
        (kinds.RESTART_TIME, "4095", 4095),
        (kinds.STALE_TIME, "0", 0),
        (kinds.STALE_TIME, "16777215", 16_777_215),
        (kinds.BFD_INTERVAL, "10", 10),
        (kinds.BFD_INTERVAL, "60000", 60_000),
        (kinds.BFD_MULTIPLIER, "255", 255),
        (kinds.SHUTDOWN_DELAY, "60", 60.0),
        (kinds.PASSWORD, "x" * 80, "x" * 80),
        (kinds.DESCRIPTION, "x" * 100, "x" * 100),
    ],
)  # fmt: skip
def test_what_is_taken_is_its_value(kind: Kind[Any], text: str, value: object) -> None:
    assert kind.parse(text) == value


@pytest.mark.parametrize(
    ("kind", "text", "why"),
    [
        (kinds.COMMUNITIES, "65536:1", "in '65536:1' 65536 is above 65535"),
        (kinds.COMMUNITIES, "1:65536", "in '1:65536' 65536 is above 65535"),
        (kinds.COMMUNITIES, "1:2:3", "'1:2:3' is none"),
        (kinds.COMMUNITIES, "no-exprot", "'no-exprot' is none; did you mean no-export?"),
        (kinds.LARGE_COMMUNITIES, "1:2", "'1:2' is none"),
        (kinds.EXTENDED_COMMUNITIES, "rt:x:1", "'rt:x:1' is none"),
        (kinds.EXTENDED_COMMUNITIES, "xx:1:1", "'xx:1:1' is none"),
        (kinds.EXTENDED_COMMUNITIES, "rt:2001:db8::1:1", "'rt:2001:db8::1:1' is none"),
        (kinds.EXTENDED_COMMUNITIES, "rt:4294967296:1", "'rt:4294967296:1' is none"),
        (kinds.EXTENDED_COMMUNITIES, "rt:65536:65536",
         "in 'rt:65536:65536' 65536 is above 65535"),
        (kinds.EXTENDED_COMMUNITIES, "rt:1:4294967296",
         "in 'rt:1:4294967296' 4294967296 is above 4294967295"),
        (kinds.EXTENDED_COMMUNITIES, "rt:192.0.2.1:65536",
         "in 'rt:192.0.2.1:65536' 65536 is above 65535"),
        (kinds.LINK_BANDWIDTH, "0", ""),
        (kinds.LINK_BANDWIDTH, "10 G", ""),
        (kinds.PEER_ADDRESSES, "['x']", "element 1 is not an address"),
        (kinds.PEER_ADDRESSES, "['192.0.2.1/32']",
         "element 1 is not an address: write it without /32: it is one address"),
        (kinds.FAMILIES, "ipv5", ""),
        (kinds.FAMILIES, "[]", ""),
        (kinds.TCP_AO, "hmac-sha-1-96 0 256", ""),
        (kinds.TCP_AO, "hmac-sha-1-96 0", ""),
        (kinds.HOLD_TIME, "1", ""),
        (kinds.HOLD_TIME, "2", ""),
        (kinds.HOLD_TIME, "65536", ""),
        (kinds.TTL_SECURITY, "255", ""),
        (kinds.MULTIHOP, "0", ""),
        (kinds.MULTIHOP, "256", ""),
        (kinds.PEER_LIMIT, "10001", ""),
        (kinds.PREPEND, "21", ""),
        (kinds.RESTART_TIME, "4096", ""),
        (kinds.STALE_TIME, "16777216", ""),
        (kinds.BFD_INTERVAL, "9", ""),
        (kinds.BFD_INTERVAL, "60001", ""),
        (kinds.BFD_MULTIPLIER, "256", ""),
        (kinds.SHUTDOWN_DELAY, "60.1", ""),
        (kinds.PASSWORD, "x" * 81, "it has 81"),
        (kinds.DESCRIPTION, "x" * 101, ""),
        (kinds.ROUTER_ID, "2001:db8::1", ""),
        (kinds.NEXT_HOP_IPV6, "ff02::1", "it is multicast"),
        (kinds.PREFIX, "192.0.2.1/24", "192.0.2.1/24 has host bits set"),
    ],
)  # fmt: skip
def test_what_is_not_taken_says_why(kind: Kind[Any], text: str, why: str) -> None:
    with pytest.raises(BadValueError) as bad:
        kind.parse(text)
    assert str(bad.value) == why
