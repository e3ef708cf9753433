"""Whatever happens on the way, in the end the router knows exactly what is wanted."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger

from pybal.announce.failover import BGPFailover
from pybal.bgp.advertisement import Advertisement
from pybal.bgp.constants import IPV4_UNICAST, IPV6_UNICAST
from pybal.bgp.messages import Capabilities, Keepalive, Notification, Open, RouteRefresh
from pybal.bgp.prefix import Prefix
from pybal.bgp.settings import FailoverSettings, Options, PeerSettings, SpeakerSettings
from pybal.bgp.update import DecodedUpdate
from tests.bgp.memory import MemoryNetwork, MemoryTransport, Router, RouterEnd, memory_ports
from tests.examples import examples

US, THEM = "10.0.0.1", "10.0.0.9"
ADDRESSES = [ip_address(f"192.0.2.{i}") for i in range(1, 5)] + [
    ip_address(f"2001:db8::{i}") for i in range(1, 5)
]


class LiveEnd(RouterEnd):
    """A connection of a router that does what it should, and keeps the table it is told."""

    def __init__(self, router_id: str) -> None:
        super().__init__()
        capabilities = Capabilities(
            families=(IPV4_UNICAST, IPV6_UNICAST), four_octet_asn=64600, route_refresh=True
        )
        self.opened = Open(64600, 30, IPv4Address(router_id), capabilities)
        self.table: dict[Prefix, int | None] = {}

    def makeConnection(self, transport: MemoryTransport) -> None:  # noqa: N802
        super().makeConnection(transport)
        self.say(self.opened)

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        for message in self.take():
            if isinstance(message, Open):
                self.say(Keepalive())
            elif isinstance(message, Notification):
                self.transport.loseConnection()
            elif isinstance(message, DecodedUpdate):
                self._learn(message)

    def _learn(self, message: DecodedUpdate) -> None:
        update = message.update
        unreach, reach = update.mp_unreach, update.mp_reach
        for prefix in (*update.withdrawn, *(unreach.prefixes if unreach else ())):
            self.table.pop(prefix, None)
        for prefix in (*update.prefixes, *(reach.prefixes if reach else ())):
            self.table[prefix] = update.attributes.med


class LiveRouter(Router):
    def __init__(self, network: MemoryNetwork, router_id: str) -> None:
        super().__init__(network, THEM)
        self.router_id = router_id

    def _end(self) -> RouterEnd:
        end = LiveEnd(self.router_id)
        self.ends.append(end)
        return end

    def open_ends(self) -> list[RouterEnd]:
        """Those that live: a frozen one, as of a host that crashed, hears of no end."""
        made = [end.transport for end in self.ends if end.transport is not None]
        living = {id(transport) for transport in made if transport.open and not transport.stuck}
        return [end for end in self.ends if id(end.transport) in living]


class World:
    """Our side and the router on one clock."""

    def __init__(self, router_id: str) -> None:
        self.clock = Clock()
        self.network = MemoryNetwork(self.clock)
        self.router = LiveRouter(self.network, router_id)
        self.router.listen()
        peer = PeerSettings(
            ip_address(THEM), hold_time_s=30, fsm=Options(idle_hold_max_s=8, connect_retry_s=5)
        )
        self.settings = FailoverSettings(
            speaker=SpeakerSettings(64512, IPv4Address("10.0.0.5"), (peer,), (ip_address(US),)),
            as_path=(64512,),
            next_hop_ipv4=IPv4Address(US),
            next_hop_ipv6=IPv6Address("2001:db8:f::1"),
        )
        quiet: Any = lambda event: None  # noqa: E731
        ports = memory_ports(self.clock, self.network.at(US), Logger(observer=quiet))
        self.bgp = BGPFailover(self.settings, ports)
        self.wanted: dict[str, tuple[Advertisement, ...]] = {}
        self.bgp.start()

    def act(self, what: str, number: int) -> None:
        """One thing that happens; `number` chooses which one of its kind."""
        ends = self.router.open_ends()
        service = f"s{number % 3}"
        if what == "announce":
            chosen = tuple(Advertisement(a) for i, a in enumerate(ADDRESSES) if number >> i & 1)
            self.wanted[service] = chosen
            self.bgp.set_announced(service, chosen)
        elif what == "withdraw":
            self.wanted.pop(service, None)
            self.bgp.set_announced(service, None)
        elif what == "connect":
            self.router.connect(US)
        elif what == "med":
            self.settings = replace(self.settings, med=number)
            Deferred.fromCoroutine(self.bgp.reconfigure(self.settings))
        elif ends:
            end = ends[number % len(ends)]
            if what == "lose":
                end.transport.loseConnection()
            elif what == "freeze":
                end.transport.stuck = True
            elif what == "refresh" and not end.transport.half_closed:
                end.say(RouteRefresh(IPV4_UNICAST if number & 1 else IPV6_UNICAST))

    def wait(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            for end in self.router.open_ends():
                if not end.transport.half_closed:
                    end.say(Keepalive())
            self.clock.pump([0.05] * 20)


ACTIONS = ("announce", "withdraw", "connect", "med", "lose", "freeze", "refresh")
histories = st.lists(
    st.tuples(st.sampled_from(ACTIONS), st.integers(0, 255), st.sampled_from((0, 0, 1, 7))),
    max_size=12,
)


@settings(max_examples=examples(0.4))
@given(histories, st.sampled_from(("10.0.0.9", "10.0.0.2")))
def test_the_router_ends_up_with_exactly_what_is_wanted(
    history: list[tuple[str, int, int]], router_id: str
) -> None:
    world = World(router_id)
    for what, number, pause_s in history:
        world.act(what, number)
        world.wait(pause_s)
    world.wait(60)
    [link] = [c for c in world.bgp.snapshot().peers[0].connections if c.state == "Established"]
    wanted = {
        Prefix.host(wish.address): world.settings.med
        for wishes in world.wanted.values()
        for wish in wishes
    }
    tables = [end.table for end in world.router.open_ends() if isinstance(end, LiveEnd)]
    assert wanted in tables, (link, tables)
    assert len(tables) == 1
