"""What routers say of our own addresses: bounded, compared, shown, and told at a stop."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest

from pybal.bgp.adj_rib_in import MAX_COVERING, AdjRIBIn, HeardRoute
from pybal.bgp.advertisement import Advertisement
from pybal.bgp.as_path import sequence
from pybal.bgp.constants import (
    GRACEFUL_SHUTDOWN_COMMUNITY,
    IPV4_UNICAST,
    IPV6_UNICAST,
    SUPPORTED_FAMILIES,
    ErrorCode,
    Family,
    Origin,
    RefreshSubtype,
)
from pybal.bgp.director_mark import mark
from pybal.bgp.messages import (
    MPReach,
    MPUnreach,
    Notification,
    PathAttributes,
    RouteRefresh,
    Update,
)
from pybal.bgp.negotiation import negotiate
from pybal.bgp.own_addresses import OwnAddresses, prefix_covers
from pybal.bgp.prefix import Prefix
from pybal.bgp.settings import PeerSettings
from pybal.bgp.snapshot import OwnAddress
from tests.bgp.peeringcase import (
    CAPABILITIES,
    OPEN,
    THEM,
    VIP,
    VIP6,
    PeeringCase,
    notifications,
    updates,
)
from tests.bgp.prefixes import prefix_of

HOST = Prefix.host(VIP)
OTHER = IPv4Address("10.0.0.2")  # another director


def said(prefix: Prefix = HOST, *asns: int, hop: IPv4Address = OTHER, **attributes: Any) -> Update:
    attributes.setdefault("origin", Origin.IGP)
    path = sequence(asns or (64600, 64513))
    return Update(
        attributes=PathAttributes(as_path=path, **attributes), next_hop=hop, prefixes=(prefix,)
    )


class TestOwnAddresses:
    own = OwnAddresses(map(ip_address, ("192.0.2.1", "192.0.2.200", "2001:db8::1")))

    @pytest.mark.parametrize(
        ("prefix", "concerns"),
        [
            ("192.0.2.1/32", True),
            ("192.0.2.2/32", False),
            ("192.0.2.0/24", True),
            ("192.0.2.0/31", True),
            ("192.0.2.2/31", False),
            ("192.0.2.192/26", True),
            ("192.0.2.128/26", False),
            ("192.0.3.0/24", False),
            ("128.0.0.0/1", True),
            ("0.0.0.0/1", False),
            ("0.0.0.0/0", False),  # a default route is about nobody
            ("2001:db8::/32", True),
            ("2001:db8::1/128", True),
            ("2001:db8::2/127", False),
            ("::/0", False),
        ],
    )
    def test_what_concerns_them(self, prefix: str, concerns: bool) -> None:
        assert self.own.concern(prefix_of(prefix)) is concerns


def test_a_prefix_covers_addresses_of_its_own_family_alone() -> None:
    prefix = prefix_of("192.0.2.0/24")
    assert prefix_covers(prefix, ip_address("192.0.2.9").packed)
    assert not prefix_covers(prefix, ip_address("c000:200::").packed)


def test_a_route_is_nobodys_reflection_unless_it_says_so() -> None:
    table = rib()
    table.take(said(HOST))
    assert (table.routes[HOST].reflected, table.version > 0) == (False, True)
    assert HeardRoute(None, Origin.IGP, (), 0).reflected is False


def rib(
    *own: str,
    ours: tuple[str, ...] = ("10.0.0.1",),
    families: tuple[Family, ...] = SUPPORTED_FAMILIES,
) -> AdjRIBIn:
    theirs = replace(OPEN, capabilities=replace(CAPABILITIES, families=families))
    session = negotiate(replace(OPEN, asn=64512), theirs)
    addresses = map(ip_address, own or ("192.0.2.1",))
    return AdjRIBIn(session, OwnAddresses(addresses), frozenset(map(ip_address, ours)))


class TestAdjRIBIn:
    def test_of_a_full_table_only_what_concerns_us_stays(self) -> None:
        table = rib("192.0.2.1", "192.0.2.2")
        for block in range(256):
            prefixes = tuple(Prefix(24, bytes((20, block, third, 0))) for third in range(100))
            table.take(replace(said(), prefixes=prefixes))
        table.take(said(prefix_of("192.0.2.1/32")))
        assert list(table.routes) == [HOST]
        assert (table.not_kept, table.covering) == (0, set())

    def test_prefixes_around_an_address_are_bounded_and_forgotten_ones_make_room(self) -> None:
        addresses = [f"10.{i}.0.1" for i in range(200)]
        table = rib(*addresses)
        around = [Prefix(24, bytes((10, i, 0, 0))) for i in range(200)]
        for prefix in around:
            table.take(said(prefix))
        assert len(table.routes) == MAX_COVERING == 64
        assert table.not_kept == 200 - 64
        table.take(Update(withdrawn=tuple(around[:10])))
        table.take(said(around[-1]))
        assert around[-1] in table.routes
        assert len(table.routes) == MAX_COVERING - 9

    @pytest.mark.parametrize("family", SUPPORTED_FAMILIES)
    def test_what_comes_of_a_family_that_was_not_negotiated_does_not_count(
        self, family: Family
    ) -> None:
        table = rib("192.0.2.1", "2001:db8::1", families=(family,))
        table.take(said(HOST))
        reach = MPReach(IPV6_UNICAST, (IPv6Address("2001:db8:f::2"),), (Prefix.host(VIP6),))
        table.take(Update(attributes=said().attributes, mp_reach=reach))
        assert [prefix.family for prefix in table.routes] == [family]

    def test_a_route_is_small_however_long_its_attributes(self) -> None:
        table = rib()
        long = said(HOST, *range(1, 900), communities=tuple(range(1000)), hop=OTHER)
        table.take(long)
        route = table.routes[HOST]
        assert route.path_length == 899
        assert len(route.as_path) == len(route.communities) == 32

    def test_our_own_route_that_comes_back_is_no_others(self) -> None:
        table = rib()
        table.take(said())
        table.take(said(hop=IPv4Address("10.0.0.1")))
        assert not table.routes
        table.take(said(originator_id=OPEN.bgp_identifier))
        assert not table.routes
        table.take(said(large_communities=(mark(64512, OPEN.bgp_identifier),)))
        assert not table.routes

    def test_withdrawn_it_is_gone_and_ipv6_has_its_own_ways(self) -> None:
        table = rib("2001:db8::1")
        prefix = Prefix.host(VIP6)
        reach = MPReach(IPV6_UNICAST, (IPv6Address("2001:db8::2"),), (prefix,))
        table.take(Update(attributes=said().attributes, mp_reach=reach))
        assert table.routes[prefix].next_hop == IPv6Address("2001:db8::2")
        before = table.version
        table.take(Update(withdrawn=(prefix,)))
        assert not table.routes
        assert table.version > before

    def test_one_message_may_say_something_of_both_families(self) -> None:
        table = rib("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2")
        gone, gone6 = prefix_of("192.0.2.2/32"), prefix_of("2001:db8::2/128")
        host6 = Prefix.host(VIP6)
        for prefix in (gone, gone6):
            table.take(said(prefix))
        hop6 = IPv6Address("2001:db8::9")
        table.take(
            replace(
                said(),
                withdrawn=(gone,),
                mp_reach=MPReach(IPV6_UNICAST, (hop6,), (host6,)),
                mp_unreach=MPUnreach(IPV6_UNICAST, (gone6,)),
            )
        )
        assert table.routes.keys() == {HOST, host6}
        assert (table.routes[HOST].next_hop, table.routes[host6].next_hop) == (OTHER, hop6)

    def test_what_is_not_said_again_between_the_markers_is_no_more(self) -> None:
        table = rib("192.0.2.1", "192.0.2.2")
        second = prefix_of("192.0.2.2/32")
        table.take(said())
        table.take(said(second))
        table.marker(IPV4_UNICAST, RefreshSubtype.BEGIN)
        table.take(said(second))
        table.marker(IPV4_UNICAST, RefreshSubtype.END)
        assert list(table.routes) == [second]

    def test_other_addresses_drop_and_ask(self) -> None:
        table = rib()
        table.take(said())
        assert table.set_own(OwnAddresses([ip_address("192.0.2.9"), VIP6])) == (
            IPV4_UNICAST,
            IPV6_UNICAST,
        )
        assert not table.routes
        assert table.set_own(OwnAddresses([VIP6])) == ()

    def test_routes_around_other_addresses_than_ours_take_no_room_and_are_a_change(self) -> None:
        table = rib()
        for length in (24, 23):
            table.take(said(prefix_of(f"192.0.2.0/{length}")))
        before = table.version
        table.set_own(OwnAddresses([ip_address("192.0.3.1")]))
        assert table.covering == set(table.routes) == {prefix_of("192.0.2.0/23")}
        assert table.version > before


class ImportCase(PeeringCase):
    """A router that is listened to, and a service on VIP."""

    peer_settings = PeerSettings(ip_address(THEM), hold_time_s=90, imports=True)

    def setUp(self) -> None:
        super().setUp()
        self.bgp = self.failover(self.peer_settings)
        self.bgp.set_own("web", VIP)
        self.bgp.set_announced("web", (Advertisement(VIP, med=100),))
        self.end = self.establish()

    def own(self) -> OwnAddress:
        [own] = self.bgp.snapshot().own
        return own

    def say(self, *messages: Any) -> None:
        self.end.say(*messages)
        self.turn()

    def warnings_of_a_stop(self) -> list[str]:
        before = len(self.logged("warn"))
        self.bgp.stop("test")
        self.turn(10)
        return self.logged("warn")[before:]


class TestImport(ImportCase):
    def test_a_router_that_says_nothing_has_only_us(self) -> None:
        own = self.own()
        assert (own.address, own.announced, own.preferred, own.others) == (
            "192.0.2.1", True, "us", ()
        )  # fmt: skip

    def test_the_standby_sees_who_is_preferred_and_why(self) -> None:
        self.say(said(HOST, 64600, 64512, med=0, communities=(64600 << 16 | 7,)))
        own = self.own()
        assert own.preferred == "others"
        [route] = own.others
        assert (route.peer, route.med, route.as_path, route.path_length) == (
            THEM, 0, (64600, 64512), 2
        )  # fmt: skip
        assert (route.next_hop, route.communities) == ("10.0.0.2", ("64600:7",))
        assert self.peer().heard == 1

    def test_a_med_that_is_not_said_is_the_lowest(self) -> None:
        self.say(said(HOST, 64600, 64512))
        assert self.own().preferred == "others"

    def test_equal_routes_are_preferred_alike(self) -> None:
        self.say(said(HOST, 64600, 64512, med=100))
        assert self.own().preferred == "alike"
        assert not self.own().shared

    def test_between_different_ases_the_med_does_not_count(self) -> None:
        self.say(said(HOST, 64600, 64513, med=50))
        assert self.own().preferred == "alike"

    def test_a_router_that_passes_on_a_worse_route_prefers_it_all_the_same(self) -> None:
        self.say(said(HOST, 64600, 64513, 64514, med=500))
        assert self.own().preferred == "others"

    def test_another_director_that_is_our_peer_itself_is_compared(self) -> None:
        for med, wanted in ((0, "alike"), (200, "alike")):
            self.say(said(HOST, 64600, med=med))
            assert self.own().preferred == wanted, "of another AS: the MED does not count"
        self.say(said(HOST, 64600, 64600, 64600))
        assert self.own().preferred == "us"
        self.say(said(HOST, 64600, communities=(GRACEFUL_SHUTDOWN_COMMUNITY,)))
        assert self.own().preferred == "us"

    def test_the_origin_counts_before_the_med(self) -> None:
        self.say(said(HOST, 64600, 64512, med=0, origin=Origin.INCOMPLETE))
        # It is passed on although ours is better: the router has its reasons.
        assert self.own().preferred == "others"
        self.say(said(HOST, 64600, origin=Origin.INCOMPLETE))
        assert self.own().preferred == "us"

    def test_what_a_router_just_sends_back_with_its_own_next_hop_is_ours(self) -> None:
        echo = said(HOST, 64600, 64512, med=100, hop=IPv4Address(THEM))
        self.say(echo)
        assert (self.own().preferred, self.own().others) == ("us", ())
        assert len(self.warnings_of_a_stop()) == 1

    def test_the_mark_of_another_director_says_whose_it_is(self) -> None:
        marked = (mark(64512, OTHER),)
        hop = IPv4Address(THEM)
        self.say(said(HOST, 64600, 64512, med=100, hop=hop, large_communities=marked))
        assert self.own().preferred == "alike"

    def test_what_is_announced_bears_our_mark(self) -> None:
        [told] = [m for m in updates(self.end) if m.prefixes]
        assert told.attributes.large_communities == (mark(64512, IPv4Address("10.0.0.1")),)

    def test_a_prefix_around_the_address_is_shown_and_is_not_preferred(self) -> None:
        self.say(said(prefix_of("192.0.2.0/24"), 64600, 64513))
        assert self.own().preferred == "us"
        assert self.own().others[0].prefix == "192.0.2.0/24"

    def test_a_session_that_ends_takes_with_it_what_was_heard(self) -> None:
        self.say(said())
        self.say(Notification(ErrorCode.CEASE, 0))
        assert self.own().preferred is None
        assert self.own().others == ()

    def test_an_address_more_is_asked_for(self) -> None:
        before = len(self.end.heard)
        self.bgp.set_own("dns", ip_address("192.0.2.53"))
        self.turn()
        asked = [m for m in self.end.heard[before:] if isinstance(m, RouteRefresh)]
        assert asked == [RouteRefresh(IPV4_UNICAST)]
        self.say(said(prefix_of("192.0.2.53/32")))
        assert [own.preferred for own in self.bgp.snapshot().own] == ["us", "others"]

    def test_switched_on_by_a_reload_over_the_same_session(self) -> None:
        off = replace(self.peer_settings, imports=False)
        self.reconfigure(self.settings(off))
        self.say(said())
        assert self.bgp.snapshot().own == ()
        before = len(self.end.heard)
        self.reconfigure(self.settings(self.peer_settings))
        assert RouteRefresh(IPV4_UNICAST) in self.end.heard[before:]
        self.say(said())
        assert self.own().preferred == "alike"
        assert self.peer().sessions_lost == 0

    def test_that_it_is_meant_is_seen_though_others_looked_amid_the_reload(self) -> None:
        """Peers hear of their settings only once those that have gone have ended."""
        self.say(said(HOST, 64600, 64512, med=100))
        assert not self.own().shared
        [peering] = self.bgp.peerings
        peering.adjust(replace(self.peer_settings, shares=True))
        assert self.own().shared


class TestStop(ImportCase):
    def test_a_stop_warns_if_nobody_else_announces_the_address(self) -> None:
        [line] = self.warnings_of_a_stop()
        assert "Nobody else announces 192.0.2.1" in line

    def test_a_stop_is_quiet_if_somebody_does(self) -> None:
        self.say(said(med=0))
        assert self.warnings_of_a_stop() == []

    def test_a_router_that_says_so_once_ours_is_withdrawn_is_waited_for(self) -> None:
        stopping = self.bgp.stop("test")
        self.turn(0.3)
        assert notifications(self.end) == []
        self.say(said(med=200))
        self.turn(10)
        self.successResultOf(stopping)
        assert self.logged("warn") == []

    def test_one_that_is_leaving_itself_takes_nothing_over(self) -> None:
        self.say(said(communities=(GRACEFUL_SHUTDOWN_COMMUNITY,)))
        assert len(self.warnings_of_a_stop()) == 1

    def test_without_anything_announced_nothing_is_missed(self) -> None:
        self.bgp.set_announced("web", None)
        self.turn()
        assert self.warnings_of_a_stop() == []


class TestWithoutImport(ImportCase):
    peer_settings = PeerSettings(ip_address(THEM), hold_time_s=90)

    def test_nothing_is_kept_and_a_stop_does_not_wait(self) -> None:
        self.say(said())
        assert self.bgp.snapshot().own == ()
        assert self.peer().heard is None
        assert self.warnings_of_a_stop() == []
