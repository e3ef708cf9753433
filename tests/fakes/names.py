"""A NamesClient whose name servers are the test."""

from __future__ import annotations

from ipaddress import ip_address

from twisted.internet.defer import Deferred

from pybal.errors import ResolutionError
from pybal.names.parsing import Addresses


class FakeNamesClient:
    """Queries wait for the test's answer, unless `known` holds it already."""

    def __init__(self) -> None:
        self.known: dict[str, Addresses] = {}
        self.asked: list[tuple[str, int]] = []
        self.waiting: dict[tuple[str, int], Deferred[Addresses]] = {}

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
