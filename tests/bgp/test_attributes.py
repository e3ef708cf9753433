"""One attribute on the wire: its header, and what is wrong with a value (RFC 4271 section 4.3)."""

from __future__ import annotations

import pytest

from pybal.bgp.attributes import encode_attribute


@pytest.mark.parametrize(
    ("length", "header"), [(0, "c00800"), (255, "c008ff"), (256, "d0080100"), (4000, "d0080fa0")]
)
def test_only_what_is_longer_than_255_has_an_extended_length(length: int, header: str) -> None:
    value = bytes(range(256)) * 16
    encoded = encode_attribute(8, 0xC0, value[:length])
    assert encoded == bytes.fromhex(header) + value[:length]
