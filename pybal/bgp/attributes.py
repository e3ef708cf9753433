"""Path attributes: one table of flags, lengths and what an error means; RFC 7606 section 7. Pure.

Each attribute's value codec is here; the list of attributes as a whole is update.py's.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address
from typing import Any

from pybal.bgp.as_path import decode_as_path, without_confederation
from pybal.bgp.constants import AttributeType, Origin
from pybal.bgp.messages import Aggregator

OPTIONAL, TRANSITIVE, EXTENDED = 0x80, 0x40, 0x10


class Severity(Enum):
    """RFC 7606 section 2, the mildest first. A session reset is a NotificationError."""

    NONE = 0
    ATTRIBUTE_DISCARD = 1
    TREAT_AS_WITHDRAW = 2


@dataclass(frozen=True, slots=True)
class Fault:
    """What was wrong with one attribute of an UPDATE, and what it led to."""

    severity: Severity
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Scope:
    """What a session means for attributes: ASN width, and whether the peer is internal, or of
    another member of our confederation."""

    four_octet_asn: bool = True
    internal: bool = False
    same_confederation: bool = False

    @property
    def is_inside(self) -> bool:
        """Whether the peer may speak of what stays within our AS, or our confederation."""
        return self.internal or self.same_confederation


@dataclass(frozen=True, slots=True)
class Rule:
    """How one attribute is checked. `flags` are Optional and Transitive as they must be;
    `severity` answers a wrong length, value or flags; `sizes` tells whether a length is right.
    `internal_only`: from an external peer it is discarded unread."""

    flags: int
    severity: Severity
    sizes: Callable[[int, Scope], bool]
    decode: Callable[[bytes, Scope], Any]
    internal_only: bool = False


def _exactly(size: int) -> Callable[[int, Scope], bool]:
    return lambda length, _: length == size


def _multiple(size: int) -> Callable[[int, Scope], bool]:
    return lambda length, _: length > 0 and length % size == 0


def _any(_length: int, _scope: Scope) -> bool:
    return True


def _aggregator_size(length: int, scope: Scope) -> bool:
    return length == (8 if scope.four_octet_asn else 6)


def _origin(value: bytes, _: Scope) -> Origin:
    return Origin(value[0])


def _as_path(value: bytes, scope: Scope) -> Any:
    path = decode_as_path(value, four_octet=scope.four_octet_asn)
    if not scope.is_inside and path != without_confederation(path):
        raise ValueError("a confederation's segment from outside of it")  # RFC 5065 section 5
    return path


def _as4_path(value: bytes, _: Scope) -> Any:
    return without_confederation(decode_as_path(value, four_octet=True))


def _ipv4(value: bytes, _: Scope) -> IPv4Address:
    return IPv4Address(value)


def _number(value: bytes, _: Scope) -> int:
    return int.from_bytes(value, "big")


def _flag(_value: bytes, _scope: Scope) -> bool:
    return True


def _aggregator(value: bytes, _: Scope) -> Aggregator:
    asn = int.from_bytes(value[:-4], "big")
    if asn == 0:
        raise ValueError("ASN 0")  # RFC 7607 section 2
    return Aggregator(asn, IPv4Address(value[-4:]))


def _numbers(value: bytes, _: Scope) -> tuple[int, ...]:
    return struct.unpack(f"!{len(value) // 4}I", value)


def _addresses(value: bytes, _: Scope) -> tuple[IPv4Address, ...]:
    return tuple(IPv4Address(value[i : i + 4]) for i in range(0, len(value), 4))


def _extended_communities(value: bytes, _: Scope) -> tuple[bytes, ...]:
    return tuple(value[i : i + 8] for i in range(0, len(value), 8))


def _large_communities(value: bytes, _: Scope) -> tuple[tuple[int, int, int], ...]:
    # RFC 8092 section 5: duplicates are dropped on receipt.
    return tuple(dict.fromkeys(struct.iter_unpack("!III", value)))


_WITHDRAW, _DISCARD = Severity.TREAT_AS_WITHDRAW, Severity.ATTRIBUTE_DISCARD
_BOTH = OPTIONAL | TRANSITIVE

RULES: dict[int, Rule] = {
    AttributeType.ORIGIN: Rule(TRANSITIVE, _WITHDRAW, _exactly(1), _origin),
    AttributeType.AS_PATH: Rule(TRANSITIVE, _WITHDRAW, _any, _as_path),
    AttributeType.NEXT_HOP: Rule(TRANSITIVE, _WITHDRAW, _exactly(4), _ipv4),
    AttributeType.MULTI_EXIT_DISC: Rule(OPTIONAL, _WITHDRAW, _exactly(4), _number),
    AttributeType.LOCAL_PREF: Rule(TRANSITIVE, _WITHDRAW, _exactly(4), _number, True),
    AttributeType.ATOMIC_AGGREGATE: Rule(TRANSITIVE, _DISCARD, _exactly(0), _flag),
    AttributeType.AGGREGATOR: Rule(_BOTH, _DISCARD, _aggregator_size, _aggregator),
    AttributeType.COMMUNITIES: Rule(_BOTH, _WITHDRAW, _multiple(4), _numbers),
    AttributeType.ORIGINATOR_ID: Rule(OPTIONAL, _WITHDRAW, _exactly(4), _ipv4, True),
    AttributeType.CLUSTER_LIST: Rule(OPTIONAL, _WITHDRAW, _multiple(4), _addresses, True),
    AttributeType.EXTENDED_COMMUNITIES: Rule(_BOTH, _WITHDRAW, _multiple(8), _extended_communities),
    AttributeType.AS4_PATH: Rule(_BOTH, _DISCARD, _any, _as4_path),
    AttributeType.AS4_AGGREGATOR: Rule(_BOTH, _DISCARD, _exactly(8), _aggregator),
    AttributeType.LARGE_COMMUNITIES: Rule(_BOTH, _WITHDRAW, _multiple(12), _large_communities),
    AttributeType.ONLY_TO_CUSTOMER: Rule(_BOTH, _WITHDRAW, _exactly(4), _number),
}

# The two MP attributes are parsed by update.py: their errors reset the session.
MP_FLAGS = OPTIONAL


def encode_attribute(code: int, flags: int, value: bytes) -> bytes:
    """One attribute with its header; the extended length form only where it is needed."""
    if len(value) > 255:
        return bytes((flags | EXTENDED, code)) + len(value).to_bytes(2, "big") + value
    return bytes((flags, code, len(value))) + value


def decode_value(code: int, flags: int, value: bytes, scope: Scope) -> tuple[Any, Fault | None]:
    """Check and parse one known attribute: (its value, None) or (None, what is wrong)."""
    rule = RULES[code]
    name = AttributeType(code).name
    if rule.internal_only and not scope.is_inside:
        return None, Fault(_DISCARD, code, f"{name} from an external peer")
    if flags & _BOTH != rule.flags:
        return None, Fault(rule.severity, code, f"{name} with flags {flags:#04x}")
    if not rule.sizes(len(value), scope):
        return None, Fault(rule.severity, code, f"{name} of {len(value)} bytes")
    try:
        return rule.decode(value, scope), None
    except ValueError as error:
        return None, Fault(rule.severity, code, f"{name}: {error}")
