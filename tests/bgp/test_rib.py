"""Differences of routes, their packing into UPDATEs, refresh and End-of-RIB."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.bgp.adj_rib_out import AdjRIBOut, Outgoing
from pybal.bgp.as_path import sequence
from pybal.bgp.codec import encode
from pybal.bgp.constants import AFI_IPV6, IPV4_UNICAST, IPV6_UNICAST, Origin
from pybal.bgp.export import export
from pybal.bgp.messages import (
    Capabilities,
    ExtendedNextHop,
    Open,
    PathAttributes,
    RouteRefresh,
    Update,
)
from pybal.bgp.negotiation import Session, negotiate
from pybal.bgp.prefix import Prefix
from pybal.bgp.rib import Route, Routes, diff, pack
from pybal.bgp.settings import ExportPolicy
from tests.bgp.prefixes import prefix_of
from tests.bgp.strategies import prefixes

CAPABILITIES = Capabilities(
    families=(IPV4_UNICAST, IPV6_UNICAST), four_octet_asn=64512, route_refresh=True
)
LOCAL = Open(64512, 90, IPv4Address("10.0.0.1"), CAPABILITIES)


def session(peer_asn: int = 64513, **changes: object) -> Session:
    capabilities = replace(CAPABILITIES, four_octet_asn=peer_asn)
    peer = Open(peer_asn, 90, IPv4Address("10.0.0.2"), capabilities)
    return replace(negotiate(LOCAL, peer), **changes)  # type: ignore[arg-type]


def route(med: int = 0, next_hop: str = "10.0.0.1", asns: tuple[int, ...] = (64512,)) -> Route:
    attributes = PathAttributes(origin=Origin.IGP, as_path=sequence(asns), med=med)
    return Route(attributes, ip_address(next_hop))


V4, V6 = route(), route(next_hop="2001:db8::1")


def hosts4(count: int) -> list[Prefix]:
    return [Prefix.host(IPv4Address("192.0.2.0") + i) for i in range(count)]


def hosts6(count: int) -> list[Prefix]:
    return [Prefix.host(IPv6Address("2001:db8::") + i) for i in range(count)]


def pull_all(rib: AdjRIBOut) -> list[Outgoing]:
    messages = []
    while (message := rib.next_message()) is not None:
        messages.append(message)
    return messages


def apply(table: dict[Prefix, Route], update: Update) -> None:
    """What a peer makes of an UPDATE."""
    for prefix in (*update.withdrawn, *(update.mp_unreach.prefixes if update.mp_unreach else ())):
        table.pop(prefix, None)
    for prefix in update.prefixes:
        assert update.next_hop is not None
        table[prefix] = Route(update.attributes, update.next_hop)
    if update.mp_reach is not None:
        for prefix in update.mp_reach.prefixes:
            table[prefix] = Route(update.attributes, update.mp_reach.next_hops[0])


tables = st.tuples(
    st.dictionaries(prefixes(4), st.sampled_from((V4, route(5))), max_size=12),
    st.dictionaries(prefixes(16), st.sampled_from((V6, route(5, "2001:db8::2"))), max_size=12),
).map(lambda pair: pair[0] | pair[1])


@given(tables, tables, st.sampled_from((4096, 130)))
def test_applying_the_difference_gives_the_wanted_table(
    old: Routes, new: Routes, size: int
) -> None:
    negotiated = session(send_size=size)
    table = dict(old)
    for update in pack(diff(old, new), negotiated):
        assert len(encode(update, negotiated.scope, size)) <= size
        apply(table, update)
    assert table == new
    assert list(pack(diff(table, new), negotiated)) == []


@given(st.lists(tables, max_size=5), st.lists(st.integers(0, 4), max_size=5))
def test_wishes_that_change_while_being_said_end_in_the_last_one(
    wishes: list[Routes], pulls: list[int]
) -> None:
    rib = AdjRIBOut(session(send_size=130))
    table: dict[Prefix, Route] = {}
    rest = [*pulls, *([0] * len(wishes))]
    for wish, count in zip(wishes, rest, strict=False):
        rib.want(wish)
        for _ in range(count):
            message = rib.next_message()
            if isinstance(message, Update):
                apply(table, message)
    for message in pull_all(rib):
        assert isinstance(message, Update)
        apply(table, message)
    wanted = {
        p: export(r, p.family, session(), ExportPolicy())
        for p, r in (wishes[-1] if wishes else {}).items()
    }
    assert table == dict(rib.sent) == wanted


@pytest.mark.parametrize(("count", "sizes"), [(809, [4095]), (810, [4095, 55])])
def test_a_message_is_filled_to_the_negotiated_size(count: int, sizes: list[int]) -> None:
    # 23 bytes of frame, 27 of attributes, 5 for each prefix: 809 leave one byte unused.
    negotiated = session()
    updates = pack(diff({}, dict.fromkeys(hosts4(count), V4)), negotiated)
    assert [len(encode(update, negotiated.scope)) for update in updates] == sizes


@pytest.mark.parametrize("size", [4096, 65535])
@pytest.mark.slow
def test_no_message_could_take_one_prefix_more(size: int) -> None:
    negotiated = session(send_size=size)
    old = dict.fromkeys(hosts6(4000) + hosts4(14000), V4)
    new = dict.fromkeys(hosts4(14000), route(7)) | dict.fromkeys(hosts6(4000), V6)
    for before, after in (({}, new), (old, {})):
        encoded = [
            encode(update, negotiated.scope, size)
            for update in pack(diff(before, after), negotiated)
        ]
        assert sum(len(message) <= size - 17 for message in encoded) <= 2, "one last of a family"
        assert len(encoded) >= 2


def test_equal_routes_share_messages_even_as_different_objects() -> None:
    wanted = {prefix: route() for prefix in hosts4(100)}
    assert len(list(pack(diff({}, wanted), session()))) == 1


def test_withdrawals_come_before_announcements() -> None:
    old, new = hosts4(2)
    first, second = pack(diff({old: V4}, {new: V4}), session())
    assert (first.withdrawn, second.prefixes) == ((old,), (new,))


def test_what_a_peer_cannot_be_told_is_named_and_the_rest_is_said() -> None:
    rib = AdjRIBOut(session(families=(IPV4_UNICAST,)))
    [first, second], [six] = hosts4(2), hosts6(1)
    huge = PathAttributes(communities=tuple(range(1020)))
    rib.want({first: V6, second: V4, six: V6, prefix_of("10.0.0.0/8"): Route(huge, V4.next_hop)})
    assert set(rib.obstacles) == {first, six, prefix_of("10.0.0.0/8")}
    update, marker = pull_all(rib)
    assert isinstance(update, Update)
    assert update.prefixes == (second,)
    assert marker == Update()


def test_an_ipv6_next_hop_of_an_ipv4_prefix_needs_its_capability() -> None:
    capabilities = replace(
        CAPABILITIES, extended_next_hop=(ExtendedNextHop(IPV4_UNICAST, AFI_IPV6),)
    )
    local = replace(LOCAL, capabilities=capabilities)
    both = negotiate(local, Open(64513, 90, IPv4Address(2), capabilities))
    rib = AdjRIBOut(both)
    [prefix] = hosts4(1)
    rib.want({prefix: V6})
    update = rib.next_message()
    assert isinstance(update, Update)
    assert update.mp_reach is not None
    assert update.mp_reach.prefixes == (prefix,)


def test_end_of_rib_follows_the_first_routes_once_for_each_family() -> None:
    rib = AdjRIBOut(session())
    rib.want(dict.fromkeys(hosts4(1), V4))
    announced, *markers = pull_all(rib)
    assert isinstance(announced, Update)
    assert announced.prefixes
    assert [encode(m).hex()[38:] for m in markers] == ["00000000", "00000006800f03000201"]
    rib.want({})
    assert len(pull_all(rib)) == 1


def test_end_of_rib_can_be_held_back() -> None:
    rib = AdjRIBOut(session())
    rib.end_of_rib_held = True
    rib.want({})
    assert pull_all(rib) == []
    rib.end_of_rib_held = False
    assert len(pull_all(rib)) == 2


def test_a_refresh_says_all_of_one_family_again() -> None:
    rib = AdjRIBOut(session())
    rib.want(dict.fromkeys(hosts4(3), V4) | dict.fromkeys(hosts6(2), V6))
    pull_all(rib)
    rib.refresh(IPV6_UNICAST)
    [update] = pull_all(rib)
    assert isinstance(update, Update)
    assert update.mp_reach is not None
    assert list(update.mp_reach.prefixes) == hosts6(2)


def test_an_enhanced_refresh_is_framed_by_its_markers() -> None:
    rib = AdjRIBOut(session(enhanced_route_refresh=True))
    rib.want(dict.fromkeys(hosts4(3), V4))
    pull_all(rib)
    rib.refresh(IPV4_UNICAST)
    begin, _, end = pull_all(rib)
    assert (begin, end) == (RouteRefresh(IPV4_UNICAST, 1), RouteRefresh(IPV4_UNICAST, 2))


def test_before_end_of_rib_a_refresh_has_no_markers() -> None:
    # RFC 7313 section 4: none before End-of-RIB, as the peer may hold stale routes till then.
    rib = AdjRIBOut(session(enhanced_route_refresh=True))
    rib.end_of_rib_held = True
    rib.want(dict.fromkeys(hosts4(3), V4))
    pull_all(rib)
    rib.refresh(IPV4_UNICAST)
    assert [type(message) for message in pull_all(rib)] == [Update]


def test_a_refresh_of_an_unknown_family_is_ignored() -> None:
    rib = AdjRIBOut(session(families=(IPV4_UNICAST,)))
    pull_all(rib)
    rib.refresh(IPV6_UNICAST)
    assert pull_all(rib) == []


def test_a_route_that_goes_during_a_refresh_is_withdrawn_after_it() -> None:
    rib = AdjRIBOut(session(send_size=130))
    rib.want(dict.fromkeys(hosts4(60), V4))
    pull_all(rib)
    rib.refresh(IPV4_UNICAST)
    table: dict[Prefix, Route] = {}
    first = rib.next_message()
    assert isinstance(first, Update)
    apply(table, first)
    rib.want({})
    assert not rib.in_sync
    for message in pull_all(rib):
        assert isinstance(message, Update)
        apply(table, message)
    assert table == {}
    assert rib.in_sync
