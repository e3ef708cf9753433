"""The BFD control packet: RFC 5880 sections 4.1 and 6.8.6. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from pybal.bgp.errors import BGPError

VERSION = 1
SIZE = 24
_FORMAT = struct.Struct("!BBBBIIIII")
_POLL, _FINAL, _INDEPENDENT, _AUTHENTICATED, _DEMAND, _MULTIPOINT = 32, 16, 8, 4, 2, 1


class BFDState(IntEnum):
    """RFC 5880 section 4.1."""

    ADMIN_DOWN = 0
    DOWN = 1
    INIT = 2
    UP = 3


class Diagnostic(IntEnum):
    """RFC 5880 section 4.1: those that this implementation gives."""

    NONE = 0
    DETECTION_TIME_EXPIRED = 1
    NEIGHBOR_SIGNALED_DOWN = 3
    ADMINISTRATIVELY_DOWN = 7


class BFDPacketError(BGPError):
    """A packet that section 6.8.6 says to discard."""


@dataclass(frozen=True, slots=True)
class ControlPacket:
    """A control packet; intervals in microseconds. `authenticated`: it says that it is."""

    state: BFDState
    diagnostic: int
    detect_multiplier: int
    my_discriminator: int
    your_discriminator: int
    desired_min_tx_us: int
    required_min_rx_us: int
    required_min_echo_rx_us: int = 0
    poll: bool = False
    final: bool = False
    demand: bool = False
    control_plane_independent: bool = False
    authenticated: bool = False


def encode_packet(packet: ControlPacket) -> bytes:
    """The mandatory section, 24 bytes (RFC 5880 section 4.1)."""
    flags = (
        _POLL * packet.poll
        | _FINAL * packet.final
        | _INDEPENDENT * packet.control_plane_independent
        | _DEMAND * packet.demand
    )
    return _FORMAT.pack(
        VERSION << 5 | packet.diagnostic,
        packet.state << 6 | flags,
        packet.detect_multiplier,
        SIZE,
        packet.my_discriminator,
        packet.your_discriminator,
        packet.desired_min_tx_us,
        packet.required_min_rx_us,
        packet.required_min_echo_rx_us,
    )


def with_section(data: bytes, section: bytes) -> bytes:
    """An encoded packet with its authentication section."""
    head = bytes((data[0], data[1] | _AUTHENTICATED, data[2], SIZE + len(section)))
    return head + data[4:SIZE] + section


def decode_packet(data: bytes) -> ControlPacket:
    """Parse and check what needs no session; BFDPacketError tells why a packet is discarded."""
    if len(data) < SIZE:
        raise BFDPacketError(f"{len(data)} bytes")
    first, second, multiplier, size, mine, yours, tx, rx, echo = _FORMAT.unpack_from(data)
    state = BFDState(second >> 6)
    for wrong, reason in (
        (first >> 5 != VERSION, f"version {first >> 5}"),
        (not SIZE <= size <= len(data), f"length {size}"),
        (multiplier == 0, "detect multiplier 0"),
        (second & _MULTIPOINT, "multipoint"),
        (mine == 0, "discriminator 0"),
        (yours == 0 and state > BFDState.DOWN, f"no discriminator of ours in {state.name}"),
        (second & _AUTHENTICATED and size < SIZE + 2, f"length {size} with authentication"),
    ):
        if wrong:
            raise BFDPacketError(reason)
    return ControlPacket(
        state=state,
        diagnostic=first & 31,
        detect_multiplier=multiplier,
        my_discriminator=mine,
        your_discriminator=yours,
        desired_min_tx_us=tx,
        required_min_rx_us=rx,
        required_min_echo_rx_us=echo,
        poll=bool(second & _POLL),
        final=bool(second & _FINAL),
        demand=bool(second & _DEMAND),
        control_plane_independent=bool(second & _INDEPENDENT),
        authenticated=bool(second & _AUTHENTICATED),
    )
