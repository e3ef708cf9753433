"""A network prefix, small enough that ten thousand of them cost nothing to compare. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

from pybal.bgp.advertisement import Advertisement
from pybal.bgp.constants import IPV4_UNICAST, IPV6_UNICAST, Family
from pybal.model import IPAddress

OCTETS = {IPV4_UNICAST: 4, IPV6_UNICAST: 16}


class Prefix(NamedTuple):
    """`octets` is the whole address (4 or 16 bytes), zero beyond `length` bits."""

    length: int
    octets: bytes

    @classmethod
    def host(cls, address: IPAddress) -> Prefix:
        """The /32 or /128 of one address."""
        packed = address.packed
        return cls(len(packed) * 8, packed)

    @classmethod
    def of(cls, network: IPv4Network | IPv6Network) -> Prefix:
        """The same network, in this form."""
        return cls(network.prefixlen, network.network_address.packed)

    @property
    def family(self) -> Family:
        """Unicast, of the version that its octets say."""
        return IPV4_UNICAST if len(self.octets) == 4 else IPV6_UNICAST

    def __str__(self) -> str:
        packed = self.octets
        address = IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)
        return f"{address}/{self.length}"


def prefixes_of(wish: Advertisement) -> Iterator[Prefix]:
    """What routers are told for it."""
    if wish.host:
        yield Prefix.host(wish.address)
    if wish.aggregate is not None:
        yield Prefix.of(wish.aggregate)
