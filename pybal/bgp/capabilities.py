"""Capabilities: RFC 5492 and the documents of each. Pure.

Unknown codes are kept and ignored. A known capability with a wrong length is ignored too,
as if it had not been announced (RFC 5492 section 5 leaves it no error of its own).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

from pybal.bgp.constants import CapabilityCode, Family
from pybal.bgp.errors import BGPError, EncodeError
from pybal.bgp.messages import (
    Capabilities,
    ExtendedNextHop,
    GracefulRestart,
    LongLivedFamily,
    RestartFamily,
)

_RESTARTING, _NOTIFICATION, _FORWARDING = 0x8, 0x4, 0x80


class CapabilityError(BGPError):
    """The list of capabilities does not add up."""


def encode_capabilities(capabilities: Capabilities) -> tuple[tuple[int, bytes], ...]:
    """(code, value) of each capability, in the order of their codes."""
    c = capabilities
    items: list[tuple[int, bytes]] = [
        (CapabilityCode.MULTIPROTOCOL, struct.pack("!HBB", f.afi, 0, f.safi)) for f in c.families
    ]
    if c.route_refresh:
        items.append((CapabilityCode.ROUTE_REFRESH, b""))
    if c.extended_next_hop:
        value = b"".join(
            struct.pack("!HHH", e.family.afi, e.family.safi, e.next_hop_afi)
            for e in c.extended_next_hop
        )
        items.append((CapabilityCode.EXTENDED_NEXT_HOP, value))
    if c.extended_message:
        items.append((CapabilityCode.EXTENDED_MESSAGE, b""))
    items += [(CapabilityCode.ROLE, bytes((role,))) for role in c.roles]
    if c.graceful_restart is not None:
        items.append((CapabilityCode.GRACEFUL_RESTART, _encode_restart(c.graceful_restart)))
    if c.four_octet_asn is not None:
        items.append((CapabilityCode.FOUR_OCTET_ASN, c.four_octet_asn.to_bytes(4, "big")))
    if c.enhanced_route_refresh:
        items.append((CapabilityCode.ENHANCED_ROUTE_REFRESH, b""))
    if c.long_lived:
        value = b"".join(map(_encode_long_lived, c.long_lived))
        items.append((CapabilityCode.LONG_LIVED_GRACEFUL_RESTART, value))
    items.extend(c.unknown)
    if any(len(value) > 255 for _, value in items):
        raise EncodeError("a capability exceeds 255 bytes")
    return tuple((int(code), value) for code, value in items)


def _encode_long_lived(one: LongLivedFamily) -> bytes:
    if not 0 <= one.stale_time_s <= 0xFFFFFF:
        raise EncodeError(f"long-lived stale time of {one.stale_time_s} s")
    flags = _FORWARDING * one.forwarding
    head = struct.pack("!HBB", one.family.afi, one.family.safi, flags)
    return head + one.stale_time_s.to_bytes(3, "big")


def _encode_restart(restart: GracefulRestart) -> bytes:
    if not 0 <= restart.restart_time_s <= 0xFFF:
        raise EncodeError(f"graceful restart time of {restart.restart_time_s} s")
    flags = _RESTARTING * restart.restarting | _NOTIFICATION * restart.notification
    head = (flags << 12 | restart.restart_time_s).to_bytes(2, "big")
    return head + b"".join(
        struct.pack("!HBB", f.family.afi, f.family.safi, _FORWARDING * f.forwarding)
        for f in restart.families
    )


def split_capabilities(data: bytes) -> tuple[tuple[int, bytes], ...]:
    """(code, value) of each capability in one optional parameter; raises CapabilityError."""
    items = []
    offset = 0
    while offset < len(data):
        size = data[offset + 1] if offset + 1 < len(data) else 256
        end = offset + 2 + size
        if end > len(data):
            raise CapabilityError("capability cut short")
        items.append((data[offset], data[offset + 2 : end]))
        offset = end
    return tuple(items)


def decode_capabilities(items: tuple[tuple[int, bytes], ...]) -> Capabilities:
    """Understand (code, value) pairs; a repeated capability's last instance wins."""
    result = Capabilities()
    for code, value in items:
        decoder = _DECODERS.get(code)
        if decoder is None:
            result = replace(result, unknown=(*result.unknown, (code, value)))
        else:
            result = decoder(result, value)
    return result


def _multiprotocol(c: Capabilities, value: bytes) -> Capabilities:
    if len(value) != 4:
        return c
    afi, _, safi = struct.unpack("!HBB", value)
    family = Family(afi, safi)
    return c if family in c.families else replace(c, families=(*c.families, family))


def _route_refresh(c: Capabilities, value: bytes) -> Capabilities:
    return c if value else replace(c, route_refresh=True)


def _enhanced_route_refresh(c: Capabilities, value: bytes) -> Capabilities:
    return c if value else replace(c, enhanced_route_refresh=True)


def _extended_message(c: Capabilities, value: bytes) -> Capabilities:
    return c if value else replace(c, extended_message=True)


def _four_octet_asn(c: Capabilities, value: bytes) -> Capabilities:
    if len(value) != 4:
        return c
    return replace(c, four_octet_asn=int.from_bytes(value, "big"))


def _extended_next_hop(c: Capabilities, value: bytes) -> Capabilities:
    if not value or len(value) % 6:
        return c
    entries = tuple(
        ExtendedNextHop(Family(afi, safi), next_hop_afi)
        for afi, safi, next_hop_afi in struct.iter_unpack("!HHH", value)
    )
    return replace(c, extended_next_hop=entries)


def _long_lived(c: Capabilities, value: bytes) -> Capabilities:
    if len(value) % 7:
        return c
    families = tuple(
        LongLivedFamily(Family(afi, safi), bool(flags & _FORWARDING), high << 8 | low)
        for afi, safi, flags, high, low in struct.iter_unpack("!HBBHB", value)
    )
    return replace(c, long_lived=families)


def _role(c: Capabilities, value: bytes) -> Capabilities:
    if len(value) != 1 or value[0] in c.roles:
        return c
    return replace(c, roles=(*c.roles, value[0]))


def _graceful_restart(c: Capabilities, value: bytes) -> Capabilities:
    if len(value) < 2 or len(value) % 4 != 2:
        return c
    head = int.from_bytes(value[:2], "big")
    families = tuple(
        RestartFamily(Family(afi, safi), bool(flags & _FORWARDING))
        for afi, safi, flags in struct.iter_unpack("!HBB", value[2:])
    )
    restart = GracefulRestart(
        restarting=bool(head >> 12 & _RESTARTING),
        notification=bool(head >> 12 & _NOTIFICATION),
        restart_time_s=head & 0xFFF,
        families=families,
    )
    return replace(c, graceful_restart=restart)


_DECODERS: dict[int, Callable[[Capabilities, bytes], Capabilities]] = {
    CapabilityCode.MULTIPROTOCOL: _multiprotocol,
    CapabilityCode.ROUTE_REFRESH: _route_refresh,
    CapabilityCode.EXTENDED_NEXT_HOP: _extended_next_hop,
    CapabilityCode.EXTENDED_MESSAGE: _extended_message,
    CapabilityCode.ROLE: _role,
    CapabilityCode.GRACEFUL_RESTART: _graceful_restart,
    CapabilityCode.FOUR_OCTET_ASN: _four_octet_asn,
    CapabilityCode.ENHANCED_ROUTE_REFRESH: _enhanced_route_refresh,
    CapabilityCode.LONG_LIVED_GRACEFUL_RESTART: _long_lived,
}
