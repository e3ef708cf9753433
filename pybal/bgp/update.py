"""UPDATE: RFC 4271 (4.3, 6.3) as revised by RFC 7606; RFC 4760, RFC 6793, RFC 8950. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from pybal.bgp.as_path import merge_as4_path
from pybal.bgp.attributes import (
    EXTENDED,
    MP_FLAGS,
    OPTIONAL,
    RULES,
    TRANSITIVE,
    Fault,
    Scope,
    Severity,
    decode_value,
)
from pybal.bgp.constants import (
    AFI_IPV4,
    AS_TRANS,
    IPV4_UNICAST,
    IPV6_UNICAST,
    SUPPORTED_FAMILIES,
    AttributeType,
    ErrorCode,
    Family,
    UpdateSubcode,
)
from pybal.bgp.errors import NotificationError
from pybal.bgp.messages import MPReach, MPUnreach, PathAttributes, UnknownAttribute, Update
from pybal.bgp.nlri import NLRIError, decode_prefixes
from pybal.bgp.prefix import Prefix
from pybal.model import IPAddress

_MP = (AttributeType.MP_REACH_NLRI, AttributeType.MP_UNREACH_NLRI)


@dataclass(frozen=True, slots=True)
class DecodedUpdate:
    """An UPDATE as it is to be used: errors already applied, so that treat-as-withdraw has
    turned its announcements into withdrawals. `faults` says what was wrong."""

    update: Update
    faults: tuple[Fault, ...] = ()

    @property
    def severity(self) -> Severity:
        """That of its worst fault."""
        return max((f.severity for f in self.faults), key=lambda s: s.value, default=Severity.NONE)


@dataclass(frozen=True, slots=True)
class _Raw:
    flags: int
    code: int
    value: bytes


def decode_update(body: bytes, scope: Scope) -> DecodedUpdate:
    """Parse the body of an UPDATE. NotificationError only where RFC 7606 resets the session."""
    withdrawn_data, attribute_data, nlri_data = _split(body)
    withdrawn = _prefixes(withdrawn_data)
    prefixes = _prefixes(nlri_data)
    raw, faults = _raw_attributes(attribute_data)
    raw, duplicates = _without_duplicates(raw)
    faults = [*duplicates, *faults]
    reach = unreach = None
    values: dict[int, Any] = {}
    unknown = []
    for item in raw:
        if item.code == AttributeType.MP_REACH_NLRI:
            reach = _mp_reach(item)
        elif item.code == AttributeType.MP_UNREACH_NLRI:
            unreach = _mp_unreach(item)
        elif item.code in RULES:
            value, fault = decode_value(item.code, item.flags, item.value, scope)
            if fault is None:
                values[item.code] = value
            else:
                faults.append(fault)
        else:
            unknown.append(_unknown(item))
    announces = bool(prefixes) or reach is not None
    faults += _missing(values, raw, scope, classic=bool(prefixes), announces=announces)
    update = Update(
        withdrawn=withdrawn,
        attributes=_assemble(values, tuple(unknown), scope),
        next_hop=values.get(AttributeType.NEXT_HOP) if prefixes else None,
        prefixes=prefixes,
        mp_reach=reach,
        mp_unreach=unreach,
    )
    return _apply(DecodedUpdate(update, tuple(faults)), announces)


def _split(body: bytes) -> tuple[bytes, bytes, bytes]:
    """The three parts. A length that overruns the message resets the session (section 4)."""
    withdrawn_end = 2 + int.from_bytes(body[:2], "big")
    attributes_start = withdrawn_end + 2
    if attributes_start > len(body):
        raise _reset(UpdateSubcode.MALFORMED_ATTRIBUTE_LIST, b"", "withdrawn routes overrun")
    end = attributes_start + int.from_bytes(body[withdrawn_end:attributes_start], "big")
    if end > len(body):
        raise _reset(UpdateSubcode.MALFORMED_ATTRIBUTE_LIST, b"", "attributes overrun")
    return body[2:withdrawn_end], body[attributes_start:end], body[end:]


def _prefixes(data: bytes) -> tuple[Prefix, ...]:
    try:
        return decode_prefixes(data, AFI_IPV4)
    except NLRIError as error:
        raise _reset(UpdateSubcode.INVALID_NETWORK_FIELD, b"", str(error)) from None


def _raw_attributes(data: bytes) -> tuple[list[_Raw], list[Fault]]:
    """Cut the list into attributes. One that does not fit ends it: treat-as-withdraw."""
    items: list[_Raw] = []
    offset = 0
    while offset < len(data):
        extended = bool(data[offset] & EXTENDED)
        start = offset + (4 if extended else 3)
        end = start + int.from_bytes(data[offset + 2 : start], "big")
        if end > len(data):  # a header cut short, too: the value would begin behind the list
            fault = Fault(Severity.TREAT_AS_WITHDRAW, 0, "attribute list cut short")
            return items, [fault]
        items.append(_Raw(data[offset], data[offset + 1], data[start:end]))
        offset = end
    return items, []


def _without_duplicates(raw: list[_Raw]) -> tuple[list[_Raw], list[Fault]]:
    """Section 3 (g): the first instance counts; a repeated MP attribute resets the session."""
    seen: set[int] = set()
    kept, faults = [], []
    for item in raw:
        if item.code not in seen:
            seen.add(item.code)
            kept.append(item)
        elif item.code in _MP:
            raise _reset(UpdateSubcode.MALFORMED_ATTRIBUTE_LIST, b"", "MP attribute repeated")
        else:
            faults.append(Fault(Severity.ATTRIBUTE_DISCARD, item.code, "attribute repeated"))
    return kept, faults


def _unknown(item: _Raw) -> UnknownAttribute:
    if not item.flags & OPTIONAL:
        raise _reset(
            UpdateSubcode.UNRECOGNIZED_WELL_KNOWN_ATTRIBUTE, _whole(item), f"attribute {item.code}"
        )
    return UnknownAttribute(item.flags & ~EXTENDED, item.code, item.value)


def _mp_reach(item: _Raw) -> MPReach:
    value = item.value
    _check_mp_flags(item)
    if len(value) < 5 or len(value) < 5 + value[3]:
        raise _mp_error(item, "cut short")
    family = Family(int.from_bytes(value[:2], "big"), value[2])
    end = 4 + value[3]
    if family not in SUPPORTED_FAMILIES:
        return MPReach(family, (), ())
    next_hops = _next_hops(value[4:end], family)
    if next_hops is None:
        raise _mp_error(item, f"next hop of {value[3]} bytes")
    # The octet after the next hop is reserved and ignored.
    return MPReach(family, next_hops, _mp_prefixes(item, value[end + 1 :], family))


def _next_hops(data: bytes, family: Family) -> tuple[IPAddress, ...] | None:
    """IPv4 prefixes may have next hops of either version (RFC 8950), IPv6 ones only of IPv6."""
    if len(data) == 4 and family == IPV4_UNICAST:
        return (IPv4Address(data),)
    if len(data) in (16, 32):
        return tuple(IPv6Address(data[i : i + 16]) for i in range(0, len(data), 16))
    return None


def _mp_unreach(item: _Raw) -> MPUnreach:
    _check_mp_flags(item)
    if len(item.value) < 3:
        raise _mp_error(item, "cut short")
    family = Family(int.from_bytes(item.value[:2], "big"), item.value[2])
    if family not in SUPPORTED_FAMILIES:
        return MPUnreach(family)
    return MPUnreach(family, _mp_prefixes(item, item.value[3:], family))


def _mp_prefixes(item: _Raw, data: bytes, family: Family) -> tuple[Prefix, ...]:
    try:
        return decode_prefixes(data, family.afi)
    except NLRIError as error:
        raise _mp_error(item, str(error)) from None


def _check_mp_flags(item: _Raw) -> None:
    if item.flags & (OPTIONAL | TRANSITIVE) != MP_FLAGS:
        raise _reset(UpdateSubcode.ATTRIBUTE_FLAGS_ERROR, _whole(item), "MP attribute's flags")


def _missing(
    values: dict[int, Any], raw: list[_Raw], scope: Scope, *, classic: bool, announces: bool
) -> Iterator[Fault]:
    """Section 3 (d): well-known mandatory attributes that an announcement lacks. `classic`: it has
    prefixes outside of MP_REACH_NLRI, which take a NEXT_HOP."""
    if not announces:
        return
    wanted = [AttributeType.ORIGIN, AttributeType.AS_PATH]
    if classic:
        wanted.append(AttributeType.NEXT_HOP)
    if scope.internal:
        wanted.append(AttributeType.LOCAL_PREF)
    present = {item.code for item in raw} | set(values)
    for code in wanted:
        if code not in present:
            yield Fault(Severity.TREAT_AS_WITHDRAW, code, f"{code.name} missing")


def _assemble(
    values: dict[int, Any], unknown: tuple[UnknownAttribute, ...], scope: Scope
) -> PathAttributes:
    kind = AttributeType
    path, aggregator = values.get(kind.AS_PATH), values.get(kind.AGGREGATOR)
    if not scope.four_octet_asn:
        path, aggregator = _merge_as4(values)
    return PathAttributes(
        origin=values.get(kind.ORIGIN),
        as_path=path,
        med=values.get(kind.MULTI_EXIT_DISC),
        local_pref=values.get(kind.LOCAL_PREF),
        atomic_aggregate=values.get(kind.ATOMIC_AGGREGATE, False),
        aggregator=aggregator,
        communities=values.get(kind.COMMUNITIES, ()),
        originator_id=values.get(kind.ORIGINATOR_ID),
        cluster_list=values.get(kind.CLUSTER_LIST, ()),
        extended_communities=values.get(kind.EXTENDED_COMMUNITIES, ()),
        large_communities=values.get(kind.LARGE_COMMUNITIES, ()),
        only_to_customer=values.get(kind.ONLY_TO_CUSTOMER),
        unknown=unknown,
    )


def _merge_as4(values: dict[int, Any]) -> tuple[Any, Any]:
    """RFC 6793 section 4.2.3. An AGGREGATOR without AS_TRANS voids both AS4 attributes."""
    path, aggregator = values.get(AttributeType.AS_PATH), values.get(AttributeType.AGGREGATOR)
    as4_aggregator = values.get(AttributeType.AS4_AGGREGATOR)
    if aggregator is not None and as4_aggregator is not None:
        if aggregator.asn != AS_TRANS:
            return path, aggregator
        aggregator = as4_aggregator
    as4_path = values.get(AttributeType.AS4_PATH)
    if path is not None and as4_path is not None:
        path = merge_as4_path(path, as4_path)
    return path, aggregator


def _apply(decoded: DecodedUpdate, announces: bool) -> DecodedUpdate:
    """Carry out treat-as-withdraw. Without reachable NLRI we cannot be sure to have parsed
    it, so the session is reset instead (section 5.2)."""
    if decoded.severity is not Severity.TREAT_AS_WITHDRAW:
        return decoded
    if not announces:
        reasons = "; ".join(fault.reason for fault in decoded.faults)
        raise _reset(UpdateSubcode.MALFORMED_ATTRIBUTE_LIST, b"", reasons)
    return replace(decoded, update=_as_withdrawal(decoded.update))


def _as_withdrawal(update: Update) -> Update:
    """All that the message names, as withdrawn: IPv4 in the classic field, IPv6 in MP."""
    named = update.withdrawn + update.prefixes
    for part in (update.mp_unreach, update.mp_reach):
        if part is not None:
            named += part.prefixes
    ipv6 = tuple(prefix for prefix in named if prefix.family == IPV6_UNICAST)
    return Update(
        withdrawn=tuple(prefix for prefix in named if prefix.family == IPV4_UNICAST),
        mp_unreach=MPUnreach(IPV6_UNICAST, ipv6) if ipv6 else None,
    )


def _whole(item: _Raw) -> bytes:
    """The attribute as it came: section 6.3 wants type, length and value as data."""
    size = len(item.value).to_bytes(2 if item.flags & EXTENDED else 1, "big")
    # A NOTIFICATION is never longer than 4096 bytes.
    return (bytes((item.flags, item.code)) + size + item.value)[:4000]


def _mp_error(item: _Raw, reason: str) -> NotificationError:
    """RFC 4760 section 7, whatever is wrong with it."""
    name = AttributeType(item.code).name
    return _reset(UpdateSubcode.OPTIONAL_ATTRIBUTE_ERROR, _whole(item), f"{name}: {reason}")


def _reset(subcode: UpdateSubcode, data: bytes, detail: str) -> NotificationError:
    return NotificationError(ErrorCode.UPDATE_MESSAGE, subcode, data, detail)
