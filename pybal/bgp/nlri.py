"""Prefixes on the wire: RFC 4271 section 4.3, RFC 4760 section 5. Pure."""

from __future__ import annotations

from pybal.bgp.constants import AFI_IPV4
from pybal.bgp.errors import BGPError
from pybal.bgp.prefix import Prefix

_TRAILING_BITS = tuple(0xFF00 >> bits & 0xFF for bits in range(8))


class NLRIError(BGPError):
    """The field is syntactically wrong (RFC 7606 section 5.3)."""


def encode_prefix(prefix: Prefix) -> bytes:
    """One prefix: its length in bits and as many octets as that needs."""
    length = prefix.length
    return bytes((length,)) + prefix.octets[: (length + 7) // 8]


def encode_prefixes(prefixes: tuple[Prefix, ...]) -> bytes:
    """All prefixes of a field."""
    return b"".join(map(encode_prefix, prefixes))


def decode_prefixes(data: bytes, afi: int) -> tuple[Prefix, ...]:
    """All prefixes of a field. Bits beyond a prefix's length are cleared: they are irrelevant.
    Raises NLRIError for a prefix that is too long or cut short."""
    width = 4 if afi == AFI_IPV4 else 16
    prefixes = []
    offset = 0
    end = len(data)
    while offset < end:
        length = data[offset]
        size = (length + 7) // 8
        if size > width:
            raise NLRIError(f"prefix length {length}")
        octets = data[offset + 1 : offset + 1 + size]
        if len(octets) < size:
            raise NLRIError("prefix cut short")
        bits = length % 8
        if bits:
            octets = octets[:-1] + bytes((octets[-1] & _TRAILING_BITS[bits],))
        prefixes.append(Prefix(length, octets + bytes(width - size)))
        offset += 1 + size
    return tuple(prefixes)
