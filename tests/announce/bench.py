"""An announcer with services, and the failover that it speaks to."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import Logger

from pybal.announce.announcer import Announcer
from pybal.bgp.advertisement import Advertisement
from pybal.config.settings import (
    FileSource,
    ServiceBGP,
    ServiceSettings,
)
from pybal.model import IPAddress, L4Protocol
from pybal.pool.desired import service_key
from pybal.pool.withdrawal import Health

WEB = ServiceSettings(
    name="web_80",
    protocol=L4Protocol.TCP,
    address=IPv4Address("192.0.2.1"),
    port=80,
    scheduler="rr",
    one_packet=False,
    source=FileSource(Path("/etc/pybal/web")),
    depool_threshold=Fraction(1, 2),
    monitors=(),
)

DNS = replace(WEB, name="dns_53", address=IPv6Address("2001:db8::53"), port=53)

CAREFUL = replace(WEB, bgp=ServiceBGP(withdraw_below=Fraction(1, 2)))


class FakeFailover:
    """Remembers what is announced, and how often the first routes were complete."""

    def __init__(self) -> None:
        self.announced: dict[str, tuple[Advertisement, ...]] = {}
        self.own: dict[str, IPAddress] = {}
        self.completed = 0

    def set_own(self, service: str, address: IPAddress | None) -> None:
        self.own.pop(service, None)
        if address is not None:
            self.own[service] = address

    def set_announced(self, service: str, wanted: tuple[Advertisement, ...] | None) -> None:
        if wanted is None:
            del self.announced[service]
        else:
            self.announced[service] = wanted

    def first_routes_complete(self) -> None:
        self.completed += 1


class Bench:
    """An Announcer that has been started, and what it is told."""

    def __init__(self, *services: ServiceSettings) -> None:
        self.clock = Clock()
        self.failover = FakeFailover()
        self.announcer = Announcer(services, self.clock, Logger())
        self.announcer.start(self.failover)

    def stands(self, service: ServiceSettings) -> None:
        self.announcer.service_stands(service_key(service))

    def lost(self, service: ServiceSettings) -> None:
        self.announcer.service_lost(service_key(service))

    def health(self, enabled: int, up: int, confirmed: int | None = None) -> None:
        found = Health(enabled, up, up if confirmed is None else confirmed)
        self.announcer.servers_changed(CAREFUL.name, found)

    @property
    def announced(self) -> set[str]:
        return set(self.failover.announced)
