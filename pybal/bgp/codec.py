"""The codec's front: any message to bytes, any bytes to a message or a NotificationError. Pure."""

from __future__ import annotations

from typing import Union

from pybal.bgp.attributes import Scope
from pybal.bgp.constants import MAX_MESSAGE_SIZE, MessageType
from pybal.bgp.header import frame, take_message
from pybal.bgp.messages import Keepalive, Message, Notification, Open, RouteRefresh, Update
from pybal.bgp.notification import (
    decode_notification,
    decode_route_refresh,
    encode_notification,
    encode_route_refresh,
)
from pybal.bgp.open import decode_open, encode_open
from pybal.bgp.update import DecodedUpdate, decode_update
from pybal.bgp.update_encoding import encode_update

Received = Union[Open, DecodedUpdate, Notification, Keepalive, RouteRefresh]

DEFAULT_SCOPE = Scope()


def encode(
    message: Message, scope: Scope = DEFAULT_SCOPE, max_size: int = MAX_MESSAGE_SIZE
) -> bytes:
    """A whole message, header included; EncodeError if it cannot be said."""
    match message:
        case Open():
            return frame(MessageType.OPEN, encode_open(message))
        case Update():
            return frame(MessageType.UPDATE, encode_update(message, scope), max_size)
        case Notification():
            return frame(MessageType.NOTIFICATION, encode_notification(message), max_size)
        case Keepalive():
            return frame(MessageType.KEEPALIVE, b"")
        case RouteRefresh():
            return frame(MessageType.ROUTE_REFRESH, encode_route_refresh(message))


class Decoder:
    """Cuts a stream of bytes into messages. `scope` and `max_size` are set once negotiated.

    After a NotificationError the stream is beyond use and nothing more may be asked of it.
    """

    def __init__(self) -> None:
        self.scope = DEFAULT_SCOPE
        self.max_size = MAX_MESSAGE_SIZE
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Bytes of the stream, however they are cut."""
        self._buffer += data

    @property
    def waiting(self) -> bytes:
        """What has not made a message yet."""
        return bytes(self._buffer)

    def next_message(self) -> Received | None:
        """The next whole message, or None until more bytes come. Raises NotificationError."""
        taken = take_message(self._buffer, self.max_size)
        if taken is None:
            return None
        kind, body = taken
        match kind:
            case MessageType.OPEN:
                return decode_open(body)
            case MessageType.UPDATE:
                return decode_update(body, self.scope)
            case MessageType.NOTIFICATION:
                return decode_notification(body)
            case MessageType.KEEPALIVE:
                return Keepalive()
            case MessageType.ROUTE_REFRESH:
                return decode_route_refresh(body)
