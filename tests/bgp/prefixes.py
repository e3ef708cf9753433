"""Prefixes as people write them."""

from __future__ import annotations

from ipaddress import ip_network

from pybal.bgp.prefix import Prefix


def prefix_of(text: str) -> Prefix:
    """From `10.0.0.0/8` or `2001:db8::/32`."""
    return Prefix.of(ip_network(text))
