"""What pybal.conf says of BGP reaches the speaker."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest

from pybal.announce.settings import failover_settings
from pybal.bgp.constants import IPV6_UNICAST
from pybal.bgp.settings import (
    AOSettings,
    BFDAuthSettings,
    BFDSettings,
    Confederation,
    ExportPolicy,
    Options,
    PeerGroup,
    PeerSettings,
)
from pybal.config.settings import (
    TCPAO,
    BFDAuth,
    BGPInterfacePeer,
    BGPPeer,
    BGPPeerGroup,
    BGPPeerOptions,
    BGPSettings,
)
from pybal.model import IPAddress

SETTINGS = BGPSettings(
    local_asn=64600,
    peers=(BGPPeer(ip_address("192.0.2.9")),),
    as_path=(64600, 64601),
    nexthop_ipv4=ip_address("192.0.2.10"),
    nexthop_ipv6=IPv6Address("2001:db8::10"),
    med=100,
    local_ips=(),
    local_port=1179,
    advertised_addresses=(ip_address("192.0.2.7"),),
)


def from_nowhere(peer: IPAddress) -> None:
    """No peer is reachable."""


def test_every_option_reaches_the_speaker() -> None:
    options = BGPPeerOptions(14907, "secret", 2, 30, 2.5, True, 60, True, 50, 5)
    settings = replace(
        SETTINGS,
        peers=(BGPPeer(ip_address("2001:db8::1"), options), *SETTINGS.peers),
        router_id=IPv4Address("192.0.2.8"),
        communities=(1,),
        large_communities=((1, 2, 3),),
        local_pref=200,
        shutdown_delay_s=1.5,
    )
    found = failover_settings(settings, from_nowhere)
    first, second = found.speaker.peers
    assert (first.address, first.asn, first.password) == (
        ip_address("2001:db8::1"),
        14907,
        b"secret",
    )
    assert (first.ttl_security_hops, first.hold_time_s, first.restart_time_s) == (2, 30, 60)
    assert (first.bfd, first.fsm.connect_retry_s) == (BFDSettings(50, 5), 2.5)
    assert second == PeerSettings(ip_address("192.0.2.9"))
    assert found.speaker.router_id == IPv4Address("192.0.2.8")
    assert (found.speaker.local_asn, found.speaker.listen_port) == (64600, 1179)
    assert (found.as_path, found.med, found.local_pref) == ((64600, 64601), 100, 200)
    assert (found.communities, found.large_communities) == ((1,), ((1, 2, 3),))
    assert (found.extra_addresses, found.shutdown_delay_s) == ((ip_address("192.0.2.7"),), 1.5)
    assert "secret" not in repr(found)


def test_every_option_of_one_peer_reaches_the_speaker() -> None:
    options = BGPPeerOptions(
        description="spine 1",
        source_address=ip_address("192.0.2.3"),
        interface="eth1",
        port=1179,
        passive=True,
        connect_only=True,
        multihop=4,
        families=(6,),
        prepend=2,
        nexthop_ipv4=ip_address("192.0.2.4"),
        nexthop_ipv6=IPv6Address("2001:db8::4"),
        med=50,
        local_pref=200,
        communities=(1,),
        large_communities=((1, 2, 3),),
    )
    settings = replace(
        SETTINGS,
        peers=(BGPPeer(ip_address("192.0.2.9"), options),),
        confederation_id=65000,
        confederation_peers=(64600, 64601),
    )
    speaker = failover_settings(settings, from_nowhere).speaker
    assert speaker.confederation == Confederation(65000, frozenset({64601}))
    assert speaker.peers == (
        PeerSettings(
            ip_address("192.0.2.9"),
            port=1179,
            local_address=ip_address("192.0.2.3"),
            families=(IPV6_UNICAST,),
            fsm=Options(passive=True),
            connect_only=True,
            ttl=4,
            interface="eth1",
            export=ExportPolicy(
                ip_address("192.0.2.4"), IPv6Address("2001:db8::4"), 50, 200, 2, (1,), ((1, 2, 3),)
            ),
            description="spine 1",
        ),
    )


@pytest.mark.parametrize(
    ("options", "bfd"),
    [
        # RFC 5881 section 5: a neighbour's packets come with 255; RFC 5883 leaves it open.
        (BGPPeerOptions(bfd=True, ttl_security_hops=2), BFDSettings()),
        (BGPPeerOptions(bfd=True, bfd_multihop=True), BFDSettings(multihop=True, min_ttl=0)),
        (
            BGPPeerOptions(bfd=True, bfd_multihop=True, ttl_security_hops=2),
            BFDSettings(multihop=True, min_ttl=254),
        ),
        (
            BGPPeerOptions(
                bfd=True, bfd_auth=BFDAuth("meticulous-keyed-sha1", 7), bfd_password="key"
            ),
            BFDSettings(auth=BFDAuthSettings("METICULOUS_KEYED_SHA1", 7, b"key")),
        ),
        (BGPPeerOptions(bfd=True, bfd_auth=BFDAuth("simple", 7)), BFDSettings()),
        (BGPPeerOptions(bfd=True, bfd_password="key"), BFDSettings()),
    ],
)
def test_bfd_as_the_peer_is_reached_and_with_its_key(
    options: BGPPeerOptions, bfd: BFDSettings
) -> None:
    settings = replace(SETTINGS, peers=(BGPPeer(ip_address("192.0.2.9"), options),))
    [peer] = failover_settings(settings, from_nowhere).speaker.peers
    assert peer.bfd == bfd


def test_groups_and_links_reach_the_speaker_with_their_options() -> None:
    network = ip_network("198.51.100.0/24")
    options = BGPPeerOptions(asn=64601, limit=7, tcp_ao=TCPAO("hmac(sha1)", 1, 2), password="key")
    settings = replace(
        SETTINGS,
        peers=(),
        groups=(BGPPeerGroup(network, options),),
        interface_peers=(BGPInterfacePeer("eth1", options),),
    )
    speaker = failover_settings(settings, from_nowhere).speaker
    assert speaker.groups == (
        PeerGroup(
            network,
            PeerSettings(
                network.network_address,
                asn=64601,
                password=b"key",
                ao=AOSettings("hmac(sha1)", 1, 2),
            ),
            limit=7,
        ),
    )
    [link] = speaker.interfaces
    assert link.interface == "eth1"
    assert (link.peer.asn, link.peer.password) == (64601, b"key")


def test_the_next_hops_of_what_is_announced_are_known_to_be_ours() -> None:
    both = failover_settings(SETTINGS, from_nowhere).speaker
    assert both.next_hops == (ip_address("192.0.2.10"), ip_address("2001:db8::10"))
    one = failover_settings(replace(SETTINGS, nexthop_ipv4=None), from_nowhere).speaker
    assert one.next_hops == (ip_address("2001:db8::10"),)


@pytest.mark.parametrize(
    ("changes", "source", "router_id"),
    [
        ({"local_ips": (ip_address("192.0.2.20"),)}, None, "192.0.2.20"),
        ({}, None, "192.0.2.10"),
        ({"nexthop_ipv4": None}, "192.0.2.30", "192.0.2.30"),
        ({"nexthop_ipv4": None}, "2001:db8::30", "127.0.0.1"),
        ({"nexthop_ipv4": None, "local_ips": (IPv4Address("0.0.0.0"),)}, None, "127.0.0.1"),
    ],
)
def test_the_router_id_is_an_own_ipv4_address(
    changes: dict[str, object], source: str | None, router_id: str
) -> None:
    def source_address(peer: IPAddress) -> IPAddress | None:
        assert peer == ip_address("192.0.2.9")
        return None if source is None else ip_address(source)

    settings = replace(SETTINGS, **changes)  # type: ignore[arg-type]
    found = failover_settings(settings, source_address).speaker.router_id
    assert found == IPv4Address(router_id)


def test_without_local_addresses_both_families_are_listened_on() -> None:
    found = failover_settings(SETTINGS, from_nowhere).speaker.listen_addresses
    assert set(found) == {IPv4Address("0.0.0.0"), IPv6Address("::")}
