"""The BFD control packet, octet by octet (RFC 5880 section 4.1)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pybal.bgp.bfd.packet import (
    BFDPacketError,
    BFDState,
    ControlPacket,
    Diagnostic,
    decode_packet,
    encode_packet,
    with_section,
)

PLAIN = ControlPacket(BFDState.DOWN, 0, 3, 1, 2, 3, 4, 5)


def test_states_and_diagnostics_have_the_rfcs_numbers() -> None:
    assert [int(state) for state in BFDState] == [0, 1, 2, 3]
    assert [state.name for state in BFDState] == ["ADMIN_DOWN", "DOWN", "INIT", "UP"]
    assert {each.name: each.value for each in Diagnostic} == {
        "NONE": 0,
        "DETECTION_TIME_EXPIRED": 1,
        "NEIGHBOR_SIGNALED_DOWN": 3,
        "ADMINISTRATIVELY_DOWN": 7,
    }


@pytest.mark.parametrize(
    ("packet", "head"),
    [
        (PLAIN, "20400318"),
        (replace(PLAIN, diagnostic=31), "3f400318"),
        (replace(PLAIN, state=BFDState.ADMIN_DOWN), "20000318"),
        (replace(PLAIN, state=BFDState.UP, detect_multiplier=255), "20c0ff18"),
        (replace(PLAIN, poll=True), "20600318"),
        (replace(PLAIN, final=True), "20500318"),
        (replace(PLAIN, control_plane_independent=True), "20480318"),
        (replace(PLAIN, demand=True), "20420318"),
    ],
)
def test_each_field_has_its_place(packet: ControlPacket, head: str) -> None:
    wire = bytes.fromhex(head + "0000000100000002000000030000000400000005")
    assert encode_packet(packet) == wire
    assert decode_packet(wire) == packet


def test_what_is_not_said_is_nothing() -> None:
    least = ControlPacket(BFDState.DOWN, 0, 3, 1, 0, 0, 0)
    assert encode_packet(least).hex() == "2040031800000001" + "00000000" * 4


def test_a_section_says_that_it_is_there_and_how_long_all_is() -> None:
    signed = with_section(encode_packet(PLAIN), b"\1\5\7ab")
    assert signed.hex() == "2044031d0000000100000002000000030000000400000005" + ("0105076162")
    assert decode_packet(signed) == replace(PLAIN, authenticated=True)


@pytest.mark.parametrize(
    ("at", "octet", "why"),
    [
        (0, 0x40, "version 2"),
        (1, 0x41, "multipoint"),
        (1, 0x44, "length 24 with authentication"),
        (2, 0, "detect multiplier 0"),
        (3, 23, "length 23"),
        (3, 25, "length 25"),
        (7, 0, "discriminator 0"),
    ],
)
def test_what_is_discarded_is_named(at: int, octet: int, why: str) -> None:
    """RFC 5880 section 6.8.6."""
    wire = bytearray(encode_packet(PLAIN))
    wire[at] = octet
    with pytest.raises(BFDPacketError, match=f"^{why}$"):
        decode_packet(bytes(wire))
    with pytest.raises(BFDPacketError, match=r"^23 bytes$"):
        decode_packet(bytes(wire[:23]))


def test_only_a_session_that_begins_needs_no_discriminator_of_ours() -> None:
    for state, taken in zip(BFDState, (True, True, False, False), strict=True):
        packet = replace(PLAIN, state=state, your_discriminator=0)
        if taken:
            assert decode_packet(encode_packet(packet)) == packet
        else:
            with pytest.raises(BFDPacketError, match=f"no discriminator of ours in {state.name}"):
                decode_packet(encode_packet(packet))


def test_authentication_needs_two_octets_and_a_longer_datagram_is_cut() -> None:
    wire = bytearray(encode_packet(PLAIN) + b"\1\2rest")
    wire[1] |= 4
    wire[3] = 25
    with pytest.raises(BFDPacketError, match=r"^length 25 with authentication$"):
        decode_packet(bytes(wire))
    wire[3] = 26
    assert decode_packet(bytes(wire)).authenticated
