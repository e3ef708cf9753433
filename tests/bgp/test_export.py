"""What of a route each kind of peer sees (RFC 4271 section 5.1, RFC 5065), and its own policy."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from pybal.bgp.as_path import sequence
from pybal.bgp.constants import IPV4_UNICAST, IPV6_UNICAST, Origin, SegmentType
from pybal.bgp.export import export, next_hops_in_session, policy_in_session
from pybal.bgp.messages import ASPath, Capabilities, Open, PathAttributes, Segment
from pybal.bgp.negotiation import Session, local_open, negotiate
from pybal.bgp.rib import Route
from pybal.bgp.settings import Confederation, ExportPolicy, PeerSettings, SpeakerSettings

CONFEDERATION = Confederation(65000, frozenset((64513, 64514)))
NO_POLICY = ExportPolicy()
PEER = ip_address("10.0.0.9")


def session(peer_asn: int, confederation: Confederation | None = None) -> Session:
    peer = PeerSettings(PEER, asn=peer_asn)
    speaker = SpeakerSettings(64512, IPv4Address(1), (peer,), (), confederation=confederation)
    opened = Open(peer_asn, 90, IPv4Address(2), Capabilities(four_octet_asn=peer_asn))
    ours = local_open(speaker, peer, restarting=False)
    return negotiate(ours, opened, confederation, 64512)


def seen(
    asns: tuple[int, ...], to: Session, policy: ExportPolicy = NO_POLICY, **own: object
) -> PathAttributes:
    attributes = PathAttributes(origin=Origin.IGP, as_path=sequence(asns), med=7, **own)  # type: ignore[arg-type]
    return export(Route(attributes, PEER), IPV4_UNICAST, to, policy).attributes


def confed(*asns: int) -> Segment:
    return Segment(SegmentType.AS_CONFED_SEQUENCE, asns)


def test_an_external_peer_never_sees_local_pref() -> None:
    assert seen((64512,), session(64600), local_pref=200).local_pref is None


def test_an_internal_peer_sees_local_pref_and_not_our_own_asn() -> None:
    found = seen((64512,), session(64512))
    assert (found.as_path, found.local_pref) == ((), 100)
    assert seen((64512, 64600), session(64512)).as_path == sequence((64600,))


@pytest.mark.parametrize(
    ("peer_asn", "asns", "path", "local_pref"),
    [
        (64512, (64512,), (), 100),
        (64513, (64512,), (confed(64512),), 100),
        (64513, (64512, 64512), (confed(64512, 64512),), 100),
        (64513, (64512, 4200000000), (confed(64512), *sequence((4200000000,))), 100),
        (64513, (), (confed(64512),), 100),
        (64600, (64512,), sequence((65000,)), None),
        (64600, (64512, 64600), sequence((65000, 64600)), None),
    ],
)
def test_in_a_confederation(
    peer_asn: int, asns: tuple[int, ...], path: ASPath, local_pref: int | None
) -> None:
    found = seen(asns, session(peer_asn, CONFEDERATION))
    assert (found.as_path, found.local_pref) == (path, local_pref)


def test_outside_of_the_confederation_our_open_says_its_identifier() -> None:
    asns = {peer: session(peer, CONFEDERATION).local.asn for peer in (64512, 64513, 64600)}
    assert asns == {64512: 64512, 64513: 64512, 64600: 65000}


@pytest.mark.parametrize(
    ("peer_asn", "confederation", "path"),
    [
        (64600, None, sequence((64512,) * 3)),
        (64512, None, ()),
        (64513, CONFEDERATION, (confed(64512, 64512, 64512),)),
        (64600, CONFEDERATION, sequence((65000,) * 3)),
    ],
)
def test_prepending(peer_asn: int, confederation: Confederation | None, path: ASPath) -> None:
    policy = ExportPolicy(prepend=2)
    assert seen((64512,), session(peer_asn, confederation), policy).as_path == path


def test_prepending_goes_before_the_rest_of_a_path() -> None:
    path = seen((64512, 64700), session(64600), ExportPolicy(prepend=1)).as_path
    assert path == sequence((64512, 64512, 64700))


def test_a_policys_values_take_the_place_of_the_routes_and_its_communities_are_added() -> None:
    policy = ExportPolicy(
        next_hop_ipv4=ip_address("10.1.1.1"), med=50, local_pref=9, communities=(1, 2),
        large_communities=((1, 2, 3),),
    )  # fmt: skip
    attributes = PathAttributes(
        as_path=(), med=0, local_pref=100, communities=(2, 3), large_communities=()
    )
    route = Route(attributes, PEER)
    found = export(route, IPV4_UNICAST, session(64512), policy)
    assert found == Route(
        replace(
            attributes, med=50, local_pref=9, communities=(2, 3, 1), large_communities=((1, 2, 3),)
        ),
        ip_address("10.1.1.1"),
    )
    assert export(route, IPV6_UNICAST, session(64512), policy).next_hop == PEER


def as_set(*asns: int) -> Segment:
    return Segment(SegmentType.AS_SET, asns)


@pytest.mark.parametrize(
    ("path", "peer_asn", "confederation", "prepend", "found"),
    [
        # What is not ours stays, whatever comes after it.
        (sequence((64600,)), 64512, None, 0, sequence((64600,))),
        ((*sequence((64512,)), as_set(1, 2)), 64512, None, 0, (as_set(1, 2),)),
        (
            (*sequence((64512, 64600)), as_set(1, 2)),
            64512,
            None,
            0,
            (*sequence((64600,)), as_set(1, 2)),
        ),
        (
            (*sequence((64512, 64601)), as_set(1, 2)),
            64600,
            CONFEDERATION,
            1,
            (*sequence((65000, 65000, 64601)), as_set(1, 2)),
        ),
        # Where none of ours leads the path, only what is prepended does.
        ((), 64600, None, 2, sequence((64512, 64512))),
        ((as_set(1, 2),), 64600, None, 2, (*sequence((64512, 64512)), as_set(1, 2))),
        (sequence((64601,)), 64600, None, 1, sequence((64512, 64601))),
    ],
)
def test_only_our_own_asns_at_the_head_of_a_path_are_taken_off(
    path: ASPath, peer_asn: int, confederation: Confederation | None, prepend: int, found: ASPath
) -> None:
    route = Route(PathAttributes(as_path=path), PEER)
    policy = ExportPolicy(prepend=prepend)
    to = session(peer_asn, confederation)
    assert export(route, IPV4_UNICAST, to, policy).attributes.as_path == found


LINK_LOCAL = PeerSettings(ip_address("fe80::9"))
OURS, THEIRS = "fe80::1", "fe80::9"
OTHER4, OTHER6 = ip_address("192.0.2.9"), IPv6Address("2001:db8::9")


@pytest.mark.parametrize(
    ("peer", "addresses", "ipv6_next_hops", "hops"),
    [
        (LINK_LOCAL, (OURS, THEIRS), True, (IPv6Address(OURS), IPv6Address(OURS))),
        # Without RFC 8950 there is no next hop of IPv4 prefixes.
        (LINK_LOCAL, (OURS, THEIRS), False, (None, IPv6Address(OURS))),
        # What the peer's settings say comes first.
        (
            replace(LINK_LOCAL, export=ExportPolicy(OTHER4, OTHER6)),
            (OURS, THEIRS),
            True,
            (OTHER4, OTHER6),
        ),
        (LINK_LOCAL, None, True, (None, None)),
        (LINK_LOCAL, ("2001:db8::1", THEIRS), True, (None, None)),
        (LINK_LOCAL, ("10.0.0.1", THEIRS), True, (None, None)),
        (LINK_LOCAL, ("169.254.0.1", THEIRS), True, (None, None)),
        (PeerSettings(PEER), (OURS, THEIRS), True, (None, None)),
    ],
)
def test_on_a_link_without_other_addresses_the_next_hop_is_ours_on_that_link(
    peer: PeerSettings,
    addresses: tuple[str, str] | None,
    ipv6_next_hops: bool,
    hops: tuple[object, object],
) -> None:
    """RFC 8950 section 3, RFC 2545 section 3."""
    to = replace(session(64600), ipv6_next_hops=ipv6_next_hops)
    policy = policy_in_session(peer, to, addresses)
    assert (policy.next_hop_ipv4, policy.next_hop_ipv6) == hops


def test_our_next_hops_in_a_session_are_those_of_routes_and_of_the_policy() -> None:
    assert next_hops_in_session(NO_POLICY, (PEER,)) == {PEER}
    policy = ExportPolicy(OTHER4, OTHER6)
    assert next_hops_in_session(policy, (PEER,)) == {PEER, OTHER4, OTHER6}
