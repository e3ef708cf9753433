"""Authentication of BFD packets, octet by octet (RFC 5880 sections 4.2 to 4.4 and 6.7)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from pybal.bgp.bfd.auth import AuthState, AuthType, sign, verify
from pybal.bgp.bfd.packet import SIZE, BFDPacketError
from pybal.bgp.settings import BFDAuthSettings

PLAIN = bytes.fromhex("20c003180000000100000002000f4240000f424000000000")


def settings(kind: AuthType, key: bytes = b"secret") -> BFDAuthSettings:
    return BFDAuthSettings(kind.name, 7, key)


@pytest.mark.parametrize("kind", AuthType)
@pytest.mark.parametrize("key", [b"secreT", b"secre", b"secrets", b""])
def test_another_key_is_refused_of_whatever_length(kind: AuthType, key: bytes) -> None:
    data, _ = sign(PLAIN, settings(kind, key or b"x"), AuthState(sent=1))
    with pytest.raises(BFDPacketError):
        verify(data, settings(kind), AuthState(sent=0), 3, 0.0)


def test_a_simple_password_stands_in_the_packet() -> None:
    data, state = sign(PLAIN, settings(AuthType.SIMPLE), AuthState(sent=9))
    assert data[SIZE:] == bytes((1, 9, 7)) + b"secret"
    assert (data[1] & 0x04, data[3]) == (0x04, SIZE + 9)
    assert state == AuthState(sent=9)


@pytest.mark.parametrize(
    ("kind", "name", "size"),
    [
        (AuthType.KEYED_MD5, "md5", 16),
        (AuthType.METICULOUS_KEYED_MD5, "md5", 16),
        (AuthType.KEYED_SHA1, "sha1", 20),
        (AuthType.METICULOUS_KEYED_SHA1, "sha1", 20),
    ],
)
def test_a_digest_is_taken_over_the_packet_with_the_key_in_its_place(
    kind: AuthType, name: str, size: int
) -> None:
    data, state = sign(PLAIN, settings(kind), AuthState(sent=0x01020303))
    assert state.sent == 0x01020304
    head = bytes((kind, 8 + size, 7, 0)) + bytes.fromhex("01020304")
    assert data[SIZE : SIZE + 8] == head
    keyed = data[: SIZE + 8] + b"secret".ljust(size, b"\0")
    assert data[SIZE + 8 :] == hashlib.new(name, keyed, usedforsecurity=False).digest()
    assert len(data) == data[3] == SIZE + 8 + size
    taken = verify(data, settings(kind), AuthState(sent=0), 3, 5.0)
    assert (taken.received, taken.heard_at) == (0x01020304, 5.0)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (lambda data: data[:SIZE], "another type"),
        (lambda data: data[: SIZE + 2], "another type"),
        (lambda data: data[:-1], "another length"),
        (lambda data: data + b"\0", "another length"),
        (lambda data: data[: SIZE + 1] + b"\x09" + data[SIZE + 2 :], "another length"),
        (lambda data: data[: SIZE + 2] + b"\x08" + data[SIZE + 3 :], "another type"),
    ],
)
def test_a_section_of_another_shape_is_refused(changed: Callable[[bytes], bytes], why: str) -> None:
    data, _ = sign(PLAIN, settings(AuthType.KEYED_SHA1), AuthState(sent=1))
    with pytest.raises(BFDPacketError, match=why):
        verify(changed(data), settings(AuthType.KEYED_SHA1), AuthState(sent=0), 3, 0.0)
