"""Echo requests and replies (RFC 792, RFC 4443 section 4) as bytes. Pure."""

from __future__ import annotations

import struct

REPLY_TYPES = {4: 0, 6: 129}
_REQUEST_TYPES = {4: 8, 6: 128}
_HEADER = struct.Struct("!BBHHH")


def echo_request(version: int, identifier: int, sequence: int, payload: bytes) -> bytes:
    """A request; the checksum of version 6 is left to the kernel, which knows the addresses."""
    kind = _REQUEST_TYPES[version]
    unsummed = _HEADER.pack(kind, 0, 0, identifier, sequence) + payload
    checksum = _checksum(unsummed) if version == 4 else 0
    return _HEADER.pack(kind, 0, checksum, identifier, sequence) + payload


def read_echo_reply(version: int, data: bytes) -> tuple[int, bytes] | None:
    """Identifier and payload of a reply; None for anything else."""
    if len(data) < _HEADER.size:
        return None
    kind, code, _, identifier, _ = _HEADER.unpack_from(data)
    if (kind, code) != (REPLY_TYPES[version], 0):
        return None
    return identifier, data[_HEADER.size :]


def without_ipv4_header(packet: bytes) -> bytes:
    """What a raw socket of version 4 received, less the header that the kernel leaves on it."""
    return packet[(packet[0] & 0x0F) * 4 :] if packet else b""


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
