"""What --check-config says of what a restart would end."""

from __future__ import annotations

from pathlib import Path

import pytest

from pybal.config.handover_notes import handover_notes
from tests.config.texts import load

TEXT = """[global]
bgp = yes
bgp-local-asn = 64600
bgp-peer-address = ['192.0.2.1']
bgp-nexthop-ipv4 = 192.0.2.254
bgp-nexthop-ipv6 = 2001:db8::1
{own}
"""


def notes(tmp_path: Path, own: str) -> list[str]:
    path = tmp_path / "pybal.conf"
    path.write_text(TEXT.format(own=own))
    settings = load(path).settings
    assert settings is not None
    return handover_notes(settings)


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ("bgp-bfd = yes", "BFD finds us gone after 0.9 s"),
        ("bgp-hold-time = 3", "hold time of 3 s the session with 192.0.2.1"),
        ("bgp-hold-time = 5", "hold time of 5 s the session with 192.0.2.1"),
        ("[[peers 198.51.100.0/24]]\nbgp-hold-time = 3", "the session with 198.51.100.0/24"),
        ("[[peer eth0]]\nbgp-hold-time = 3", "the session with eth0"),
    ],
)
def test_a_peer_that_would_notice_is_named(tmp_path: Path, own: str, words: str) -> None:
    [note] = notes(tmp_path, own)
    assert words in note
    assert notes(tmp_path, f"handover = no\n{own}") == []


@pytest.mark.parametrize(
    "own",
    ["", "bgp-bfd = yes\nbgp-bfd-interval = 1000", "bgp-hold-time = 6", "bgp-hold-time = 0"],
)
def test_others_are_not(tmp_path: Path, own: str) -> None:
    assert notes(tmp_path, own) == []
