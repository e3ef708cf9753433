"""When a service's address is announced, and what is made of pybal.conf's options of BGP."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import cast

import pytest
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, Logger, formatEvent, globalLogPublisher

from pybal.announce.announcer import FIRST_ROUTES_WAIT_S, Announcer
from pybal.announce.damping import QUIET_S
from pybal.announce.settings import failover_settings
from pybal.bgp.constants import IPV6_UNICAST
from pybal.bgp.settings import (
    Advertisement,
    BFDSettings,
    Confederation,
    ExportPolicy,
    Options,
    PeerSettings,
)
from pybal.config.settings import (
    BGPPeer,
    BGPPeerOptions,
    BGPSettings,
    FileSource,
    LinkBandwidth,
    MonitorSettings,
    ServiceSettings,
)
from pybal.model import IPAddress, L4Protocol
from pybal.monitors.ping import PingSettings
from pybal.monitors.runcommand import RunCommandSettings
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
    bgp=True,
    bgp_med=None,
)
DNS = replace(WEB, name="dns_53", address=IPv6Address("2001:db8::53"), port=53)
CAREFUL = replace(WEB, bgp_withdraw_below=Fraction(1, 2))


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

    def health(self, enabled: int, up: int, confirmed: int | None = None) -> None:
        found = Health(enabled, up, up if confirmed is None else confirmed)
        self.announcer.servers_changed(CAREFUL.name, found)

    @property
    def announced(self) -> set[str]:
        return set(self.failover.announced)


def test_a_service_is_announced_once_it_stands_and_not_before() -> None:
    bench = Bench(WEB, DNS)
    assert bench.announced == set()
    bench.stands(DNS)
    assert bench.failover.announced == {DNS.name: (Advertisement(DNS.address),)}
    bench.stands(DNS)
    bench.stands(WEB)
    assert bench.announced == {WEB.name, DNS.name}


def test_a_services_own_med_and_communities_go_with_it() -> None:
    special = replace(WEB, bgp_med=0, bgp_communities=(), bgp_large_communities=((1, 2, 3),))
    bench = Bench(special)
    bench.stands(special)
    assert bench.failover.announced[WEB.name] == (
        Advertisement(WEB.address, med=0, communities=(), large_communities=((1, 2, 3),)),
    )


def test_a_service_that_is_not_to_be_announced_never_is() -> None:
    bench = Bench(replace(WEB, bgp=False), DNS)
    bench.stands(WEB)
    bench.announcer.servers_changed(WEB.name, Health(1, 1, 1))
    assert bench.announced == set()


def test_the_first_routes_are_complete_when_each_service_stands() -> None:
    bench = Bench(WEB, DNS)
    bench.stands(WEB)
    assert bench.failover.completed == 0
    bench.stands(DNS)
    assert bench.failover.completed == 1
    bench.clock.advance(FIRST_ROUTES_WAIT_S)
    assert bench.failover.completed == 1


@pytest.mark.parametrize("services", [(), (replace(WEB, bgp=False),)], ids=["none", "bgp = no"])
def test_without_services_the_first_routes_are_complete_at_the_start(
    services: tuple[ServiceSettings, ...],
) -> None:
    assert Bench(*services).failover.completed == 1


def test_a_service_that_does_not_come_holds_up_the_others_for_a_bounded_time() -> None:
    bench = Bench(WEB, DNS)
    bench.stands(WEB)
    bench.clock.advance(FIRST_ROUTES_WAIT_S - 0.1)
    assert bench.failover.completed == 0
    bench.clock.advance(0.1)
    assert bench.failover.completed == 1
    bench.stands(DNS)
    assert bench.announced == {WEB.name, DNS.name}
    assert bench.failover.completed == 1


def test_after_the_stop_nothing_more_is_waited_for() -> None:
    bench = Bench(WEB)
    bench.announcer.stop()
    bench.announcer.stop()
    assert bench.clock.getDelayedCalls() == []


class TestWithdrawOnDown:
    """CAREFUL wants half of its enabled servers up."""

    def test_it_takes_both_the_kernel_and_the_servers(self) -> None:
        bench = Bench(CAREFUL)
        bench.stands(CAREFUL)
        assert bench.announced == set()
        bench.health(2, 1)
        assert bench.announced == {CAREFUL.name}
        bench = Bench(CAREFUL)
        bench.health(2, 2)
        assert bench.announced == set()
        bench.stands(CAREFUL)
        assert bench.announced == {CAREFUL.name}

    def test_too_few_servers_withdraw_it_and_enough_bring_it_back(self) -> None:
        bench = Bench(CAREFUL)
        bench.stands(CAREFUL)
        bench.health(4, 2)
        bench.health(4, 1)
        assert bench.announced == set()
        bench.health(4, 2)
        assert bench.announced == {CAREFUL.name}

    def flap(self, bench: Bench) -> None:
        """Down, and up again a moment later."""
        bench.health(4, 1)
        assert bench.announced == set(), "a withdrawal is at once"
        bench.clock.advance(0.5)
        bench.health(4, 2)

    def test_what_goes_up_and_down_is_announced_again_later_each_time(self) -> None:
        bench = Bench(CAREFUL)
        bench.stands(CAREFUL)
        bench.health(4, 2)
        self.flap(bench)
        assert bench.announced == {CAREFUL.name}, "once is no flapping"
        for wait_s in (5, 15, 30, 60, 60):
            bench.clock.advance(0.5)
            self.flap(bench)
            bench.clock.advance(wait_s - 0.6)
            assert bench.announced == set()
            [held] = bench.announcer.held()
            assert (held.service, round(held.wait_s, 3)) == (CAREFUL.name, 0.1)
            bench.clock.advance(0.2)
            assert bench.announced == {CAREFUL.name}
            assert bench.announcer.held() == ()

    def test_a_held_service_that_is_down_when_its_time_comes_waits_for_its_servers(self) -> None:
        bench = Bench(CAREFUL)
        bench.stands(CAREFUL)
        bench.health(4, 2)
        for _ in range(2):
            self.flap(bench)
        bench.health(4, 1)
        assert bench.announcer.held() == ()
        bench.clock.advance(60)
        assert bench.announced == set()
        bench.health(4, 2)
        assert bench.announced == {CAREFUL.name}

    def test_after_quiet_minutes_nothing_is_held(self) -> None:
        bench = Bench(CAREFUL)
        bench.stands(CAREFUL)
        bench.health(4, 2)
        for _ in range(6):
            self.flap(bench)
            bench.clock.advance(61)
        bench.clock.advance(QUIET_S)
        self.flap(bench)
        assert bench.announced == {CAREFUL.name}

    def test_a_hold_is_said_once_and_an_operator_can_lift_it(self) -> None:
        bench = Bench(CAREFUL)
        bench.stands(CAREFUL)
        bench.health(4, 2)
        events: list[LogEvent] = []
        globalLogPublisher.addObserver(cast(ILogObserver, events.append))
        try:
            for _ in range(2):
                self.flap(bench)
            for _ in range(3):
                self.flap(bench)
        finally:
            globalLogPublisher.removeObserver(cast(ILogObserver, events.append))
        said = [formatEvent(each) for each in events if "goes up and down" in formatEvent(each)]
        assert said == [
            "[web_80] goes up and down: withdrawn 2 times lately, so it is announced again in 5 s"
            " at the earliest"
        ]
        bench.announcer.adjust(WEB)
        assert bench.announced == {WEB.name}

    def test_a_hold_outlives_a_speaker(self) -> None:
        bench = Bench(CAREFUL)
        bench.stands(CAREFUL)
        bench.health(4, 2)
        for _ in range(2):
            self.flap(bench)
        bench.announcer.stop()
        assert bench.clock.getDelayedCalls() == []
        bench.announcer.start(bench.failover)
        assert bench.announced == set()
        bench.clock.advance(5)
        assert bench.announced == {CAREFUL.name}

    def test_unknown_is_not_up_before_the_first_announcement(self) -> None:
        bench = Bench(CAREFUL)
        bench.stands(CAREFUL)
        bench.health(4, 4, confirmed=1)
        assert bench.announced == set()
        bench.health(4, 4, confirmed=2)
        assert bench.announced == {CAREFUL.name}

    def test_a_list_of_new_servers_does_not_withdraw_it(self) -> None:
        bench = Bench(CAREFUL)
        bench.stands(CAREFUL)
        bench.health(4, 4)
        bench.health(4, 4, confirmed=0)
        assert bench.announced == {CAREFUL.name}

    def test_an_empty_pool_is_not_announced(self) -> None:
        bench = Bench(CAREFUL)
        bench.stands(CAREFUL)
        bench.health(0, 0)
        assert bench.announced == set()

    def test_one_server_is_enough_where_no_share_is_given(self) -> None:
        lenient = replace(CAREFUL, bgp_withdraw_below=Fraction(0))
        bench = Bench(lenient)
        bench.stands(lenient)
        bench.health(100, 1)
        assert bench.announced == {lenient.name}
        bench.health(100, 0)
        assert bench.announced == set()

    @pytest.mark.parametrize("up", [1, 0])
    def test_the_first_routes_wait_until_its_servers_are_known(self, up: int) -> None:
        bench = Bench(CAREFUL)
        bench.stands(CAREFUL)
        assert bench.failover.completed == 0
        bench.health(2, 2, confirmed=0)
        # A router that keeps the address over our restart must not forget it meanwhile.
        assert bench.failover.completed == 0
        bench.health(2, up)
        assert bench.failover.completed == 1
        assert bool(bench.announced) == bool(up)

    @pytest.mark.parametrize(
        "monitor",
        [RunCommandSettings(Path("/bin/true")), PingSettings(rise=4, interval_s=10.0)],
        ids=["an interval of 60 s", "four results, 10 s apart"],
    )
    def test_the_first_routes_wait_as_long_as_first_results_may_take(
        self, monitor: MonitorSettings
    ) -> None:
        slow = replace(CAREFUL, monitors=(monitor,))
        bench = Bench(slow)
        bench.stands(slow)
        bench.health(2, 2, confirmed=0)
        bench.clock.advance(monitor.rise * monitor.interval_s)
        assert bench.failover.completed == 0, "the router would withdraw a healthy service"
        bench.clock.advance(monitor.timeout_s)
        assert bench.failover.completed == 1


SETTINGS = BGPSettings(
    local_asn=64600,
    peers=(BGPPeer(ip_address("192.0.2.9")),),
    as_path=(64600, 64601),
    nexthop_ipv4=ip_address("192.0.2.10"),
    nexthop_ipv6=IPv6Address("2001:db8::10"),
    med=100,
    local_ips=(),
    local_port=1179,
    advertised_addresses=(ip_address("192.0.2.7"),),
)


def from_nowhere(peer: IPAddress) -> None:
    """No peer is reachable."""


def test_every_option_reaches_the_speaker() -> None:
    options = BGPPeerOptions(14907, "secret", 2, 30, 2.5, True, 60, True, 50, 5)
    settings = replace(
        SETTINGS,
        peers=(BGPPeer(ip_address("2001:db8::1"), options), *SETTINGS.peers),
        router_id=IPv4Address("192.0.2.8"),
        communities=(1,),
        large_communities=((1, 2, 3),),
        local_pref=200,
        shutdown_delay_s=1.5,
    )
    found = failover_settings(settings, from_nowhere)
    first, second = found.speaker.peers
    assert (first.address, first.asn, first.password) == (
        ip_address("2001:db8::1"),
        14907,
        b"secret",
    )
    assert (first.ttl_security_hops, first.hold_time_s, first.restart_time_s) == (2, 30, 60)
    assert (first.bfd, first.fsm.connect_retry_s) == (BFDSettings(50, 5), 2.5)
    assert second == PeerSettings(ip_address("192.0.2.9"))
    assert found.speaker.router_id == IPv4Address("192.0.2.8")
    assert (found.speaker.local_asn, found.speaker.listen_port) == (64600, 1179)
    assert (found.as_path, found.med, found.local_pref) == ((64600, 64601), 100, 200)
    assert (found.communities, found.large_communities) == ((1,), ((1, 2, 3),))
    assert (found.extra_addresses, found.shutdown_delay_s) == ((ip_address("192.0.2.7"),), 1.5)
    assert "secret" not in repr(found)


def test_every_option_of_one_peer_reaches_the_speaker() -> None:
    options = BGPPeerOptions(
        description="spine 1",
        source_address=ip_address("192.0.2.3"),
        interface="eth1",
        port=1179,
        passive=True,
        connect_only=True,
        multihop=4,
        families=(6,),
        prepend=2,
        nexthop_ipv4=ip_address("192.0.2.4"),
        nexthop_ipv6=IPv6Address("2001:db8::4"),
        med=50,
        local_pref=200,
        communities=(1,),
        large_communities=((1, 2, 3),),
    )
    settings = replace(
        SETTINGS,
        peers=(BGPPeer(ip_address("192.0.2.9"), options),),
        confederation_id=65000,
        confederation_peers=(64600, 64601),
    )
    speaker = failover_settings(settings, from_nowhere).speaker
    assert speaker.confederation == Confederation(65000, frozenset({64601}))
    assert speaker.peers == (
        PeerSettings(
            ip_address("192.0.2.9"),
            port=1179,
            local_address=ip_address("192.0.2.3"),
            families=(IPV6_UNICAST,),
            fsm=Options(passive=True),
            connect_only=True,
            ttl=4,
            interface="eth1",
            export=ExportPolicy(
                ip_address("192.0.2.4"), IPv6Address("2001:db8::4"), 50, 200, 2, (1,), ((1, 2, 3),)
            ),
            description="spine 1",
        ),
    )


@pytest.mark.parametrize(
    ("changes", "source", "router_id"),
    [
        ({"local_ips": (ip_address("192.0.2.20"),)}, None, "192.0.2.20"),
        ({}, None, "192.0.2.10"),
        ({"nexthop_ipv4": None}, "192.0.2.30", "192.0.2.30"),
        ({"nexthop_ipv4": None}, "2001:db8::30", "127.0.0.1"),
        ({"nexthop_ipv4": None, "local_ips": (IPv4Address("0.0.0.0"),)}, None, "127.0.0.1"),
    ],
)
def test_the_router_id_is_an_own_ipv4_address(
    changes: dict[str, object], source: str | None, router_id: str
) -> None:
    def source_address(peer: IPAddress) -> IPAddress | None:
        assert peer == ip_address("192.0.2.9")
        return None if source is None else ip_address(source)

    settings = replace(SETTINGS, **changes)  # type: ignore[arg-type]
    found = failover_settings(settings, source_address).speaker.router_id
    assert found == IPv4Address(router_id)


def test_without_local_addresses_both_families_are_listened_on() -> None:
    found = failover_settings(SETTINGS, from_nowhere).speaker.listen_addresses
    assert set(found) == {IPv4Address("0.0.0.0"), IPv6Address("::")}


# -- a changed configuration --------------------------------------------------------------


def test_a_service_that_is_added_is_announced_once_it_stands() -> None:
    bench = Bench(WEB)
    bench.announcer.add(DNS)
    assert bench.announced == set()
    bench.stands(DNS)
    assert bench.announced == {DNS.name}
    bench.announcer.add(replace(WEB, name="other", port=81), stands=True)
    assert bench.announced == {DNS.name, "other"}


def test_other_attributes_are_announced_and_other_settings_change_nothing() -> None:
    bench = Bench(WEB)
    bench.stands(WEB)
    before = dict(bench.failover.announced)
    bench.announcer.adjust(replace(WEB, depool_threshold=Fraction(1)))
    assert bench.failover.announced == before
    bench.announcer.adjust(replace(WEB, bgp_med=100))
    assert bench.failover.announced == {WEB.name: (Advertisement(WEB.address, med=100),)}


def test_bgp_of_a_service_is_switched_off_and_on() -> None:
    bench = Bench(WEB)
    bench.stands(WEB)
    bench.announcer.adjust(replace(WEB, bgp=False))
    assert bench.announced == set()
    bench.announcer.adjust(WEB)
    assert bench.announced == {WEB.name}


def test_a_replaced_service_stays_announced_until_it_is_forgotten() -> None:
    bench = Bench(WEB)
    bench.stands(WEB)
    moved = replace(WEB, address=IPv4Address("192.0.2.2"))
    bench.announcer.replace(WEB.name)
    bench.announcer.add(moved)
    assert bench.announced == {f"{WEB.name} (replaced)"}
    bench.stands(moved)
    addresses = [wish.address for (wish,) in bench.failover.announced.values()]
    assert addresses == [WEB.address, moved.address]
    bench.announcer.forget(WEB.name)
    assert bench.failover.announced == {WEB.name: (Advertisement(moved.address),)}


def test_a_service_that_was_not_announced_is_forgotten_without_a_word() -> None:
    bench = Bench(WEB)
    bench.announcer.replace(WEB.name)
    bench.announcer.forget(WEB.name)
    bench.stands(WEB)
    assert bench.announced == set()


def test_a_failover_that_comes_later_announces_what_stands_by_then() -> None:
    clock, failover = Clock(), FakeFailover()
    announcer = Announcer((WEB, DNS), clock, Logger())
    announcer.service_stands(service_key(WEB))
    announcer.start(failover)
    assert set(failover.announced) == {WEB.name}
    announcer.stop()
    announcer.service_stands(service_key(DNS))
    assert set(failover.announced) == {WEB.name}
    another = FakeFailover()
    announcer.start(another)
    assert set(another.announced) == {WEB.name, DNS.name}


def test_the_link_bandwidth_follows_the_weights_of_the_servers_that_are_up() -> None:
    service = replace(WEB, bgp_link_bandwidth=LinkBandwidth())
    bench = Bench(service)
    bench.announcer.servers_changed(WEB.name, Health(2, 2, 2, weight_up=20))
    bench.stands(service)

    def told() -> float | None:
        [wish] = bench.failover.announced[WEB.name]
        return wish.link_bandwidth

    assert told() == 20 * 125_000
    bench.announcer.servers_changed(WEB.name, Health(2, 1, 1, weight_up=10))
    assert told() == 10 * 125_000
    for weight in (20, 10, 30, 0):
        bench.announcer.servers_changed(WEB.name, Health(2, 1, 1, weight_up=weight))
        assert told() == 10 * 125_000, "not again so soon"
    bench.clock.advance(10)
    assert told() == 125_000, "never 0"
    bench.clock.advance(10)
    bench.announcer.stop()
    assert bench.clock.getDelayedCalls() == []


def test_an_aggregate_goes_with_the_address_or_instead_of_it() -> None:
    prefix = ip_network("192.0.2.0/24")
    both = replace(WEB, bgp_aggregate=prefix)
    only = replace(both, name="web_443", port=443, bgp_aggregate_only=True)
    bench = Bench(both, only)
    bench.stands(both)
    bench.stands(only)
    wishes = {name: wish for name, (wish,) in bench.failover.announced.items()}
    assert [(w.aggregate, w.host) for w in wishes.values()] == [(prefix, True), (prefix, False)]
