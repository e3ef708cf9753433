"""ICMP echo as bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.net.icmp import echo_request, read_echo_reply, without_ipv4_header

IDS = st.integers(0, 0xFFFF)


def test_a_request_of_version_4_is_summed() -> None:
    # RFC 1071: with its checksum, the sum of a message is all ones.
    assert echo_request(4, 0x1234, 1, b"abc").hex() == "0800216812340001616263"


def test_a_carry_of_the_carry_is_added_too() -> None:
    # 0800 + ffff + f7ff + 0001 is 1ffff, and ffff + 1 carries once more.
    assert echo_request(4, 0xFFFF, 0xF7FF, b"\0\1").hex() == "0800fffefffff7ff0001"


def test_the_sum_of_a_request_of_version_6_is_the_kernels() -> None:
    assert echo_request(6, 0x1234, 1, b"abc").hex() == "8000000012340001616263"


@given(st.binary(max_size=40), IDS, IDS)
def test_with_its_checksum_a_message_sums_to_all_ones(
    payload: bytes, identifier: int, sequence: int
) -> None:
    message = echo_request(4, identifier, sequence, payload)
    message += b"\0" * (len(message) % 2)
    total = sum(int.from_bytes(message[i : i + 2], "big") for i in range(0, len(message), 2))
    assert total % 0xFFFF == 0


@pytest.mark.parametrize(("version", "kind"), [(4, 0), (6, 129)])
@given(payload=st.binary(max_size=40), identifier=IDS)
def test_a_reply_gives_its_identifier_and_payload(
    version: int, kind: int, payload: bytes, identifier: int
) -> None:
    request = echo_request(version, identifier, 7, payload)
    assert read_echo_reply(version, bytes((kind,)) + request[1:]) == (identifier, payload)
    assert read_echo_reply(version, request) is None
    assert read_echo_reply(version, bytes((kind, 1)) + request[2:]) is None


@given(st.binary(max_size=80))
def test_any_bytes_are_a_reply_or_none(data: bytes) -> None:
    for version in (4, 6):
        reply = read_echo_reply(version, data)
        assert reply is None or len(reply[1]) == len(data) - 8
    assert len(without_ipv4_header(data)) <= len(data)


def test_the_header_of_ip_may_have_options() -> None:
    assert without_ipv4_header(b"\x45" + b"x" * 19 + b"icmp") == b"icmp"
    assert without_ipv4_header(b"\x46" + b"x" * 23 + b"icmp") == b"icmp"
