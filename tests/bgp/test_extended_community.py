"""Extended communities that we make, and how they are written (RFC 4360, RFC 5668)."""

from __future__ import annotations

import pytest

from pybal.bgp.extended_community import community_text, link_bandwidth
from pybal.config.bgp_kinds import EXTENDED_COMMUNITIES


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("rt:64600:100", "0002fc5800000064"),
        ("soo:64600:4294967295", "0003fc58ffffffff"),
        ("rt:4200000000:7", "0202fa56ea000007"),
        ("soo:192.0.2.1:65535", "0103c0000201ffff"),
        ("0x4004fc5800000001", "4004fc5800000001"),
    ],
)
def test_what_the_configuration_says_and_what_is_sent(text: str, octets: str) -> None:
    assert EXTENDED_COMMUNITIES.parse(text) == (bytes.fromhex(octets),)
    if not octets.startswith("4004"):
        assert community_text(bytes.fromhex(octets)) == text


def test_the_link_bandwidth_is_a_float_of_bytes_a_second() -> None:
    assert link_bandwidth(64600, 1.25e9).hex() == "4004fc584e9502f9"
    assert community_text(link_bandwidth(64600, 1.25e9)) == "link-bandwidth:64600:1250000000"
    assert link_bandwidth(4200000000, 1.0)[2:4].hex() == "5ba0", "AS_TRANS"
    assert link_bandwidth(65535, 1.0)[2:4].hex() == "ffff"
    assert link_bandwidth(65536, 1.0)[2:4].hex() == "5ba0"


@pytest.mark.parametrize(
    "octets",
    [
        "030c000000000008",  # opaque, the encapsulation
        "0302000000000008",  # opaque, whatever 2 may be there
        "0004fc5800000064",  # of an AS, but neither a target nor an origin
    ],
)
def test_what_has_no_words_is_shown_as_it_is(octets: str) -> None:
    assert community_text(bytes.fromhex(octets)) == f"0x{octets}"
