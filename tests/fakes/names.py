"""A NamesClient and a HostLookUp whose name servers are the test."""

from __future__ import annotations

from ipaddress import ip_address

from twisted.internet.defer import Deferred

from pybal.errors import ResolutionError
from pybal.model import IPAddress
from pybal.names.parsing import Addresses


class FakeNamesClient:
    """Queries wait for the test's answer, unless `known` holds it already."""

    def __init__(self) -> None:
        self.hosts: dict[tuple[str, int], Addresses] = {}
        self.known: dict[str, Addresses] = {}
        self.asked: list[tuple[str, int]] = []
        self.waiting: dict[tuple[str, int], Deferred[Addresses]] = {}

    def local(self, host: str, family: int) -> Addresses | None:
        return self.hosts.get((host, family))

    def query(self, host: str, family: int) -> Deferred[Addresses]:
        key = (host, family)
        assert key not in self.waiting, f"{key} is being asked for already"
        self.asked.append(key)

        def forget(_: object) -> None:
            del self.waiting[key]

        result: Deferred[Addresses] = Deferred(forget)
        if host in self.known:
            result.callback(self.known[host])
        else:
            self.waiting[key] = result
        return result

    def answer(self, host: str, *addresses: str, ttl_s: float = 60, family: int = 4) -> None:
        """The name servers give these addresses."""
        found = Addresses(tuple(ip_address(address) for address in addresses), ttl_s)
        self.waiting.pop((host, family)).callback(found)

    def fail(self, host: str, why: str = "NXDOMAIN", family: int = 4) -> None:
        """There is no address."""
        self.waiting.pop((host, family)).errback(ResolutionError(why))


class FakeHostLookUp:
    """A HostLookUp. It waits for the test's answer, unless `known` holds it already."""

    def __init__(self, **known: tuple[str, ...]) -> None:
        self.known = {host: _addresses(texts) for host, texts in known.items()}
        self.waiting: dict[str, Deferred[tuple[IPAddress, ...]]] = {}
        self.cancelled: list[str] = []

    def look_up(self, host: str) -> Deferred[tuple[IPAddress, ...]]:
        result: Deferred[tuple[IPAddress, ...]] = Deferred(lambda _: self.cancelled.append(host))
        if host in self.known:
            result.callback(self.known[host])
        else:
            self.waiting[host] = result
        return result

    def answer(self, host: str, *addresses: str) -> None:
        """The name servers give these addresses."""
        self.waiting.pop(host).callback(_addresses(addresses))

    def fail(self, host: str, why: str) -> None:
        """There is no address."""
        self.waiting.pop(host).errback(ResolutionError(why))


def _addresses(texts: tuple[str, ...]) -> tuple[IPAddress, ...]:
    return tuple(map(ip_address, texts))
