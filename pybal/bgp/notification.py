"""NOTIFICATION and ROUTE-REFRESH: RFC 4271 section 4.5, RFC 9003, RFC 2918, RFC 7313. Pure."""

from __future__ import annotations

import struct

from pybal.bgp.constants import (
    HEADER_SIZE,
    MARKER,
    MAX_MESSAGE_SIZE,
    CeaseSubcode,
    ErrorCode,
    Family,
    MessageType,
    RefreshSubtype,
)
from pybal.bgp.errors import NotificationError
from pybal.bgp.messages import Notification, RouteRefresh
from pybal.runtime.naming import printable

MAX_SHUTDOWN_TEXT = 255
_TEXT_SUBCODES = (CeaseSubcode.ADMINISTRATIVE_SHUTDOWN, CeaseSubcode.ADMINISTRATIVE_RESET)


def encode_notification(message: Notification) -> bytes:
    """The body (RFC 4271 section 4.5)."""
    return bytes((message.code, message.subcode)) + message.data


def decode_notification(body: bytes) -> Notification:
    """Any body of at least two bytes, which the header has made sure of."""
    return Notification(body[0], body[1], body[2:])


def shutdown(reason: str) -> Notification:
    """Cease with a text (RFC 9003), cut to 255 bytes at a character's boundary."""
    encoded = reason.encode("utf-8", "replace")[:MAX_SHUTDOWN_TEXT]
    encoded = encoded.decode("utf-8", "ignore").encode("utf-8")
    data = bytes((len(encoded),)) + encoded if encoded else b""
    return Notification(ErrorCode.CEASE, CeaseSubcode.ADMINISTRATIVE_SHUTDOWN, data)


def hard_reset(cease: Notification) -> Notification:
    """Cease/Hard Reset around another NOTIFICATION (RFC 8538 section 3.1)."""
    return Notification(ErrorCode.CEASE, CeaseSubcode.HARD_RESET, encode_notification(cease))


def unwrapped(message: Notification) -> Notification:
    """What a hard reset carries, else the message itself."""
    inside = message.data
    hard = message.code == ErrorCode.CEASE and message.subcode == CeaseSubcode.HARD_RESET
    return decode_notification(inside) if hard and len(inside) >= 2 else message


def is_collision(message: Notification) -> bool:
    """It ends one of two connections, as it should, and no session (RFC 4271 section 6.8)."""
    collision = (ErrorCode.CEASE, CeaseSubcode.CONNECTION_COLLISION)
    return (message.code, message.subcode) == collision


def shutdown_text(message: Notification) -> str | None:
    """The reason that a peer gave, or None. Broken text is shown as far as it can be, always as one
    line that no terminal obeys: it goes into alerts and metrics as it is."""
    data = message.data
    if message.code != ErrorCode.CEASE or message.subcode not in _TEXT_SUBCODES or not data:
        return None
    return printable(data[1 : 1 + data[0]].decode("utf-8", "replace")) or None


def encode_route_refresh(message: RouteRefresh) -> bytes:
    """The body (RFC 2918; the subtype: RFC 7313)."""
    return struct.pack("!HBB", message.family.afi, message.subtype, message.family.safi)


def _asks_for_filters(body: bytes) -> bool:
    """RFC 5291 section 4: when to refresh, then filters by type, each with its length."""
    if len(body) < 8 or body[2] != RefreshSubtype.REQUEST or body[4] not in (1, 2):
        return False
    offset = 5
    while offset + 3 <= len(body):
        offset += 3 + int.from_bytes(body[offset + 1 : offset + 3], "big")
    return offset == len(body)


def decode_route_refresh(body: bytes) -> RouteRefresh:
    """A body of the wrong length is an Invalid Message Length (RFC 7313 section 5), with the
    whole message as data as far as a NOTIFICATION of ordinary size can carry it. Outbound route
    filters (RFC 5291), which nobody has agreed on, are passed over: it is a request.
    """
    if len(body) != 4 and not _asks_for_filters(body):
        size = HEADER_SIZE + len(body)
        message = MARKER + size.to_bytes(2, "big") + bytes((MessageType.ROUTE_REFRESH,)) + body
        data = message[: MAX_MESSAGE_SIZE - HEADER_SIZE - 2]
        raise NotificationError(ErrorCode.ROUTE_REFRESH_MESSAGE, 1, data, f"{len(body)} bytes")
    afi, subtype, safi = struct.unpack_from("!HBB", body)
    return RouteRefresh(Family(afi, safi), subtype)
