"""Netlink's frames and attributes, byte for byte (netlink(7)): sizes, padding, their borders."""

from __future__ import annotations

from typing import Any

import pytest

from pybal.ipvs import wire
from pybal.ipvs.messages import AttributeMap
from pybal.ipvs.wire import MalformedMessageError, Nesting, NetlinkMessage, Reader, Writer

MAP: AttributeMap = (
    ("X_ATTR_UNSPEC", "none"),
    ("X_ATTR_BYTE", "uint8"),
    ("X_ATTR_TEXT", "asciiz"),
    ("X_ATTR_INNER", "service"),
    ("X_ATTR_NUMBER", "uint32"),
)


def message(payload: bytes, *, size: int | None = None, kind: int = 20, sequence: int = 7) -> bytes:
    size = 16 + len(payload) if size is None else size
    head = size.to_bytes(4, "little") + kind.to_bytes(2, "little") + b"\0\0"
    return head + sequence.to_bytes(4, "little") + bytes(4) + payload


def attribute(number: int, value: bytes, *, size: int | None = None) -> bytes:
    size = 4 + len(value) if size is None else size
    return size.to_bytes(2, "little") + number.to_bytes(2, "little") + value


def read(data: bytes) -> tuple[Any, ...]:
    return Reader(MAP, "BYTE", "TEXT", "INNER", "NUMBER")(data)


def test_numbers_are_those_of_netlink() -> None:
    # linux/netlink.h: NLMSG_ERROR, NLMSG_DONE; NLM_F_REQUEST, NLM_F_ACK, NLM_F_ROOT | NLM_F_MATCH.
    assert wire.FINAL == (2, 3)
    assert (wire.NLM_F_REQUEST, wire.NLM_F_ACK, wire.NLM_F_DUMP) == (1, 4, 0x300)


def test_a_datagram_is_cut_at_multiples_of_four() -> None:
    data = message(b"") + message(b"abcde") + bytes(3) + message(b"fg", kind=2, sequence=9)
    assert list(wire.split(data)) == [
        NetlinkMessage(20, 7, b""),
        NetlinkMessage(20, 7, b"abcde"),
        NetlinkMessage(2, 9, b"fg"),
    ]
    assert list(wire.split(b"")) == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (message(b"")[:15], "15 bytes where a netlink header should be"),
        (message(b"") + b"\0", "1 bytes where a netlink header should be"),
        (message(b"", size=15), "a message of 15 bytes with 16 left"),
        (message(b"abcd", size=21), "a message of 21 bytes with 20 left"),
        (message(b"") + message(b"", size=17), "a message of 17 bytes with 16 left"),
    ],
)
def test_a_message_that_does_not_fit_is_an_error(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedMessageError, match=f"^{reason}$"):
        list(wire.split(data))


def test_a_status_has_four_octets_at_least() -> None:
    assert wire.status(NetlinkMessage(2, 1, (-17).to_bytes(4, "little", signed=True))) == 17
    assert wire.status(NetlinkMessage(2, 1, bytes(4) + message(b""))) == 0
    with pytest.raises(MalformedMessageError, match="a status of 3 bytes"):
        wire.status(NetlinkMessage(2, 1, bytes(3)))


def test_a_request_has_both_headers() -> None:
    # linux/netlink.h: NLM_F_REQUEST 1, NLM_F_ACK 4, NLM_F_DUMP 0x300
    flags = wire.NLM_F_ACK | wire.NLM_F_DUMP
    assert wire.request(21, flags, 7, 4, 1, b"body").hex(" ", 4) == (
        "18000000 15000503 07000000 00000000 04010000 626f6479"
    )
    assert wire.body(NetlinkMessage(21, 7, b"\4\1\0\0body")) == b"body"


def test_attributes_are_padded_to_multiples_of_four() -> None:
    write = Writer(MAP, "BYTE", "TEXT", "NUMBER")
    for _ in range(2):  # The second time by what was laid out for the first.
        assert write(5, b"abcde", 6).hex(" ", 4) == (
            "05000100 05000000 09000200 61626364 65000000 08000400 06000000"
        )
    assert write(5, b"", 6).hex(" ", 4) == "05000100 05000000 04000200 08000400 06000000"


def test_a_nested_attribute_is_flagged_and_has_the_size_of_what_it_holds() -> None:
    write, content = Nesting(MAP, "INNER"), Writer(MAP, "BYTE", "TEXT")
    assert write(content(5, b"de")).hex(" ", 4) == "14000380 05000100 05000000 06000200 64650000"
    assert write(b"").hex(" ", 4) == "04000380"


def test_an_attribute_is_known_by_its_number_without_its_flags() -> None:
    # NLA_F_NESTED and NLA_F_NET_BYTEORDER.
    data = (
        attribute(0x8003, b"abcd") + attribute(0x4002, b"x\0\0\0") + attribute(0xC004, b"\5\0\0\0")
    )
    assert read(data) == (None, b"x\0\0\0", b"abcd", 5)


def test_the_last_of_equal_attributes_counts_and_unknown_ones_do_not() -> None:
    data = attribute(4, b"\1\0\0\0") + attribute(99, b"abc") + b"\0" + attribute(4, b"\2\0\0\0")
    assert read(data) == (None, None, None, 2)
    assert read(b"") == (None, None, None, None)


def test_the_last_attribute_needs_no_padding_and_less_than_a_header_is_none() -> None:
    assert read(attribute(2, b"ab")) == (None, b"ab", None, None)
    assert read(attribute(2, b"")) == (None, b"", None, None)
    assert read(attribute(4, b"\6\0\0\0") + attribute(2, b"")) == (None, b"", None, 6)
    assert read(attribute(2, b"abcd") + bytes(3)) == (None, b"abcd", None, None)


def test_a_number_may_have_more_octets_than_it_needs() -> None:
    assert read(attribute(1, b"\5\0\0\0") + attribute(4, b"\6\0\0\0\0\0\0\0")) == (5, None, None, 6)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (attribute(2, b"", size=3), "an attribute of 3 bytes, not 4"),
        (attribute(2, b"abcd", size=9), "an attribute of 9 bytes, not 8"),
        (attribute(2, b"") + attribute(2, b"", size=5), "an attribute of 5 bytes, not 4"),
        (attribute(4, b"\1\0\0"), "a number of 3 bytes, not 4"),
    ],
)
def test_an_attribute_that_does_not_fit_is_an_error(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedMessageError, match=f"^{reason}$"):
        read(data)


def test_what_was_learnt_of_a_length_serves_no_other_order() -> None:
    reader = Reader(MAP, "BYTE", "NUMBER")
    one = attribute(1, b"\5\0\0\0") + attribute(4, b"\6\0\0\0")
    other = attribute(4, b"\6\0\0\0") + attribute(1, b"\5\0\0\0")
    for data in (one, other, one, one, other):
        assert reader(data) == (5, 6)
    assert reader(attribute(1, b"\5\0\0\0") + attribute(9, b"\6\0\0\0")) == (5, None)


def test_ever_new_lengths_are_read_without_end() -> None:
    reader = Reader(MAP, "TEXT", "NUMBER")
    for _ in range(2):
        for size in range(0, 800, 4):
            assert reader(attribute(2, b"x" * size)) == (b"x" * size, None)
