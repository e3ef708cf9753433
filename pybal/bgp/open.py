"""OPEN: RFC 4271 sections 4.2 and 6.2, RFC 5492, RFC 6793, RFC 9072. Pure."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

from pybal.bgp.capabilities import (
    CapabilityError,
    decode_capabilities,
    encode_capabilities,
    split_capabilities,
)
from pybal.bgp.constants import AS_TRANS, BGP_VERSION, ErrorCode, OpenSubcode
from pybal.bgp.errors import EncodeError, NotificationError
from pybal.bgp.messages import Capabilities, Open

_FIXED = struct.Struct("!BHH4sB")
_CAPABILITIES = 2
_EXTENDED = 255  # RFC 9072: marks the longer form of the parameters' length


def encode_open(message: Open) -> bytes:
    """The body of an OPEN. EncodeError if the capabilities exceed 252 bytes."""
    wire_asn = message.asn if message.asn <= 0xFFFF else AS_TRANS
    parameters = b""
    if message.capabilities is not None:
        # One parameter for all: some old speakers expect it, all accept it.
        items = encode_capabilities(message.capabilities)
        value = b"".join(bytes((code, len(item))) + item for code, item in items)
        if len(value) > 252:
            raise EncodeError(f"capabilities of {len(value)} bytes")
        parameters = bytes((_CAPABILITIES, len(value))) + value
    identifier = message.bgp_identifier.packed
    head = _FIXED.pack(BGP_VERSION, wire_asn, message.hold_time_s, identifier, len(parameters))
    return head + parameters


def decode_open(body: bytes) -> Open:
    """Parse and check all of section 6.2 that needs no configuration.

    Raises NotificationError(OPEN Message Error); the version error carries the largest
    version spoken here, as section 6.2 asks.
    """
    if len(body) < _FIXED.size:
        raise _error(OpenSubcode.UNSPECIFIC, b"", "cut short")
    version, wire_asn, hold_time_s, identifier, size = _FIXED.unpack_from(body)
    if version != BGP_VERSION:
        data = BGP_VERSION.to_bytes(2, "big")
        raise _error(OpenSubcode.UNSUPPORTED_VERSION, data, f"version {version}")
    capabilities = _decode_parameters(body[_FIXED.size :], size)
    asn = wire_asn
    if capabilities is not None and capabilities.four_octet_asn is not None:
        asn = capabilities.four_octet_asn
    if asn == 0 or wire_asn == 0:
        raise _error(OpenSubcode.BAD_PEER_AS, b"", "ASN 0")
    if 0 < hold_time_s < 3:
        data = hold_time_s.to_bytes(2, "big")
        raise _error(OpenSubcode.UNACCEPTABLE_HOLD_TIME, data, f"{hold_time_s} s")
    if identifier == bytes(4):
        raise _error(OpenSubcode.BAD_BGP_IDENTIFIER, b"", "0.0.0.0")
    return Open(asn, hold_time_s, IPv4Address(identifier), capabilities)


def _decode_parameters(data: bytes, size: int) -> Capabilities | None:
    length_size = 1
    # RFC 9072 section 2: of the one-octet length only that it is not 0 counts then.
    if size and data[:1] == bytes((_EXTENDED,)):
        if len(data) < 3:
            raise _error(OpenSubcode.UNSPECIFIC, b"", "optional parameters cut short")
        size = int.from_bytes(data[1:3], "big")
        data = data[3:]
        length_size = 2
    if size != len(data):
        raise _error(OpenSubcode.UNSPECIFIC, b"", "optional parameters of a wrong length")
    if not data:
        return None
    items: tuple[tuple[int, bytes], ...] = ()
    for kind, value in _split_parameters(data, length_size):
        if kind != _CAPABILITIES:
            raise _error(OpenSubcode.UNSUPPORTED_OPTIONAL_PARAMETER, b"", f"parameter {kind}")
        try:
            items += split_capabilities(value)
        except CapabilityError as error:
            raise _error(OpenSubcode.UNSPECIFIC, b"", str(error)) from None
    return decode_capabilities(items)


def _split_parameters(data: bytes, length_size: int) -> list[tuple[int, bytes]]:
    parameters = []
    offset = 0
    while offset < len(data):
        start = offset + 1 + length_size
        size = int.from_bytes(data[offset + 1 : start], "big")
        if start + size > len(data):
            raise _error(OpenSubcode.UNSPECIFIC, b"", "optional parameter cut short")
        parameters.append((data[offset], data[start : start + size]))
        offset = start + size
    return parameters


def _error(subcode: OpenSubcode, data: bytes, detail: str) -> NotificationError:
    return NotificationError(ErrorCode.OPEN_MESSAGE, subcode, data, detail)
