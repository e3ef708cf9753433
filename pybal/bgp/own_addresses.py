"""Which of the prefixes that peers announce are about addresses of ours. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from pybal.bgp.constants import SUPPORTED_FAMILIES, Family
from pybal.bgp.prefix import OCTETS, Prefix
from pybal.model import IPAddress


class OwnAddresses:
    """Addresses that are ours, to be asked for what concerns them; never changes."""

    def __init__(self, addresses: Iterable[IPAddress] = ()) -> None:
        self.prefixes = frozenset(map(Prefix.host, addresses))
        octets = sorted(prefix.octets for prefix in self.prefixes)
        self._sorted = {
            family: [each for each in octets if len(each) == OCTETS[family]]
            for family in SUPPORTED_FAMILIES
        }

    def concern(self, prefix: Prefix) -> bool:
        """Whether one of them is within the prefix. Everything (a default route) is about nobody.
        Takes logarithmic time."""
        length, octets = prefix
        if length == len(octets) * 8:
            return prefix in self.prefixes
        if length == 0:
            return False
        addresses = self._sorted[prefix.family]
        index = bisect_left(addresses, octets)
        return index < len(addresses) and prefix_covers(prefix, addresses[index])

    def families_beyond(self, before: OwnAddresses) -> tuple[Family, ...]:
        """Of the addresses that `before` has not."""
        found = {prefix.family for prefix in self.prefixes - before.prefixes}
        return tuple(family for family in SUPPORTED_FAMILIES if family in found)


def prefix_covers(prefix: Prefix, octets: bytes) -> bool:
    """Whether an address of the same family is within the prefix."""
    length, network = prefix
    if len(network) != len(octets):
        return False
    whole, bits = divmod(length, 8)
    if network[:whole] != octets[:whole]:
        return False
    return not bits or (network[whole] ^ octets[whole]) >> (8 - bits) == 0
