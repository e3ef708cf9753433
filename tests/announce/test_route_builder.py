"""What services want announced, as routes."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any

from pybal.announce.route_builder import RouteBuilder
from pybal.bgp.advertisement import Advertisement
from pybal.bgp.constants import Origin
from pybal.bgp.director_mark import mark
from pybal.bgp.extended_community import link_bandwidth
from pybal.bgp.prefix import Prefix
from pybal.bgp.rib import Route
from pybal.bgp.settings import FailoverSettings, PeerSettings, SpeakerSettings
from tests.bgp.prefixes import prefix_of

VIP, VIP6 = IPv4Address("192.0.2.1"), IPv6Address("2001:db8::1")
HOP, HOP6 = IPv4Address("10.0.0.1"), IPv6Address("2001:db8:f::1")
TARGET = bytes.fromhex("0002fc5800000001")
SPEAKER = SpeakerSettings(local_asn=64600, router_id=HOP, peers=(), listen_addresses=())
SETTINGS = FailoverSettings(
    SPEAKER,
    (64600, 64600),
    next_hop_ipv4=HOP,
    next_hop_ipv6=HOP6,
    med=7,
    local_pref=150,
    communities=(1,),
    large_communities=((1, 2, 3),),
    extended_communities=(TARGET,),
)


class Errors:
    """Takes the log's errors."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def error(self, text: str, **values: Any) -> None:
        self.texts.append(text.format(**values))


def builder(settings: FailoverSettings = SETTINGS) -> RouteBuilder:
    return RouteBuilder(settings, Errors())


def built(wish: Advertisement, settings: FailoverSettings = SETTINGS) -> Route:
    [route] = builder(settings).routes([wish]).values()
    return route


def test_what_a_wish_does_not_say_is_as_the_settings_say() -> None:
    route = built(Advertisement(VIP))
    found = route.attributes
    assert route.next_hop == HOP
    assert (found.origin, found.med, found.local_pref) == (Origin.IGP, 7, 150)
    assert [asn for segment in found.as_path or () for asn in segment.asns] == [64600, 64600]
    assert (found.communities, found.large_communities) == ((1,), ((1, 2, 3),))
    assert found.extended_communities == (TARGET,)


def test_a_wish_goes_before_the_settings_even_if_it_is_nothing() -> None:
    none: Any = {"communities": (), "large_communities": (), "extended_communities": ()}
    found = built(Advertisement(VIP6, med=0, **none))
    assert found.next_hop == HOP6
    assert found.attributes.med == 0
    assert (found.attributes.communities, found.attributes.large_communities) == ((), ())
    assert found.attributes.extended_communities == ()


def test_a_link_bandwidth_goes_with_the_other_extended_communities() -> None:
    found = built(Advertisement(VIP, link_bandwidth=1e6)).attributes
    assert found.extended_communities == (TARGET, link_bandwidth(64600, 1e6))


def test_a_director_that_listens_to_others_marks_its_routes() -> None:
    listening = replace(
        SETTINGS, speaker=replace(SPEAKER, peers=(PeerSettings(HOP, imports=True),))
    )
    found = built(Advertisement(VIP), listening).attributes
    assert found.large_communities == ((1, 2, 3), mark(64600, HOP))


def test_without_a_next_hop_an_address_is_left_out_and_told_of() -> None:
    errors = Errors()
    routes = RouteBuilder(replace(SETTINGS, next_hop_ipv6=None), errors)
    assert list(routes.routes([Advertisement(VIP6), Advertisement(VIP)])) == [Prefix.host(VIP)]
    assert errors.texts == ["No next hop for 2001:db8::1/128: it is not announced"]


def test_of_one_prefix_the_first_wish_counts_and_equal_wishes_share_a_route() -> None:
    network = ip_network("192.0.2.0/24")
    first = Advertisement(VIP, aggregate=network)
    found = builder().routes(
        [first, Advertisement(VIP + 1, med=1, aggregate=network), Advertisement(VIP + 2)]
    )
    assert found[prefix_of("192.0.2.0/24")] is found[Prefix.host(VIP)]
    assert found[Prefix.host(VIP + 2)] is found[Prefix.host(VIP)]
    assert found[Prefix.host(VIP + 1)].attributes.med == 1


def test_routes_of_former_bandwidths_are_forgotten_and_those_in_use_are_not() -> None:
    routes = builder()
    used = routes.routes([Advertisement(VIP)])
    former = routes.routes([Advertisement(VIP, med=9)])
    for number in range(100):
        routes.forget_unused([used])
        [still] = routes.routes([Advertisement(VIP, med=9)]).values()
        assert still is former[Prefix.host(VIP)]
        routes.routes([Advertisement(VIP, link_bandwidth=1e6 * number)])
    routes.routes([Advertisement(VIP, med=10)])
    routes.forget_unused([used])
    [anew] = routes.routes([Advertisement(VIP, med=9)]).values()
    assert anew is not former[Prefix.host(VIP)]
    assert routes.routes([Advertisement(VIP)])[Prefix.host(VIP)] is used[Prefix.host(VIP)]
