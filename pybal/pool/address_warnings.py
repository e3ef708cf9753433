"""Says in the log what is odd about the addresses of a service's servers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from twisted.logger import Logger

from pybal.model import IPAddress
from pybal.pool.implausible_addresses import IsOwnAddress, shared_addresses, why_implausible

_MOST_NAMED = 10


class AddressWarnings:
    """Of one service, whose address is `vip`."""

    def __init__(self, vip: IPAddress, is_own: IsOwnAddress, log: Logger) -> None:
        self._vip = vip
        self._is_own = is_own
        self._log = log
        self._shared: Mapping[IPAddress, tuple[str, ...]] = {}

    def objection(self, host: str, address: IPAddress | None, former: IPAddress | None) -> str:
        """What speaks against an address of a server; empty if nothing does."""
        why = why_implausible(address, former, self._vip, self._is_own) if address else ""
        if not why:
            return ""
        self._log.warn("{host}: {address} {why}", host=host, address=str(address), why=why)
        return f"its address, {address}, {why}"

    def look_at(self, servers: Iterable[tuple[str, IPAddress | None]]) -> None:
        """Warn of hosts that have come to have the same address."""
        shared = shared_addresses(servers)
        for address, hosts in shared.items():
            if address not in self._shared:
                self._log.warn(
                    "{hosts} have the same address, {address}: for IPVS they are one server, with"
                    " the weight of the first that is pooled",
                    hosts=", ".join(hosts[:_MOST_NAMED]),
                    address=str(address),
                )
        self._shared = shared
