"""What a service wants announced. Pure."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple, Union

from pybal.model import IPAddress

IPNetwork = Union[IPv4Network, IPv6Network]
LargeCommunity = tuple[int, int, int]


class Advertisement(NamedTuple):
    """One address that a service wants announced: as a host route, unless `host` is False, and as a
    part of the prefix `aggregate`. None: the global value; but of the link bandwidth, in bytes a
    second, it is none."""

    address: IPAddress
    med: int | None = None
    communities: tuple[int, ...] | None = None
    large_communities: tuple[LargeCommunity, ...] | None = None
    extended_communities: tuple[bytes, ...] | None = None
    link_bandwidth: float | None = None
    aggregate: IPNetwork | None = None
    host: bool = True
