"""The numbers of BGP, as IANA's registries have them ("Border Gateway Protocol (BGP) Parameters",
"Capability Codes", "Address Family Numbers", "SAFI Namespace")."""

from __future__ import annotations

from enum import IntEnum

import pytest

from pybal.bgp import constants
from pybal.bgp.constants import (
    IPV4_UNICAST,
    IPV6_UNICAST,
    SUBCODES,
    AttributeType,
    CapabilityCode,
    CeaseSubcode,
    ErrorCode,
    Family,
    FSMSubcode,
    HeaderSubcode,
    MessageType,
    OpenSubcode,
    Origin,
    RefreshErrorSubcode,
    RefreshSubtype,
    Role,
    SegmentType,
    UpdateSubcode,
)

REGISTRIES: list[tuple[type[IntEnum], str]] = [
    (MessageType, "1 OPEN, 2 UPDATE, 3 NOTIFICATION, 4 KEEPALIVE, 5 ROUTE_REFRESH"),
    (
        CapabilityCode,
        "1 MULTIPROTOCOL, 2 ROUTE_REFRESH, 5 EXTENDED_NEXT_HOP, 6 EXTENDED_MESSAGE, 9 ROLE,"
        " 64 GRACEFUL_RESTART, 65 FOUR_OCTET_ASN, 70 ENHANCED_ROUTE_REFRESH,"
        " 71 LONG_LIVED_GRACEFUL_RESTART",
    ),
    (
        AttributeType,
        "1 ORIGIN, 2 AS_PATH, 3 NEXT_HOP, 4 MULTI_EXIT_DISC, 5 LOCAL_PREF, 6 ATOMIC_AGGREGATE,"
        " 7 AGGREGATOR, 8 COMMUNITIES, 9 ORIGINATOR_ID, 10 CLUSTER_LIST, 14 MP_REACH_NLRI,"
        " 15 MP_UNREACH_NLRI, 16 EXTENDED_COMMUNITIES, 17 AS4_PATH, 18 AS4_AGGREGATOR,"
        " 32 LARGE_COMMUNITIES, 35 ONLY_TO_CUSTOMER",
    ),
    (Role, "0 PROVIDER, 1 RS, 2 RS_CLIENT, 3 CUSTOMER, 4 PEER"),
    (Origin, "0 IGP, 1 EGP, 2 INCOMPLETE"),
    (SegmentType, "1 AS_SET, 2 AS_SEQUENCE, 3 AS_CONFED_SEQUENCE, 4 AS_CONFED_SET"),
    (
        ErrorCode,
        "1 MESSAGE_HEADER, 2 OPEN_MESSAGE, 3 UPDATE_MESSAGE, 4 HOLD_TIMER_EXPIRED, 5 FSM, 6 CEASE,"
        " 7 ROUTE_REFRESH_MESSAGE, 8 SEND_HOLD_TIMER_EXPIRED",
    ),
    (
        HeaderSubcode,
        "1 CONNECTION_NOT_SYNCHRONIZED, 2 BAD_MESSAGE_LENGTH, 3 BAD_MESSAGE_TYPE",
    ),
    (
        OpenSubcode,
        "0 UNSPECIFIC, 1 UNSUPPORTED_VERSION, 2 BAD_PEER_AS, 3 BAD_BGP_IDENTIFIER,"
        " 4 UNSUPPORTED_OPTIONAL_PARAMETER, 5 AUTHENTICATION_FAILURE, 6 UNACCEPTABLE_HOLD_TIME,"
        " 7 UNSUPPORTED_CAPABILITY, 11 ROLE_MISMATCH",
    ),
    (
        UpdateSubcode,
        "1 MALFORMED_ATTRIBUTE_LIST, 2 UNRECOGNIZED_WELL_KNOWN_ATTRIBUTE,"
        " 3 MISSING_WELL_KNOWN_ATTRIBUTE, 4 ATTRIBUTE_FLAGS_ERROR, 5 ATTRIBUTE_LENGTH_ERROR,"
        " 6 INVALID_ORIGIN, 7 AS_ROUTING_LOOP, 8 INVALID_NEXT_HOP, 9 OPTIONAL_ATTRIBUTE_ERROR,"
        " 10 INVALID_NETWORK_FIELD, 11 MALFORMED_AS_PATH",
    ),
    (
        FSMSubcode,
        "0 UNSPECIFIED, 1 UNEXPECTED_IN_OPEN_SENT, 2 UNEXPECTED_IN_OPEN_CONFIRM,"
        " 3 UNEXPECTED_IN_ESTABLISHED",
    ),
    (
        CeaseSubcode,
        "0 UNSPECIFIC, 1 MAXIMUM_PREFIXES, 2 ADMINISTRATIVE_SHUTDOWN, 3 PEER_DECONFIGURED,"
        " 4 ADMINISTRATIVE_RESET, 5 CONNECTION_REJECTED, 6 OTHER_CONFIGURATION_CHANGE,"
        " 7 CONNECTION_COLLISION, 8 OUT_OF_RESOURCES, 9 HARD_RESET, 10 BFD_DOWN",
    ),
    (RefreshErrorSubcode, "1 INVALID_MESSAGE_LENGTH"),
    (RefreshSubtype, "0 REQUEST, 1 BEGIN, 2 END"),
]


@pytest.mark.parametrize(("kind", "registered"), REGISTRIES, ids=lambda each: str(each)[:30])
def test_each_name_has_its_registered_number(kind: type[IntEnum], registered: str) -> None:
    assert ", ".join(f"{each.value} {each.name}" for each in kind) == registered


def test_every_enumeration_is_compared_with_its_registry() -> None:
    found = {each for each in vars(constants).values() if isinstance(each, type)}
    assert {each for each in found if issubclass(each, IntEnum)} - {IntEnum} == {
        kind for kind, _ in REGISTRIES
    }
    assert set(SUBCODES.values()) == {
        kind for kind, _ in REGISTRIES if kind.__name__.endswith("Subcode")
    }
    assert [int(code) for code in SUBCODES] == [1, 2, 3, 5, 6, 7]


def test_families_have_their_numbers_and_names() -> None:
    assert [(*each, str(each)) for each in (IPV4_UNICAST, IPV6_UNICAST)] == [
        (1, 1, "ipv4-unicast"),
        (2, 1, "ipv6-unicast"),
    ]
    assert str(Family(25, 65)) == "afi 25 safi 65"


def test_the_other_numbers_are_those_of_their_rfcs() -> None:
    # RFC 4271 sections 4, 4.1 and 8; RFC 6793, RFC 8654, RFC 8326.
    assert (constants.BGP_PORT, constants.BGP_VERSION, constants.HEADER_SIZE) == (179, 4, 19)
    assert (constants.MAX_MESSAGE_SIZE, constants.MAX_EXTENDED_MESSAGE_SIZE) == (4096, 65535)
    assert bytes([255] * 16) == constants.MARKER
    assert constants.AS_TRANS == 23456
    assert constants.GRACEFUL_SHUTDOWN_COMMUNITY == 65535 << 16
