"""A resolver, its name servers and what the last run knew."""

from __future__ import annotations

import random
from ipaddress import ip_address
from typing import Any

from twisted.internet.task import Clock

from pybal.model import IPAddress
from pybal.names.resolver import (
    Resolver,
    Watch,
)
from tests.fakes.log import FakeLog
from tests.fakes.names import FakeNamesClient

HOST = "db1.example"


class FakeBook:
    """The addresses of the last run, and of this one."""

    def __init__(self) -> None:
        self.addresses: dict[tuple[str, int], IPAddress] = {}

    def get(self, name: str, family: int) -> IPAddress | None:
        return self.addresses.get((name, family))

    def put(self, name: str, address: IPAddress) -> None:
        self.addresses[name, address.version] = address


class Bench:
    """A Resolver on a bench; `told` holds what watchers were told, in order."""

    def __init__(self, remembered: str | None = None) -> None:
        self.clock: Any = Clock()
        self.names = FakeNamesClient()
        self.log = FakeLog()
        self.told: list[str | None] = []
        self.book = FakeBook()
        if remembered is not None:
            self.book.put(HOST, ip_address(remembered))
        self.resolver = Resolver(
            self.clock, random.Random(1), self.names, self.log.logger("resolver"), self.book
        )

    def watch(self, host: str = HOST, family: int = 4) -> Watch:
        return self.resolver.watch(host, family, self._told)

    def _told(self, address: IPAddress | None) -> None:
        self.told.append(None if address is None else str(address))

    def until_asked(self) -> float:
        """Let time pass until a lookup is under way; gives how long that took, in seconds."""
        since: float = self.clock.seconds()
        while not self.names.waiting:
            self.clock.advance(0.1)
        passed: float = self.clock.seconds() - since
        return passed

    def advance(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
