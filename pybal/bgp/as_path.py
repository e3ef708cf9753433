"""AS paths on the wire: RFC 4271 section 4.3, RFC 6793, RFC 7606 section 7.2, RFC 7607. Pure."""

from __future__ import annotations

import struct

from pybal.bgp.constants import AS_TRANS, SegmentType
from pybal.bgp.errors import EncodeError
from pybal.bgp.messages import ASPath, Segment

_MAX_SEGMENT = 255
_CONFEDERATION = (SegmentType.AS_CONFED_SEQUENCE, SegmentType.AS_CONFED_SET)


def sequence(asns: tuple[int, ...]) -> ASPath:
    """One AS_SEQUENCE of these ASNs (as many segments as it takes); no ASNs, no segment."""
    return tuple(
        Segment(SegmentType.AS_SEQUENCE, asns[i : i + _MAX_SEGMENT])
        for i in range(0, len(asns), _MAX_SEGMENT)
    )


def encode_as_path(path: ASPath, *, four_octet: bool) -> bytes:
    """For a 2-octet peer, ASNs that do not fit become AS_TRANS (RFC 6793 section 4.2.2). Raises
    EncodeError for a segment without ASNs, or with too many."""
    parts = []
    for segment in path:
        if not 1 <= len(segment.asns) <= _MAX_SEGMENT:
            raise EncodeError(f"an AS path segment of {len(segment.asns)} ASNs")
        asns = segment.asns
        if not four_octet:
            asns = tuple(asn if asn <= 0xFFFF else AS_TRANS for asn in asns)
        code = "I" if four_octet else "H"
        parts.append(struct.pack(f"!BB{len(asns)}{code}", segment.kind, len(asns), *asns))
    return b"".join(parts)


def decode_as_path(data: bytes, *, four_octet: bool) -> ASPath:
    """Raises ValueError for all that RFC 7606 section 7.2 and RFC 7607 call malformed."""
    width = 4 if four_octet else 2
    code = "I" if four_octet else "H"
    segments = []
    offset = 0
    while offset < len(data):
        if len(data) - offset < 2:
            raise ValueError("a segment header cut short")
        kind, count = data[offset], data[offset + 1]
        end = offset + 2 + count * width
        if count == 0 or end > len(data):
            raise ValueError(f"a segment of {count} ASNs")
        asns = struct.unpack_from(f"!{count}{code}", data, offset + 2)
        if 0 in asns:
            raise ValueError("ASN 0")
        segments.append(Segment(SegmentType(kind), asns))
        offset = end
    return tuple(segments)


def without_confederation(path: ASPath) -> ASPath:
    """AS4_PATH never carries confederation segments (RFC 6793 section 3)."""
    return tuple(segment for segment in path if segment.kind not in _CONFEDERATION)


def needs_as4_path(path: ASPath) -> bool:
    """Whether it holds an ASN that an old speaker cannot read (RFC 6793)."""
    return any(asn > 0xFFFF for segment in path for asn in segment.asns)


def path_length(path: ASPath) -> int:
    """RFC 4271 section 9.1.2.2: a set counts once; RFC 5065: confederations do not count."""
    return sum(
        1 if segment.kind is SegmentType.AS_SET else len(segment.asns)
        for segment in without_confederation(path)
    )


def merge_as4_path(path: ASPath, as4_path: ASPath) -> ASPath:
    """Rebuild the true path from AS_PATH and AS4_PATH (RFC 6793 section 4.2.3).

    The leading ASNs of AS_PATH that AS4_PATH lacks are kept and AS4_PATH follows; an
    AS4_PATH longer than AS_PATH is ignored.
    """
    surplus = path_length(path) - path_length(as4_path)
    if surplus < 0:
        return path
    return _leading(path, surplus) + as4_path


def _leading(path: ASPath, count: int) -> ASPath:
    kept: list[Segment] = []
    for segment in path:
        if segment.kind in _CONFEDERATION:
            kept.append(segment)
            continue
        if count <= 0:
            break
        if segment.kind is SegmentType.AS_SET:
            kept.append(segment)
            count -= 1
        else:
            kept.append(Segment(segment.kind, segment.asns[:count]))
            count -= len(segment.asns[:count])
    return tuple(kept)
