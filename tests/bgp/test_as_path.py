"""AS paths of two and of four octets, and how a true path is put together again."""

from __future__ import annotations

import pytest

from pybal.bgp.as_path import (
    decode_as_path,
    encode_as_path,
    merge_as4_path,
    needs_as4_path,
    path_length,
    sequence,
    without_confederation,
)
from pybal.bgp.constants import AS_TRANS, SegmentType
from pybal.bgp.errors import EncodeError
from pybal.bgp.messages import ASPath, Segment

SET = Segment(SegmentType.AS_SET, (1, 2, 3))
CONFEDERATION = Segment(SegmentType.AS_CONFED_SEQUENCE, (64600, 64601))


@pytest.mark.parametrize(
    ("asns", "needed"), [((65535,), False), ((65536,), True), ((1, 70000), True), ((), False)]
)
def test_the_largest_asn_of_two_octets_is_65535(asns: tuple[int, ...], needed: bool) -> None:
    assert needs_as4_path(sequence(asns)) is needed
    short = encode_as_path(sequence(asns), four_octet=False)
    [*segments] = decode_as_path(short, four_octet=False)
    told = tuple(asn for segment in segments for asn in segment.asns)
    assert told == tuple(AS_TRANS if asn > 65535 else asn for asn in asns)


def test_a_long_path_takes_segments_of_255() -> None:
    path = sequence(tuple(range(1, 257)))
    assert [len(segment.asns) for segment in path] == [255, 1]
    assert decode_as_path(encode_as_path(path, four_octet=True), four_octet=True) == path


@pytest.mark.parametrize("count", [0, 256])
def test_a_segment_has_1_to_255_asns(count: int) -> None:
    with pytest.raises(EncodeError, match=f"{count} ASNs"):
        encode_as_path((Segment(SegmentType.AS_SEQUENCE, (1,) * count),), four_octet=True)


@pytest.mark.parametrize("octets", ["02", "0200", "020100", "02020001", "02010000", "05010001"])
def test_what_is_malformed_is_refused(octets: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_as_path(bytes.fromhex(octets), four_octet=False)


def test_a_set_counts_once_and_a_confederation_not_at_all() -> None:
    path = (CONFEDERATION, *sequence((10, 20)), SET)
    assert path_length(path) == 3
    assert without_confederation(path) == (*sequence((10, 20)), SET)


@pytest.mark.parametrize(
    ("path", "as4_path", "merged"),
    [
        # As long as one another: AS4_PATH is the whole truth.
        (sequence((AS_TRANS, 2)), sequence((70000, 2)), sequence((70000, 2))),
        # The first ASN did not know of AS4_PATH.
        (
            sequence((1, AS_TRANS)),
            sequence((70000,)),
            (*sequence((1,)), *sequence((70000,))),
        ),
        # Longer than the AS_PATH: ignored.
        (sequence((1,)), sequence((2, 3)), sequence((1,))),
        # A confederation in front stays and does not count.
        (
            (CONFEDERATION, *sequence((1, 2))),
            sequence((2,)),
            (CONFEDERATION, *sequence((1,)), *sequence((2,))),
        ),
        # A set in front counts once.
        (
            (SET, *sequence((1, 2, 3))),
            sequence((2, 3)),
            (SET, *sequence((1,)), *sequence((2, 3))),
        ),
        ((SET, SET, *sequence((3,))), sequence((3,)), (SET, SET, *sequence((3,)))),
    ],
)
def test_the_true_path_is_put_together_again(
    path: ASPath, as4_path: ASPath, merged: ASPath
) -> None:
    assert merge_as4_path(path, as4_path) == merged
