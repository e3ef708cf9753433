"""UPDATE, the sending side: RFC 4271 section 4.3, RFC 4760, RFC 6793, RFC 7606 5.1. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

from pybal.bgp.as_path import encode_as_path, needs_as4_path, without_confederation
from pybal.bgp.attributes import MP_FLAGS, RULES, Scope, encode_attribute
from pybal.bgp.constants import AS_TRANS, AttributeType
from pybal.bgp.messages import Aggregator, MPReach, MPUnreach, PathAttributes, Update
from pybal.bgp.nlri import encode_prefixes


def encode_update(update: Update, scope: Scope) -> bytes:
    """The body of an UPDATE. MP attributes come first (RFC 7606 section 5.1)."""
    attributes = b""
    if update.mp_unreach is not None:
        attributes += encode_mp_unreach(update.mp_unreach)
    if update.mp_reach is not None:
        attributes += encode_mp_reach(update.mp_reach)
    next_hop = update.next_hop.packed if update.next_hop is not None else None
    attributes += encode_attributes(update.attributes, next_hop, scope)
    withdrawn = encode_prefixes(update.withdrawn)
    return b"".join(
        (
            len(withdrawn).to_bytes(2, "big"),
            withdrawn,
            len(attributes).to_bytes(2, "big"),
            attributes,
            encode_prefixes(update.prefixes),
        )
    )


def encode_mp_reach(reach: MPReach) -> bytes:
    """The whole attribute (RFC 4760 section 3)."""
    next_hops = b"".join(address.packed for address in reach.next_hops)
    value = struct.pack("!HBB", reach.family.afi, reach.family.safi, len(next_hops))
    value += next_hops + b"\0" + encode_prefixes(reach.prefixes)
    return encode_attribute(AttributeType.MP_REACH_NLRI, MP_FLAGS, value)


def encode_mp_unreach(unreach: MPUnreach) -> bytes:
    """The whole attribute (RFC 4760 section 4)."""
    value = struct.pack("!HB", unreach.family.afi, unreach.family.safi)
    value += encode_prefixes(unreach.prefixes)
    return encode_attribute(AttributeType.MP_UNREACH_NLRI, MP_FLAGS, value)


def encode_attributes(attributes: PathAttributes, next_hop: bytes | None, scope: Scope) -> bytes:
    """All attributes but the MP ones, in the order of their codes."""
    items: list[tuple[int, bytes]] = [
        (code, encode_attribute(code, RULES[code].flags, value))
        for code, value in _values(attributes, next_hop, scope)
    ]
    items += [(u.code, encode_attribute(u.code, u.flags, u.value)) for u in attributes.unknown]
    return b"".join(encoded for _, encoded in sorted(items, key=lambda item: item[0]))


def _values(
    a: PathAttributes, next_hop: bytes | None, scope: Scope
) -> Iterator[tuple[AttributeType, bytes]]:
    kind = AttributeType
    if a.origin is not None:
        yield kind.ORIGIN, bytes((a.origin,))
    if a.as_path is not None:
        yield kind.AS_PATH, encode_as_path(a.as_path, four_octet=scope.four_octet_asn)
        if not scope.four_octet_asn and needs_as4_path(a.as_path):
            true_path = without_confederation(a.as_path)
            yield kind.AS4_PATH, encode_as_path(true_path, four_octet=True)
    if next_hop is not None:
        yield kind.NEXT_HOP, next_hop
    for code, number in ((kind.MULTI_EXIT_DISC, a.med), (kind.LOCAL_PREF, a.local_pref)):
        if number is not None:
            yield code, number.to_bytes(4, "big")
    if a.atomic_aggregate:
        yield kind.ATOMIC_AGGREGATE, b""
    if a.aggregator is not None:
        yield from _aggregator(a.aggregator, scope)
    if a.originator_id is not None:
        yield kind.ORIGINATOR_ID, a.originator_id.packed
    if a.only_to_customer is not None:
        yield kind.ONLY_TO_CUSTOMER, a.only_to_customer.to_bytes(4, "big")
    yield from _lists(a)


def _aggregator(aggregator: Aggregator, scope: Scope) -> Iterator[tuple[AttributeType, bytes]]:
    true_value = struct.pack("!I", aggregator.asn) + aggregator.address.packed
    if scope.four_octet_asn:
        yield AttributeType.AGGREGATOR, true_value
    elif aggregator.asn <= 0xFFFF:
        yield AttributeType.AGGREGATOR, true_value[2:]
    else:
        short = replace(aggregator, asn=AS_TRANS)
        yield AttributeType.AGGREGATOR, struct.pack("!H", short.asn) + short.address.packed
        yield AttributeType.AS4_AGGREGATOR, true_value


def _lists(a: PathAttributes) -> Iterator[tuple[AttributeType, bytes]]:
    kind = AttributeType
    if a.communities:
        yield kind.COMMUNITIES, struct.pack(f"!{len(a.communities)}I", *a.communities)
    if a.cluster_list:
        yield kind.CLUSTER_LIST, b"".join(address.packed for address in a.cluster_list)
    if a.extended_communities:
        yield kind.EXTENDED_COMMUNITIES, b"".join(a.extended_communities)
    if a.large_communities:
        large = b"".join(struct.pack("!III", *community) for community in a.large_communities)
        yield kind.LARGE_COMMUNITIES, large
