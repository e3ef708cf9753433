"""UPDATE errors by RFC 7606, each row of the attribute table; RFC 6793 towards 2-octet peers."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from pybal.bgp.as_path import merge_as4_path, sequence
from pybal.bgp.attributes import RULES, Scope, Severity, encode_attribute
from pybal.bgp.constants import IPV4_UNICAST, IPV6_UNICAST, Family, Origin, SegmentType
from pybal.bgp.errors import NotificationError
from pybal.bgp.messages import (
    Aggregator,
    MPReach,
    MPUnreach,
    PathAttributes,
    Segment,
    Update,
)
from pybal.bgp.update import DecodedUpdate, decode_update
from pybal.bgp.update_encoding import encode_update
from tests.bgp.prefixes import prefix_of

EXTERNAL, INTERNAL = Scope(), Scope(internal=True)
MEMBER = Scope(same_confederation=True)
TWO_OCTET = Scope(four_octet_asn=False)
ORIGIN = "40010100"
AS_PATH = "4002060201" + "0000fbff"
AS_PATH_2 = "4002040201fbff"
NEXT_HOP = "4003040a000001"
GOOD = ORIGIN + AS_PATH + NEXT_HOP
NLRI = "20c0000201"
PREFIX = prefix_of("192.0.2.1/32")
PREFIX6 = prefix_of("2001:db8::1/128")
REACH6 = (
    "800e26"
    + "000201"
    + "10"
    + IPv6Address("2001:db8::9").packed.hex()
    + "00"
    + ("80" + PREFIX6.octets.hex())
)


def body(attributes: str, nlri: str = NLRI, withdrawn: str = "") -> bytes:
    parts = [bytes.fromhex(part) for part in (withdrawn, attributes, nlri)]
    return (
        len(parts[0]).to_bytes(2, "big")
        + parts[0]
        + len(parts[1]).to_bytes(2, "big")
        + parts[1]
        + parts[2]
    )


def decode(attributes: str, nlri: str = NLRI, scope: Scope = EXTERNAL) -> DecodedUpdate:
    return decode_update(body(attributes, nlri), scope)


def test_a_plain_announcement_is_understood() -> None:
    decoded = decode(GOOD)
    attributes = PathAttributes(origin=Origin.IGP, as_path=sequence((64511,)))
    assert decoded == DecodedUpdate(
        Update(attributes=attributes, next_hop=IPv4Address("10.0.0.1"), prefixes=(PREFIX,))
    )


def test_bits_beyond_the_prefix_length_do_not_matter() -> None:
    decoded = decode(GOOD, "19c00002ff")
    assert [str(prefix) for prefix in decoded.update.prefixes] == ["192.0.2.128/25"]


WITHDRAW = {
    "ORIGIN of 2 bytes (7.1)": "4001020000" + AS_PATH + NEXT_HOP,
    "ORIGIN 3 (7.1)": "40010103" + AS_PATH + NEXT_HOP,
    "AS_PATH segment type 5 (7.2)": ORIGIN + "40020605010000fbff" + NEXT_HOP,
    "AS_PATH overrun (7.2)": ORIGIN + "40020602020000fbff" + NEXT_HOP,
    "AS_PATH underrun (7.2)": ORIGIN + "40020702010000fbff02" + NEXT_HOP,
    "AS_PATH segment of none (7.2)": ORIGIN + "4002020200" + NEXT_HOP,
    "AS_PATH with ASN 0 (RFC 7607)": ORIGIN + "400206020100000000" + NEXT_HOP,
    "NEXT_HOP of 3 bytes (7.3)": ORIGIN + AS_PATH + "4003030a0000",
    "MED of 3 bytes (7.4)": GOOD + "800403000000",
    "COMMUNITIES of 3 bytes (7.8)": GOOD + "c00803000000",
    "COMMUNITIES of none (7.8)": GOOD + "c00800",
    "EXTENDED of 7 bytes (7.14)": GOOD + "c01007" + "00" * 7,
    "LARGE of 11 bytes (RFC 8092)": GOOD + "c0200b" + "00" * 11,
    "ORIGIN flagged optional (3 c)": "c0010100" + AS_PATH + NEXT_HOP,
    "MED flagged transitive (3 c)": GOOD + "c0040400000000",
    "COMMUNITIES flagged well-known (3 c)": GOOD + "40080400000000",
    "ORIGIN missing (3 d)": AS_PATH + NEXT_HOP,
    "AS_PATH missing (3 d)": ORIGIN + NEXT_HOP,
    "NEXT_HOP missing (3 d)": ORIGIN + AS_PATH,
    "attribute overruns the list (4)": GOOD + "c00808000000",
    "attribute overruns the list by a whole community (4)": GOOD + "c0080800010002",
    "attribute overruns the list by an octet (4)": GOOD + "c0080500010002",
    "extended length overruns the list (4)": GOOD + "d008010800010002",
    "COMMUNITIES of 258 bytes (7.8)": GOOD + "d0080102" + "00" * 258,
    "attribute header cut short (4)": GOOD + "c0",
    "extended length cut short (4)": GOOD + "d00800",
}


@pytest.mark.parametrize("attributes", WITHDRAW.values(), ids=WITHDRAW)
def test_treat_as_withdraw(attributes: str) -> None:
    decoded = decode(attributes)
    assert decoded.severity is Severity.TREAT_AS_WITHDRAW
    assert decoded.update == Update(withdrawn=(PREFIX,))


INTERNAL_WITHDRAW = {
    "LOCAL_PREF of 3 bytes (7.5)": "400503000000",
    "LOCAL_PREF missing (3 d)": "",
    "ORIGINATOR_ID of 5 bytes (7.9)": "40050400000064" + "8009050000000000",
    "CLUSTER_LIST of 6 bytes (7.10)": "40050400000064" + "800a06000000000000",
    "CLUSTER_LIST of none (7.10)": "40050400000064" + "800a00",
}


@pytest.mark.parametrize("added", INTERNAL_WITHDRAW.values(), ids=INTERNAL_WITHDRAW)
def test_treat_as_withdraw_from_an_internal_peer(added: str) -> None:
    decoded = decode(GOOD + added, scope=INTERNAL)
    assert decoded.severity is Severity.TREAT_AS_WITHDRAW
    assert decoded.update == Update(withdrawn=(PREFIX,))


DISCARD = {
    "LOCAL_PREF from outside (7.5)": "40050400000064",
    "ATOMIC_AGGREGATE of 1 byte (7.6)": "40060100",
    "AGGREGATOR of 6 bytes (7.7)": "c00706fbff0a000001",
    "AGGREGATOR with ASN 0 (RFC 7607)": "c00708000000000a000001",
    "ORIGINATOR_ID from outside (7.9)": "8009040a000001",
    "CLUSTER_LIST from outside (7.10)": "800a040a000001",
    "AS4_PATH malformed (RFC 6793)": "c0110402010000",
    "AS4_AGGREGATOR of 6 bytes (RFC 6793)": "c01206000000000000",
    "MED twice (3 g)": "80040400000000" + "80040400000001",
}


@pytest.mark.parametrize("added", DISCARD.values(), ids=DISCARD)
def test_attribute_discard_keeps_the_route(added: str) -> None:
    decoded = decode(GOOD + added)
    assert decoded.severity is Severity.ATTRIBUTE_DISCARD
    assert decoded.update.prefixes == (PREFIX,)
    assert decoded.update.attributes.local_pref is None
    assert decoded.update.attributes.med in (None, 0)


WIDE = "50630102" + "07" * 258
WIDE_REACH = "900e0102" + "00020105" + "00" * 254

RESET: dict[str, tuple[bytes, tuple[int, bytes | None]]] = {
    "withdrawn overrun (4271 6.3)": (b"\0\5\x20\0\0", (1, b"")),
    "attributes overrun (4271 6.3)": (b"\0\0\0\5\x40", (1, b"")),
    "NLRI of length 33 (5.3)": (body(GOOD, "210a00000100"), (10, b"")),
    "NLRI cut short (5.3)": (body(GOOD, "200a0000"), (10, b"")),
    "withdrawn of length 33 (3 i)": (body("", "", "210a00000100"), (10, b"")),
    "MP_REACH twice (3 g)": (body(ORIGIN + AS_PATH + REACH6 + REACH6, ""), (1, b"")),
    "MP_UNREACH twice (3 g)": (body("800f03000201" * 2, ""), (1, b"")),
    "MP_REACH next hop of 5 (7.11)": (body(GOOD + "800e0a00020105" + "00" * 6, ""), (9, None)),
    "MP_REACH IPv6 next hop of 4": (body(GOOD + "800e0900020104" + "00" * 5, ""), (9, None)),
    "MP_REACH cut short (7.11)": (body(GOOD + "800e0400020110", ""), (9, None)),
    "MP_REACH of 3 bytes (7.11)": (body(GOOD + "800e03000201", ""), (9, None)),
    "MP_REACH next hop longer than what is there (7.11)": (
        body(GOOD + "800e1400020110" + "00" * 16, ""),
        (9, None),
    ),
    "MP_REACH of two next hops where one is there (7.11)": (
        body(GOOD + "800e1500020120" + "00" * 17, ""),
        (9, None),
    ),
    "MP_UNREACH cut short (7.12)": (body("800f020002", ""), (9, None)),
    "MP_REACH NLRI of length 129 (4760 7)": (
        body(REACH6.replace("0080", "0081"), ""),
        (9, bytes.fromhex(REACH6.replace("0080", "0081"))),
    ),
    "MP_UNREACH NLRI cut short (4760 7)": (
        body("800f0500020120fd", ""),
        (9, bytes.fromhex("800f0500020120fd")),
    ),
    "MP_REACH flags": (
        body(ORIGIN + AS_PATH + "c0" + REACH6[2:], ""),
        (4, bytes.fromhex("c0" + REACH6[2:])),
    ),
    "MP_UNREACH flags": (body("c00f03000201", ""), (4, bytes.fromhex("c00f03000201"))),
    "well-known unknown (4271 6.3)": (body(GOOD + "40630101"), (2, bytes.fromhex("40630101"))),
    "well-known unknown, of 258 bytes": (body(GOOD + WIDE, ""), (2, bytes.fromhex(WIDE))),
    "well-known unknown, extended length of a short one": (
        body(GOOD + "5063000101"),
        (2, bytes.fromhex("5063000101")),
    ),
    "MP_REACH of 258 bytes, next hop of 5": (body(WIDE_REACH, ""), (9, bytes.fromhex(WIDE_REACH))),
    "error without reachable NLRI (5.2)": (body("40010103" + AS_PATH, ""), (1, b"")),
}


@pytest.mark.parametrize(("data", "wanted"), RESET.values(), ids=RESET)
def test_session_reset_only_where_the_rfc_says_so(
    data: bytes, wanted: tuple[int, bytes | None]
) -> None:
    with pytest.raises(NotificationError) as caught:
        decode_update(data, EXTERNAL)
    assert (caught.value.code, caught.value.subcode) == (3, wanted[0])
    if wanted[1] is not None:
        assert caught.value.data == wanted[1]


@pytest.mark.parametrize(
    ("reach", "reason"),
    [
        ("800e00", "cut short"),
        ("800e03000201", "cut short"),
        ("800e0400020110", "cut short"),
        ("800e0400020100", "cut short"),  # the reserved octet is missing
        ("800e1400020110" + "00" * 16, "cut short"),  # here, too
        ("800e1500020120" + "00" * 17, "cut short"),
        ("800e0a00020105" + "00" * 6, "next hop of 5 bytes"),
        ("800e0900020104" + "00" * 5, "next hop of 4 bytes"),
        ("800e0a00010105" + "00" * 6, "next hop of 5 bytes"),
        ("800e05" + "0002010000", "next hop of 0 bytes"),
    ],
)
def test_what_is_wrong_with_mp_reach_is_said(reach: str, reason: str) -> None:
    # The subcode is one for all: it would not tell which check has refused it.
    with pytest.raises(NotificationError, match=f"MP_REACH_NLRI: {reason}$"):
        decode(GOOD + reach, "")


def test_of_a_huge_attribute_a_notification_carries_what_it_can() -> None:
    # Extended messages (RFC 8654) carry it; a NOTIFICATION has 4096 octets at most.
    huge = "50631388" + "07" * 5000
    with pytest.raises(NotificationError) as caught:
        decode(GOOD + huge)
    assert caught.value.data == bytes.fromhex(huge)[:4000]


def test_that_a_length_was_extended_is_no_property_of_an_attribute() -> None:
    (unknown,) = decode(GOOD + "d063000101").update.attributes.unknown
    assert (unknown.flags, unknown.code, unknown.value) == (0xC0, 99, b"\1")


def test_an_extended_length_may_be_used_for_a_short_attribute() -> None:
    decoded = decode(GOOD + "d008000400010002")
    assert decoded.severity is Severity.NONE
    assert decoded.update.attributes.communities == (0x00010002,)


def test_ipv4_may_travel_in_mp_reach_with_an_ipv4_next_hop() -> None:
    decoded = decode(ORIGIN + AS_PATH + "800e0d000101040a000001" + "00" + "18c00002", "")
    assert decoded.severity is Severity.NONE
    assert decoded.update.mp_reach is not None
    assert decoded.update.mp_reach.next_hops == (IPv4Address("10.0.0.1"),)
    assert [str(prefix) for prefix in decoded.update.mp_reach.prefixes] == ["192.0.2.0/24"]


def test_what_overruns_is_named() -> None:
    with pytest.raises(NotificationError, match="withdrawn routes overrun"):
        decode_update(b"\0\5\x20\0\0", EXTERNAL)
    with pytest.raises(NotificationError, match="attributes overrun"):
        decode_update(b"\0\0\0\5\x40", EXTERNAL)


def test_an_mp_error_carries_the_attribute() -> None:
    with pytest.raises(NotificationError) as caught:
        decode("800f020002", "")
    assert caught.value.data == bytes.fromhex("800f020002")


def test_treat_as_withdraw_covers_every_prefix_of_the_message() -> None:
    decoded = decode_update(body(REACH6 + "40010103" + AS_PATH + NEXT_HOP, NLRI), EXTERNAL)
    assert decoded.update == Update(
        withdrawn=(PREFIX,), mp_unreach=MPUnreach(IPV6_UNICAST, (PREFIX6,))
    )


def test_an_unknown_optional_attribute_is_kept() -> None:
    decoded = decode(GOOD + "c0630101")
    assert decoded.faults == ()
    assert [(u.code, u.value) for u in decoded.update.attributes.unknown] == [(99, b"\1")]


def test_prefixes_of_an_unknown_family_are_not_parsed() -> None:
    reach = "800e0b" + "40004604" + "0a000001" + "00" + "ffff"
    assert decode(reach + ORIGIN + AS_PATH, "").update.mp_reach is not None


WHOLE: list[tuple[str, Scope, dict[str, object]]] = [
    ("80040400000007", EXTERNAL, {"med": 7}),
    ("40050400000064", INTERNAL, {"local_pref": 100}),
    ("400600", EXTERNAL, {"atomic_aggregate": True}),
    (
        "c007080000fbff0a000001",
        EXTERNAL,
        {"aggregator": Aggregator(64511, IPv4Address("10.0.0.1"))},
    ),
    ("c00706fbff0a000001", TWO_OCTET, {"aggregator": Aggregator(64511, IPv4Address("10.0.0.1"))}),
    ("c008080001000200010003", EXTERNAL, {"communities": (0x00010002, 0x00010003)}),
    ("8009040a000001", MEMBER, {"originator_id": IPv4Address("10.0.0.1")}),
    (
        "800a080a0000010a000002",
        MEMBER,
        {"cluster_list": (IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2"))},
    ),
    (
        "c01010" + "0002fbff00000001" + "0002fbff00000002",
        EXTERNAL,
        {
            "extended_communities": (
                bytes.fromhex("0002fbff00000001"),
                bytes.fromhex("0002fbff00000002"),
            )
        },
    ),
    (
        "c02018" + "000000010000000200000003" + "000000040000000500000006",
        EXTERNAL,
        {"large_communities": ((1, 2, 3), (4, 5, 6))},
    ),
    ("c023040000fbff", EXTERNAL, {"only_to_customer": 64511}),
]


@pytest.mark.parametrize(("added", "scope", "wanted"), WHOLE)
def test_each_attribute_of_its_size_is_understood(
    added: str, scope: Scope, wanted: dict[str, object]
) -> None:
    path = AS_PATH if scope.four_octet_asn else AS_PATH_2
    decoded = decode(ORIGIN + path + NEXT_HOP + added, scope=scope)
    assert decoded.faults == ()
    plain = PathAttributes(origin=Origin.IGP, as_path=sequence((64511,)))
    assert decoded.update.attributes == replace(plain, **wanted)  # type: ignore[arg-type]


def test_every_flag_of_the_table_is_enforced() -> None:
    assert len(RULES) == 15
    for code, rule in RULES.items():
        if rule.internal_only:
            continue
        wrong = encode_attribute(code, rule.flags ^ 0x80, bytes(4)).hex()
        severities = {fault.severity for fault in decode(wrong).faults if fault.code == code}
        assert rule.severity in severities, code


def test_end_of_rib_of_both_families() -> None:
    assert encode_update(Update(), EXTERNAL) == bytes(4)
    mp = Update(mp_unreach=MPUnreach(IPV6_UNICAST))
    assert encode_update(mp, EXTERNAL).hex() == "00000006" + "800f03000201"
    assert decode_update(bytes(4), EXTERNAL) == DecodedUpdate(Update())


def test_mp_attributes_come_first() -> None:
    reach = MPReach(IPV6_UNICAST, (IPv6Address("2001:db8::9"),), (PREFIX6,))
    attributes = PathAttributes(origin=Origin.IGP, as_path=sequence((64511,)))
    encoded = encode_update(Update(attributes=attributes, mp_reach=reach), EXTERNAL)
    assert encoded == body(REACH6 + ORIGIN + AS_PATH, "")


def test_ipv4_prefixes_travel_with_an_ipv6_next_hop() -> None:
    # RFC 8950 section 3.
    reach = MPReach(IPV4_UNICAST, (IPv6Address("2001:db8::9"),), (PREFIX,))
    attributes = PathAttributes(origin=Origin.IGP, as_path=())
    update = Update(attributes=attributes, mp_reach=reach)
    assert decode_update(encode_update(update, EXTERNAL), EXTERNAL).update == update


def test_a_2_octet_peer_sees_as_trans_and_as4_attributes() -> None:
    attributes = PathAttributes(
        origin=Origin.IGP,
        as_path=sequence((64511, 4200000001)),
        aggregator=Aggregator(4200000001, IPv4Address("10.0.0.1")),
    )
    encoded = encode_update(Update(attributes=attributes), TWO_OCTET).hex()
    assert "4002060202fbff5ba0" in encoded
    assert "c0110a02020000fbfffa56ea01" in encoded
    assert "c007065ba00a000001" in encoded
    assert "c01208fa56ea010a000001" in encoded


def test_small_asns_need_no_as4_attributes() -> None:
    attributes = PathAttributes(
        as_path=sequence((64511,)), aggregator=Aggregator(1, IPv4Address(1))
    )
    encoded = encode_update(Update(attributes=attributes), TWO_OCTET).hex()
    assert "c011" not in encoded
    assert "c012" not in encoded


def test_as4_path_completes_the_path() -> None:
    # RFC 6793 section 4.2.3: leading ASNs come from AS_PATH.
    path = sequence((1, 2, 23456, 23456))
    merged = merge_as4_path(path, sequence((100000, 200000)))
    assert [asn for segment in merged for asn in segment.asns] == [1, 2, 100000, 200000]


def test_a_longer_as4_path_is_ignored() -> None:
    path = sequence((23456,))
    assert merge_as4_path(path, sequence((1, 2))) == path


def test_an_as_set_counts_once_in_the_merge() -> None:
    path = (*sequence((1,)), Segment(SegmentType.AS_SET, (23456, 5)))
    merged = merge_as4_path(path, (Segment(SegmentType.AS_SET, (100000, 5)),))
    assert merged == (*sequence((1,)), Segment(SegmentType.AS_SET, (100000, 5)))


def test_an_aggregator_without_as_trans_voids_the_as4_attributes() -> None:
    attributes = (
        ORIGIN + "4002040201" + "5ba0" + NEXT_HOP + "c00706fbff0a000001"
        "c011060201000186a0" + "c01208000186a00a000002"
    )
    decoded = decode(attributes, scope=TWO_OCTET)
    assert decoded.update.attributes.as_path == sequence((23456,))
    assert decoded.update.attributes.aggregator == Aggregator(64511, IPv4Address("10.0.0.1"))


def test_one_of_the_two_aggregators_is_no_reason_to_look_for_the_other() -> None:
    as_trans = "c007065ba00a000001"
    only_as4 = decode(ORIGIN + AS_PATH_2 + NEXT_HOP + "c01208000186a00a000002", scope=TWO_OCTET)
    assert only_as4.update.attributes.aggregator is None
    only_2 = decode(ORIGIN + AS_PATH_2 + NEXT_HOP + as_trans, scope=TWO_OCTET)
    assert only_2.update.attributes.aggregator == Aggregator(23456, IPv4Address("10.0.0.1"))


def test_a_family_that_nobody_asked_for_may_come_with_a_next_hop_of_no_length() -> None:
    decoded = decode(GOOD + "800e05" + "0019410000")
    assert decoded.update.mp_reach == MPReach(Family(25, 65), (), ())
    decoded = decode(GOOD + "800f03" + "001941")
    assert decoded.update.mp_unreach == MPUnreach(Family(25, 65))


def test_duplicate_large_communities_are_dropped() -> None:
    large = "000000010000000200000003"
    decoded = decode(GOOD + "c02018" + large * 2)
    assert decoded.update.attributes.large_communities == ((1, 2, 3),)
