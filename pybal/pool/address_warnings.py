"""Says in the log what is odd about the addresses of a service's servers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from twisted.logger import Logger

from pybal.model import IPAddress
from pybal.pool.implausible_addresses import IsOwnAddress, why_implausible
from pybal.runtime.naming import named


class AddressWarnings:
    """Of one service, whose address is `vip`."""

    def __init__(self, vip: IPAddress, is_own: IsOwnAddress, log: Logger) -> None:
        self._vip = vip
        self._is_own = is_own
        self._log = log
        self._addresses: dict[str, IPAddress] = {}
        self._by_address: dict[IPAddress, str | dict[str, None]] = {}
        """The host, or all hosts where several share an address: a map for each of thousands would
        take megabytes."""
        self._positions: dict[str, int] = {}
        """In the pool list."""
        self._told: set[IPAddress] = set()
        """Those that are shared, and of which it was said."""

    def objection(self, host: str, address: IPAddress | None, former: IPAddress | None) -> str:
        """What speaks against an address of a server; empty if nothing does."""
        why = why_implausible(address, former, self._vip, self._is_own) if address else ""
        if not why:
            return ""
        self._log.warn("{host}: {address} {why}", host=host, address=str(address), why=why)
        return f"its address, {address}, {why}"

    def at(self, address: IPAddress) -> tuple[str, ...]:
        """The hosts that were last seen to have it."""
        hosts = self._by_address.get(address, ())
        return (hosts,) if isinstance(hosts, str) else tuple(hosts)

    def look_at(self, servers: Iterable[tuple[str, IPAddress | None]]) -> None:
        """These are all hosts. Warn of those that have come to have the same address."""
        told, now = set(self._told), dict(servers)
        self._positions = dict(zip(now, range(len(now)), strict=True))
        for host in [host for host in self._addresses if host not in now]:
            self._take_out(host, self._addresses.pop(host))
        for host, address in now.items():
            former = self._addresses.get(host)
            if address is not former and address != former:
                self._move(host, address)
        for address in self._shared():
            if address not in told:
                self._warn(address)

    def came(self, host: str, address: IPAddress | None) -> None:
        """A host of a list is there from now on. If it shares its address that is said when all of
        the list are (`look_at`)."""
        self._move(host, address)

    def moved(self, host: str, address: IPAddress | None) -> None:
        """The same, of a host whose address is another one now."""
        self._move(host, address)
        if address is None:
            return
        hosts = self._by_address[address]
        if not isinstance(hosts, str) and len(hosts) == 2:
            self._warn(address)

    def _shared(self) -> Iterator[IPAddress]:
        for address, hosts in self._by_address.items():
            if not isinstance(hosts, str):
                yield address

    def _move(self, host: str, address: IPAddress | None) -> None:
        former = self._addresses.pop(host, None)
        if former is not None:
            self._take_out(host, former)
        self._put(host, address)

    def _put(self, host: str, address: IPAddress | None) -> None:
        if address is None:
            return
        self._addresses[host] = address
        there = self._by_address.setdefault(address, host)
        if there == host:
            return
        if isinstance(there, str):
            self._by_address[address] = {there: None, host: None}
        else:
            there[host] = None

    def _take_out(self, host: str, address: IPAddress) -> None:
        hosts = self._by_address[address]
        if isinstance(hosts, str):
            del self._by_address[address]
            return
        del hosts[host]
        if len(hosts) == 1:
            self._told.discard(address)
            (self._by_address[address],) = hosts

    def _warn(self, address: IPAddress) -> None:
        self._told.add(address)
        hosts = sorted(self.at(address), key=lambda host: self._positions.get(host, 0))
        self._log.warn(
            "{hosts} have the same address, {address}: for IPVS they are one server, with the"
            " weight of the first that is pooled",
            hosts=named(hosts),
            address=str(address),
        )
