"""One attribute on the wire: its header, and what is wrong with a value (RFC 4271 section 4.3)."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest

from pybal.bgp.attributes import RULES, Fault, Scope, Severity, decode_value, encode_attribute
from pybal.bgp.constants import AttributeType, Origin, SegmentType
from pybal.bgp.messages import Aggregator, Segment

INTERNAL, TWO_OCTETS = Scope(internal=True), Scope(four_octet_asn=False)
WITHDRAW, DISCARD = Severity.TREAT_AS_WITHDRAW, Severity.ATTRIBUTE_DISCARD
WELL_KNOWN, OPTIONAL, BOTH = 0x40, 0x80, 0xC0
A, B = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")
A_AND_B = A.packed + B.packed
CASES: dict[AttributeType, tuple[int, Severity, list[int], bytes, Any]] = {
    # Flags; what a fault leads to; good lengths up to 24; a value, and what it says.
    # RFC 7606 section 7; RFC 4360, RFC 6793, RFC 8092 and RFC 9234 for the last ones.
    AttributeType.ORIGIN: (WELL_KNOWN, WITHDRAW, [1], b"\2", Origin.INCOMPLETE),
    AttributeType.NEXT_HOP: (WELL_KNOWN, WITHDRAW, [4], A.packed, A),
    AttributeType.MULTI_EXIT_DISC: (OPTIONAL, WITHDRAW, [4], b"\0\0\1\2", 258),
    AttributeType.LOCAL_PREF: (WELL_KNOWN, WITHDRAW, [4], b"\1\0\0\0", 1 << 24),
    AttributeType.ATOMIC_AGGREGATE: (WELL_KNOWN, DISCARD, [0], b"", True),
    AttributeType.AGGREGATOR: (
        BOTH, DISCARD, [8], b"\0\1\0\0" + A.packed, Aggregator(65536, A),
    ),
    AttributeType.COMMUNITIES: (
        BOTH, WITHDRAW, [4, 8, 12, 16, 20, 24], b"\0\0\0\1\0\1\0\0", (1, 65536),
    ),
    AttributeType.ORIGINATOR_ID: (OPTIONAL, WITHDRAW, [4], A.packed, A),
    AttributeType.CLUSTER_LIST: (
        OPTIONAL, WITHDRAW, [4, 8, 12, 16, 20, 24], A_AND_B, (A, B),
    ),
    AttributeType.EXTENDED_COMMUNITIES: (
        BOTH, WITHDRAW, [8, 16, 24], b"a" * 8 + b"b" * 8, (b"a" * 8, b"b" * 8),
    ),
    AttributeType.AS4_AGGREGATOR: (
        BOTH, DISCARD, [8], b"\0\0\0\1" + B.packed, Aggregator(1, B),
    ),
    AttributeType.LARGE_COMMUNITIES: (
        BOTH, WITHDRAW, [12, 24], b"\0\0\0\1\0\0\0\2\0\0\0\3" * 2, ((1, 2, 3),),
    ),
    AttributeType.ONLY_TO_CUSTOMER: (BOTH, WITHDRAW, [4], b"\0\0\0\1", 1),
}  # fmt: skip


def test_all_attributes_but_those_of_mp_and_paths_are_among_the_cases() -> None:
    paths = {AttributeType.AS_PATH, AttributeType.AS4_PATH}
    assert set(RULES) == {*CASES, *paths}
    assert set(AttributeType) - set(RULES) == {
        AttributeType.MP_REACH_NLRI,
        AttributeType.MP_UNREACH_NLRI,
    }


@pytest.mark.parametrize("code", CASES, ids=lambda code: code.name)
def test_an_attribute_has_its_flags_its_length_and_its_value(code: AttributeType) -> None:
    flags, severity, lengths, value, says = CASES[code]
    assert decode_value(code, flags, value, INTERNAL) == (says, None)
    # Partial and Extended Length tell nothing of an attribute's kind.
    assert decode_value(code, flags | 0x30, value, INTERNAL) == (says, None)
    for wrong in {0, WELL_KNOWN, OPTIONAL, BOTH} - {flags}:
        reason = f"{code.name} with flags {wrong:#04x}"
        assert decode_value(code, wrong, value, INTERNAL) == (None, Fault(severity, code, reason))
    for length in range(25):
        _, fault = decode_value(code, flags, b"\1" * length, INTERNAL)
        reason = f"{code.name} of {length} bytes"
        assert fault == (None if length in lengths else Fault(severity, code, reason))


@pytest.mark.parametrize("code", CASES, ids=lambda code: code.name)
def test_an_external_peer_says_nothing_of_our_own_as(code: AttributeType) -> None:
    """RFC 7606 sections 7.5, 7.9 and 7.10; within a confederation it does (RFC 5065)."""
    flags, _, _, value, says = CASES[code]
    inside = {AttributeType.LOCAL_PREF, AttributeType.ORIGINATOR_ID, AttributeType.CLUSTER_LIST}
    found = decode_value(code, flags, value, Scope())
    if code in inside:
        assert found == (None, Fault(DISCARD, code, f"{code.name} from an external peer"))
    else:
        assert found == (says, None)
    assert decode_value(code, flags, value, Scope(same_confederation=True)) == (says, None)


@pytest.mark.parametrize("kind", [3, 4])
def test_segments_of_a_confederation_come_only_from_within(kind: int) -> None:
    """RFC 5065 section 5: from anybody else the AS_PATH is malformed."""
    code, path = AttributeType.AS_PATH, bytes((kind, 1, 0, 0, 0xFC, 0, 2, 1, 0, 0, 0xFC, 1))
    _, fault = decode_value(code, WELL_KNOWN, path, Scope())
    reason = "AS_PATH: a confederation's segment from outside of it"
    assert fault == Fault(WITHDRAW, code, reason)
    for inside in (INTERNAL, Scope(same_confederation=True)):
        assert decode_value(code, WELL_KNOWN, path, inside)[1] is None


def test_to_a_speaker_of_two_octets_an_aggregator_has_six() -> None:
    code = AttributeType.AGGREGATOR
    short = Aggregator(65535, A)
    assert decode_value(code, BOTH, b"\xff\xff" + A.packed, TWO_OCTETS) == (short, None)
    _, fault = decode_value(code, BOTH, b"\0\1\0\0" + A.packed, TWO_OCTETS)
    assert fault == Fault(DISCARD, code, "AGGREGATOR of 8 bytes")


@pytest.mark.parametrize(
    ("code", "flags", "value", "severity"),
    [
        (AttributeType.ORIGIN, WELL_KNOWN, b"\3", WITHDRAW),
        (AttributeType.AS_PATH, WELL_KNOWN, b"\2\1\0\0\0\0", WITHDRAW),  # RFC 7607: AS 0
        (AttributeType.AS_PATH, WELL_KNOWN, b"\2", WITHDRAW),
        (AttributeType.AS4_PATH, BOTH, b"\2", DISCARD),
        (AttributeType.AGGREGATOR, BOTH, bytes(4) + A.packed, DISCARD),
        (AttributeType.AS4_AGGREGATOR, BOTH, bytes(4) + A.packed, DISCARD),
    ],
)
def test_a_value_that_cannot_be_is_a_fault_of_its_kind(
    code: AttributeType, flags: int, value: bytes, severity: Severity
) -> None:
    found, fault = decode_value(code, flags, value, Scope())
    assert found is None
    assert fault is not None
    assert (fault.severity, fault.code) == (severity, code)


def test_paths_have_as_many_octets_as_the_session_says_and_the_true_one_four() -> None:
    four, two = b"\2\1\0\1\0\0", b"\2\1\xfc\0"
    sequence = SegmentType.AS_SEQUENCE
    path, as4_path = AttributeType.AS_PATH, AttributeType.AS4_PATH
    assert decode_value(path, WELL_KNOWN, b"", Scope()) == ((), None)
    assert decode_value(path, WELL_KNOWN, four, Scope()) == ((Segment(sequence, (65536,)),), None)
    assert decode_value(path, WELL_KNOWN, two, TWO_OCTETS) == (
        (Segment(sequence, (64512,)),),
        None,
    )
    # RFC 6793 section 3: confederation segments are no part of it.
    confederate = b"\3\1\0\0\xfc\0"
    assert decode_value(as4_path, BOTH, confederate + four, TWO_OCTETS) == (
        (Segment(sequence, (65536,)),),
        None,
    )


@pytest.mark.parametrize(
    ("length", "header"), [(0, "c00800"), (255, "c008ff"), (256, "d0080100"), (4000, "d0080fa0")]
)
def test_only_what_is_longer_than_255_has_an_extended_length(length: int, header: str) -> None:
    value = bytes(range(256)) * 16
    encoded = encode_attribute(8, 0xC0, value[:length])
    assert encoded == bytes.fromhex(header) + value[:length]
