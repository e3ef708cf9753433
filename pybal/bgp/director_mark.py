"""The large community by which directors know one another's routes, and their own again. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address

from pybal.bgp.advertisement import LargeCommunity
from pybal.bgp.constants import BGP_PORT

_MARK = BGP_PORT


def mark(asn: int, router_id: IPv4Address) -> LargeCommunity:
    """On all that we announce, so that we know it when a router sends it back: some do, as their
    own next hop."""
    return asn, _MARK, int(router_id)


def is_marked(communities: Iterable[LargeCommunity]) -> bool:
    """Whether some director announced what has these."""
    return any(number == _MARK for _, number, _ in communities)
