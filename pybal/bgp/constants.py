"""Numbers of the BGP protocol, as IANA and the RFCs name them."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

BGP_PORT = 179
BGP_VERSION = 4
AS_TRANS = 23456
HEADER_SIZE = 19
MAX_MESSAGE_SIZE = 4096
MAX_EXTENDED_MESSAGE_SIZE = 65535
MARKER = b"\xff" * 16


class MessageType(IntEnum):
    """RFC 4271 section 4.1; ROUTE_REFRESH is RFC 2918."""

    OPEN = 1
    UPDATE = 2
    NOTIFICATION = 3
    KEEPALIVE = 4
    ROUTE_REFRESH = 5


class Family(NamedTuple):
    """An address family as capabilities and MP attributes carry it (RFC 4760)."""

    afi: int
    safi: int

    def __str__(self) -> str:
        return _FAMILY_NAMES.get(self, f"afi {self.afi} safi {self.safi}")


AFI_IPV4, AFI_IPV6 = 1, 2
SAFI_UNICAST = 1
IPV4_UNICAST = Family(AFI_IPV4, SAFI_UNICAST)
IPV6_UNICAST = Family(AFI_IPV6, SAFI_UNICAST)
SUPPORTED_FAMILIES = (IPV4_UNICAST, IPV6_UNICAST)
_FAMILY_NAMES = {IPV4_UNICAST: "ipv4-unicast", IPV6_UNICAST: "ipv6-unicast"}


class CapabilityCode(IntEnum):
    """RFC 5492 registry: those this speaker understands."""

    MULTIPROTOCOL = 1
    ROUTE_REFRESH = 2
    EXTENDED_NEXT_HOP = 5
    EXTENDED_MESSAGE = 6
    ROLE = 9
    GRACEFUL_RESTART = 64
    FOUR_OCTET_ASN = 65
    ENHANCED_ROUTE_REFRESH = 70
    LONG_LIVED_GRACEFUL_RESTART = 71


class AttributeType(IntEnum):
    """Path attributes this speaker understands."""

    ORIGIN = 1
    AS_PATH = 2
    NEXT_HOP = 3
    MULTI_EXIT_DISC = 4
    LOCAL_PREF = 5
    ATOMIC_AGGREGATE = 6
    AGGREGATOR = 7
    COMMUNITIES = 8
    ORIGINATOR_ID = 9
    CLUSTER_LIST = 10
    MP_REACH_NLRI = 14
    MP_UNREACH_NLRI = 15
    EXTENDED_COMMUNITIES = 16
    AS4_PATH = 17
    AS4_AGGREGATOR = 18
    LARGE_COMMUNITIES = 32
    ONLY_TO_CUSTOMER = 35


class Role(IntEnum):
    """RFC 9234 section 4.1: what one side is to the other."""

    PROVIDER = 0
    RS = 1
    RS_CLIENT = 2
    CUSTOMER = 3
    PEER = 4


class Origin(IntEnum):
    """RFC 4271 section 5.1.1."""

    IGP = 0
    EGP = 1
    INCOMPLETE = 2


class SegmentType(IntEnum):
    """RFC 4271 section 4.3 and RFC 5065."""

    AS_SET = 1
    AS_SEQUENCE = 2
    AS_CONFED_SEQUENCE = 3
    AS_CONFED_SET = 4


class ErrorCode(IntEnum):
    """NOTIFICATION error codes (RFC 4271 section 4.5, RFC 7313, RFC 9687)."""

    MESSAGE_HEADER = 1
    OPEN_MESSAGE = 2
    UPDATE_MESSAGE = 3
    HOLD_TIMER_EXPIRED = 4
    FSM = 5
    CEASE = 6
    ROUTE_REFRESH_MESSAGE = 7
    SEND_HOLD_TIMER_EXPIRED = 8


class HeaderSubcode(IntEnum):
    """RFC 4271 section 6.1."""

    CONNECTION_NOT_SYNCHRONIZED = 1
    BAD_MESSAGE_LENGTH = 2
    BAD_MESSAGE_TYPE = 3


class OpenSubcode(IntEnum):
    """RFC 4271 section 6.2, RFC 5492 section 5; 5 is its former Authentication Failure; 11 is
    RFC 9234."""

    UNSPECIFIC = 0
    UNSUPPORTED_VERSION = 1
    BAD_PEER_AS = 2
    BAD_BGP_IDENTIFIER = 3
    UNSUPPORTED_OPTIONAL_PARAMETER = 4
    AUTHENTICATION_FAILURE = 5
    UNACCEPTABLE_HOLD_TIME = 6
    UNSUPPORTED_CAPABILITY = 7
    ROLE_MISMATCH = 11


class UpdateSubcode(IntEnum):
    """RFC 4271 section 6.3; 7 is of its predecessor."""

    MALFORMED_ATTRIBUTE_LIST = 1
    UNRECOGNIZED_WELL_KNOWN_ATTRIBUTE = 2
    MISSING_WELL_KNOWN_ATTRIBUTE = 3
    ATTRIBUTE_FLAGS_ERROR = 4
    ATTRIBUTE_LENGTH_ERROR = 5
    INVALID_ORIGIN = 6
    AS_ROUTING_LOOP = 7
    INVALID_NEXT_HOP = 8
    OPTIONAL_ATTRIBUTE_ERROR = 9
    INVALID_NETWORK_FIELD = 10
    MALFORMED_AS_PATH = 11


class FSMSubcode(IntEnum):
    """RFC 6608."""

    UNSPECIFIED = 0
    UNEXPECTED_IN_OPEN_SENT = 1
    UNEXPECTED_IN_OPEN_CONFIRM = 2
    UNEXPECTED_IN_ESTABLISHED = 3


class CeaseSubcode(IntEnum):
    """RFC 4486; 9 is RFC 8538, 10 is RFC 9384."""

    UNSPECIFIC = 0
    MAXIMUM_PREFIXES = 1
    ADMINISTRATIVE_SHUTDOWN = 2
    PEER_DECONFIGURED = 3
    ADMINISTRATIVE_RESET = 4
    CONNECTION_REJECTED = 5
    OTHER_CONFIGURATION_CHANGE = 6
    CONNECTION_COLLISION = 7
    OUT_OF_RESOURCES = 8
    HARD_RESET = 9
    BFD_DOWN = 10


class RefreshErrorSubcode(IntEnum):
    """RFC 7313 section 5."""

    INVALID_MESSAGE_LENGTH = 1


class RefreshSubtype(IntEnum):
    """RFC 7313 section 3.2."""

    REQUEST = 0
    BEGIN = 1
    END = 2


SUBCODES: dict[int, type[IntEnum]] = {
    ErrorCode.MESSAGE_HEADER: HeaderSubcode,
    ErrorCode.OPEN_MESSAGE: OpenSubcode,
    ErrorCode.UPDATE_MESSAGE: UpdateSubcode,
    ErrorCode.FSM: FSMSubcode,
    ErrorCode.CEASE: CeaseSubcode,
    ErrorCode.ROUTE_REFRESH_MESSAGE: RefreshErrorSubcode,
}

GRACEFUL_SHUTDOWN_COMMUNITY = 0xFFFF0000  # RFC 8326
