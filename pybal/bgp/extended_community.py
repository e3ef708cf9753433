"""Extended communities that we make ourselves, and their text. Pure."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

from pybal.bgp.constants import AS_TRANS

_LINK_BANDWIDTH = 0x4004  # non-transitive, two-octet AS (draft-ietf-idr-link-bandwidth)
_NAMES = {2: "rt", 3: "soo"}


def link_bandwidth(asn: int, bytes_per_s: float) -> bytes:
    """The capacity of a way, which routers share traffic by."""
    return struct.pack("!HHf", _LINK_BANDWIDTH, asn if asn <= 0xFFFF else AS_TRANS, bytes_per_s)


def is_link_bandwidth(community: bytes) -> bool:
    """Whether the eight bytes are a link bandwidth."""
    return int.from_bytes(community[:2], "big") == _LINK_BANDWIDTH


def community_text(community: bytes) -> str:
    """As the configuration writes it; the link bandwidth in bytes a second."""
    kind, subtype = community[0], community[1]
    if is_link_bandwidth(community):
        [bytes_per_s] = struct.unpack("!f", community[4:])
        return f"link-bandwidth:{int.from_bytes(community[2:4], 'big')}:{bytes_per_s:.0f}"
    name = _NAMES.get(subtype)
    if name is None or kind not in (0, 1, 2):
        return f"0x{community.hex()}"
    width = 2 if kind == 0 else 4
    head, tail = community[2 : 2 + width], community[2 + width :]
    first = str(IPv4Address(head)) if kind == 1 else str(int.from_bytes(head, "big"))
    return f"{name}:{first}:{int.from_bytes(tail, 'big')}"
