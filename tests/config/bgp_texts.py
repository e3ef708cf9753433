"""Texts of pybal.conf that are about BGP, read."""

from __future__ import annotations

from pybal.config.settings import (
    BGPPeerOptions,
    BGPSettings,
    ServiceSettings,
)
from tests.config.texts import GLOBAL_BGP, service, settings

TWO_PEERS = GLOBAL_BGP.replace("198.51.100.1", "['198.51.100.1', '2001:db8::1']")

LINES = GLOBAL_BGP.count("\n")


def bgp(lines: str, start: str = GLOBAL_BGP) -> BGPSettings:
    found = settings(f"{start}{lines}\n{service()}").bgp
    assert found is not None
    return found


def options(lines: str) -> BGPPeerOptions:
    (peer,) = bgp(lines).peers
    return peer.options


def announced(**keys: str) -> ServiceSettings:
    (found,) = settings(GLOBAL_BGP + service(**keys)).services
    return found
