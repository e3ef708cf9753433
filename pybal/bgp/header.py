"""Message framing: RFC 4271 sections 4.1 and 6.1, RFC 8654. Pure."""

from __future__ import annotations

from pybal.bgp.constants import (
    HEADER_SIZE,
    MARKER,
    MAX_MESSAGE_SIZE,
    ErrorCode,
    HeaderSubcode,
    MessageType,
)
from pybal.bgp.errors import EncodeError, NotificationError

_MINIMUM_SIZE = {
    MessageType.OPEN: 29,
    MessageType.UPDATE: 23,
    MessageType.NOTIFICATION: 21,
    MessageType.KEEPALIVE: HEADER_SIZE,
    MessageType.ROUTE_REFRESH: HEADER_SIZE,  # RFC 7313 section 5 answers a wrong length itself
}


def frame(kind: MessageType, body: bytes, max_size: int = MAX_MESSAGE_SIZE) -> bytes:
    """A whole message. EncodeError if it would exceed `max_size`, header included."""
    size = HEADER_SIZE + len(body)
    if size > max_size:
        raise EncodeError(f"{kind.name} of {size} bytes exceeds {max_size}")
    return MARKER + size.to_bytes(2, "big") + bytes((kind,)) + body


def take_message(buffer: bytearray, max_size: int) -> tuple[MessageType, bytes] | None:
    """Cut the first whole message off `buffer`: its type and body, None if more is needed.

    `max_size` is the negotiated size; OPEN and KEEPALIVE never exceed 4096 (RFC 8654
    section 4). Raises NotificationError as soon as the header is wrong.
    """
    # The marker is judged as far as it has come: junk must not wait for 19 bytes.
    if buffer[:16] != MARKER[: len(buffer)]:
        raise NotificationError(
            ErrorCode.MESSAGE_HEADER, HeaderSubcode.CONNECTION_NOT_SYNCHRONIZED, b"", "bad marker"
        )
    if len(buffer) < HEADER_SIZE:
        return None
    size = int.from_bytes(buffer[16:18], "big")
    if not HEADER_SIZE <= size <= max_size:
        raise _bad_length(buffer)
    kind = _message_type(buffer)
    if not _size_fits(kind, size):
        raise _bad_length(buffer)
    if len(buffer) < size:
        return None
    body = bytes(buffer[HEADER_SIZE:size])
    del buffer[:size]
    return kind, body


def _message_type(buffer: bytearray) -> MessageType:
    try:
        return MessageType(buffer[18])
    except ValueError:
        raise NotificationError(
            ErrorCode.MESSAGE_HEADER,
            HeaderSubcode.BAD_MESSAGE_TYPE,
            bytes(buffer[18:19]),
            f"type {buffer[18]}",
        ) from None


def _size_fits(kind: MessageType, size: int) -> bool:
    if size < _MINIMUM_SIZE[kind]:
        return False
    if kind is MessageType.KEEPALIVE:
        return size == HEADER_SIZE
    return kind is not MessageType.OPEN or size <= MAX_MESSAGE_SIZE


def _bad_length(buffer: bytearray) -> NotificationError:
    data = bytes(buffer[16:18])
    detail = f"length {int.from_bytes(data, 'big')}"
    return NotificationError(
        ErrorCode.MESSAGE_HEADER, HeaderSubcode.BAD_MESSAGE_LENGTH, data, detail
    )
