"""Framing, octet by octet: RFC 4271 sections 4.1 and 6.1, RFC 8654."""

from __future__ import annotations

import pytest

from pybal.bgp.constants import MessageType
from pybal.bgp.errors import EncodeError, NotificationError
from pybal.bgp.header import frame, take_message

MARKER = b"\xff" * 16


def message(kind: int, size: int) -> bytearray:
    return bytearray(MARKER + size.to_bytes(2, "big") + bytes((kind,)) + bytes(size - 19))


def test_a_message_is_marker_length_type_and_body() -> None:
    assert frame(MessageType.UPDATE, b"abcd") == MARKER + b"\x00\x17\x02abcd"
    assert len(frame(MessageType.UPDATE, bytes(4096 - 19))) == 4096
    assert len(frame(MessageType.UPDATE, bytes(65535 - 19), 65535)) == 65535


@pytest.mark.parametrize("max_size", [4096, 65535])
def test_one_octet_too_many_is_not_said(max_size: int) -> None:
    with pytest.raises(EncodeError, match=f"UPDATE of {max_size + 1} bytes exceeds {max_size}"):
        frame(MessageType.UPDATE, bytes(max_size - 18), max_size)


@pytest.mark.parametrize(
    ("kind", "size", "max_size"),
    [
        # The least of each (RFC 4271 section 4), and the most.
        (1, 29, 4096),
        (1, 4096, 4096),
        (1, 4096, 65535),  # RFC 8654 section 4: OPEN and KEEPALIVE are never extended
        (2, 23, 4096),
        (2, 65535, 65535),
        (3, 21, 4096),
        (4, 19, 65535),
        (5, 19, 4096),
    ],
)
def test_a_message_of_its_length_is_taken(kind: int, size: int, max_size: int) -> None:
    buffer = message(kind, size) + b"next"
    assert take_message(buffer, max_size) == (MessageType(kind), bytes(size - 19))
    assert buffer == b"next"
    assert take_message(message(kind, size)[:-1], max_size) is None


@pytest.mark.parametrize(
    ("kind", "size", "max_size"),
    [
        (1, 28, 4096),
        (1, 4097, 65535),
        (2, 22, 4096),
        (2, 4097, 4096),
        (3, 20, 4096),
        (4, 20, 4096),
    ],
)
def test_a_message_of_another_length_is_answered_with_that_length(
    kind: int, size: int, max_size: int
) -> None:
    with pytest.raises(NotificationError) as caught:
        take_message(message(kind, size), max_size)
    assert (caught.value.code, caught.value.subcode) == (1, 2)
    assert caught.value.data == size.to_bytes(2, "big")


def test_an_unknown_type_is_answered_with_that_type() -> None:
    with pytest.raises(NotificationError) as caught:
        take_message(message(6, 23), 4096)
    assert (caught.value.code, caught.value.subcode, caught.value.data) == (1, 3, b"\x06")
