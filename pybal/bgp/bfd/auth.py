"""Authentication of BFD control packets: RFC 5880 sections 4.2 to 4.4 and 6.7. Pure."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, replace
from enum import IntEnum

from pybal.bgp.bfd.packet import SIZE, BFDPacketError, with_section
from pybal.bgp.settings import BFDAuthSettings

_HEAD = 8  # type, length, key ID, reserved, sequence number
_SEQUENCE = slice(SIZE + 4, SIZE + 8)
_DIGEST = SIZE + _HEAD


class AuthType(IntEnum):
    """RFC 5880 section 4.1."""

    SIMPLE = 1
    KEYED_MD5 = 2
    METICULOUS_KEYED_MD5 = 3
    KEYED_SHA1 = 4
    METICULOUS_KEYED_SHA1 = 5

    @property
    def digest_size(self) -> int:
        """In bytes; 0 for a password."""
        return {1: 0, 2: 16, 3: 16}.get(self.value, 20)

    @property
    def meticulous(self) -> bool:
        """Whether each packet has a sequence number of its own."""
        return self in (AuthType.METICULOUS_KEYED_MD5, AuthType.METICULOUS_KEYED_SHA1)


@dataclass(frozen=True, slots=True)
class AuthState:
    """The variables of section 6.8.1: the number that was `sent` last, and the one `received` last,
    None if any will do. `said` is what was signed last, `heard_at` when a packet was last taken."""

    sent: int
    received: int | None = None
    said: bytes = b""
    heard_at: float = 0.0


def sign(data: bytes, settings: BFDAuthSettings, state: AuthState) -> tuple[bytes, AuthState]:
    """A packet of SIZE bytes with its authentication section. The number grows with each packet, or
    at least with each that says something else."""
    kind = AuthType[settings.kind]
    if kind is AuthType.SIMPLE:
        section = bytes((kind, 3 + len(settings.key), settings.key_id)) + settings.key
        return with_section(data, section), state
    sent = state.sent
    if kind.meticulous or data != state.said:
        sent = (sent + 1) % 2**32
    head = bytes((kind, _HEAD + kind.digest_size, settings.key_id, 0)) + sent.to_bytes(4, "big")
    whole = with_section(data, head + settings.key.ljust(kind.digest_size, b"\0"))
    return whole[:_DIGEST] + _digest(kind, whole), replace(state, sent=sent, said=data)


def verify(
    data: bytes, settings: BFDAuthSettings, state: AuthState, multiplier: int, now: float
) -> AuthState:
    """`data` is one packet as its Length has it, `multiplier` the peer's. Raises BFDPacketError."""
    kind = AuthType[settings.kind]
    section = data[SIZE:]
    size = 3 + len(settings.key) if kind is AuthType.SIMPLE else _HEAD + kind.digest_size
    if len(section) < 3 or section[0] != kind or section[2] != settings.key_id:
        raise BFDPacketError("another type of authentication, or another key")
    if len(section) != size or section[1] != size:
        raise BFDPacketError("an authentication section of another length")
    if kind is AuthType.SIMPLE:
        if not hmac.compare_digest(section[3:], settings.key):
            raise BFDPacketError("another password")
        return state
    number = int.from_bytes(data[_SEQUENCE], "big")
    if state.received is not None:
        ahead = (number - state.received) % 2**32
        if not int(kind.meticulous) <= ahead <= 3 * multiplier:
            raise BFDPacketError("a sequence number out of order")
    keyed = data[:_DIGEST] + settings.key.ljust(kind.digest_size, b"\0")
    if not hmac.compare_digest(data[_DIGEST:], _digest(kind, keyed)):
        raise BFDPacketError("another key")
    return replace(state, received=number, heard_at=now)


def _digest(kind: AuthType, whole: bytes) -> bytes:
    name = "md5" if kind.digest_size == 16 else "sha1"
    return hashlib.new(name, whole, usedforsecurity=False).digest()
