"""A BGPFailover on a Clock against a hand-driven router in memory: what its tests share."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, Logger
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from pybal.announce.failover import BGPFailover
from pybal.bgp.constants import IPV4_UNICAST, IPV6_UNICAST
from pybal.bgp.messages import (
    Capabilities,
    GracefulRestart,
    Keepalive,
    Notification,
    Open,
    RestartFamily,
    Update,
)
from pybal.bgp.ports import BGPPorts
from pybal.bgp.settings import FailoverSettings, PeerSettings, SpeakerSettings
from pybal.bgp.snapshot import PeerSnapshot
from pybal.bgp.update import DecodedUpdate
from tests.bgp.memory import MemoryNetwork, Router, RouterEnd, memory_ports

US, THEM = "10.0.0.1", "10.0.0.9"
CAPABILITIES = Capabilities(
    families=(IPV4_UNICAST, IPV6_UNICAST), four_octet_asn=64600, route_refresh=True
)
OPEN = Open(64600, 30, IPv4Address(THEM), CAPABILITIES)
VIP, VIP6 = ip_address("192.0.2.1"), ip_address("2001:db8::1")
RESTART = GracefulRestart(False, True, 120, (RestartFamily(IPV4_UNICAST, True),))


@implementer(ILogObserver)
class Recorder:
    """Keeps log events."""

    def __init__(self, events: list[LogEvent]) -> None:
        self._events = events

    def __call__(self, event: LogEvent) -> None:
        self._events.append(event)


class PeeringCase(SynchronousTestCase):
    """A BGPFailover at US with one configured peer, THEM."""

    router_id = US
    our_address = US

    def setUp(self) -> None:
        self.clock = Clock()
        self.jump_s = 0.0
        """By how much the clock of the wall was set."""
        self.network = MemoryNetwork(self.clock)
        self.router = Router(self.network, THEM)
        self.events: list[LogEvent] = []
        self.observer: Any = Recorder(self.events)
        self.bgp = self.failover()

    def settings(self, *peers: PeerSettings, **changes: Any) -> FailoverSettings:
        speaker = SpeakerSettings(
            local_asn=64512,
            router_id=IPv4Address(self.router_id),
            peers=peers or (PeerSettings(ip_address(THEM), hold_time_s=90),),
            listen_addresses=(ip_address(US),),
        )
        settings = FailoverSettings(
            speaker=speaker,
            as_path=(64512,),
            next_hop_ipv4=IPv4Address(US),
            next_hop_ipv6=IPv6Address("2001:db8:f::1"),
        )
        return replace(settings, **changes)

    def ports(self) -> BGPPorts:
        log = Logger(namespace="bgp", observer=self.observer)
        now = lambda: 1e9 + self.jump_s + self.clock.seconds()  # noqa: E731
        return memory_ports(self.clock, self.network.at(self.our_address), log, now=now)

    def failover(self, *peers: PeerSettings, **changes: Any) -> BGPFailover:
        return BGPFailover(self.settings(*peers, **changes), self.ports())

    def reconfigure(self, settings: FailoverSettings) -> None:
        done = Deferred.fromCoroutine(self.bgp.reconfigure(settings))
        self.turn(1)
        self.successResultOf(done)

    def turn(self, seconds: float = 0.0) -> None:
        """Let `seconds` pass, and all that is due happen."""
        self.clock.pump([0.001] * 20)
        if seconds:
            self.clock.pump([seconds / 50] * 50)
            self.clock.pump([0.001] * 20)

    def peer(self) -> PeerSnapshot:
        return self.bgp.snapshot().peers[0]

    def received(self, kind: str) -> int:
        return sum(n for k, d, n in self.peer().messages if (k, d) == (kind, "received"))

    def establish(self, opened: Open = OPEN) -> RouterEnd:
        """Start, let our connection reach the router, and bring the session up."""
        self.router.listen()
        self.bgp.start()
        self.turn()
        return self.greet(self.router.ends[-1], opened)

    def greet(self, end: RouterEnd, opened: Open = OPEN) -> RouterEnd:
        end.say(opened, Keepalive())
        self.turn()
        if not self.peer().established:
            self.turn(1.1)  # it gives way to another connection that says nothing
        assert self.peer().established, self.events
        return end

    def logged(self, level: str) -> list[str]:
        return [
            event["log_format"].format(**event)
            for event in self.events
            if event["log_level"].name == level
        ]


def notifications(end: RouterEnd) -> list[tuple[int, int]]:
    return [(m.code, m.subcode) for m in end.heard if isinstance(m, Notification)]


def updates(end: RouterEnd) -> list[Update]:
    return [m.update for m in end.heard if isinstance(m, DecodedUpdate)]
