"""Netlink's framing, byte for byte; real messages are in test_codec.py."""

from __future__ import annotations

import struct

from pybal.ipvs.messages import AttributeMap
from pybal.ipvs.wire import NLM_F_ACK, NLM_F_DUMP, NetlinkMessage, Reader, request, split

MAP: AttributeMap = (
    ("X_ATTR_UNSPEC", "none"),
    ("X_ATTR_ONE", "uint32"),
    ("X_ATTR_TWO", "uint32"),
    ("X_ATTR_TEXT", "cdata"),
)


def attribute(number: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), number) + value


def number(value: int) -> bytes:
    return struct.pack("=I", value)


def test_a_request_says_that_it_is_one() -> None:
    # linux/netlink.h: NLM_F_REQUEST 1, NLM_F_ACK 4, NLM_F_DUMP 0x300
    header = struct.pack("=IHHIIBBH", 23, 32, 1 | 4 | 0x300, 7, 0, 9, 1, 0)
    assert request(32, NLM_F_ACK | NLM_F_DUMP, 7, (9, 1), b"abc") == header + b"abc"


def test_messages_of_one_length_may_have_their_attributes_in_another_order() -> None:
    reader = Reader(MAP, "ONE", "TWO")
    one, two = attribute(1, number(10)), attribute(2, number(20))
    assert reader(one + two) == (10, 20)
    assert reader(two + one) == (10, 20)
    assert reader(one + attribute(9, number(30))) == (10, None)


def test_an_empty_attribute_at_the_end_is_there() -> None:
    reader = Reader(MAP, "ONE", "TEXT")
    assert reader(attribute(1, number(10)) + attribute(3, b"")) == (10, b"")
    assert reader(attribute(1, number(10))) == (10, None)


def test_a_header_without_more_is_a_message() -> None:
    message = struct.pack("=IHHII", 16, 3, 0, 7, 0)
    assert list(split(message + message)) == [NetlinkMessage(3, 7, b"")] * 2
