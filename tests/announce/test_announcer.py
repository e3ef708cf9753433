"""When a service's address is announced, and with what."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from ipaddress import IPv4Address, ip_network

import pytest
from twisted.internet.task import Clock
from twisted.logger import Logger

from pybal.announce.announcer import FIRST_ROUTES_WAIT_S, Announcer
from pybal.announce.wishes import replaced, service_of
from pybal.bgp.advertisement import Advertisement
from pybal.config.settings import (
    LinkBandwidth,
    ServiceBGP,
    ServiceSettings,
)
from pybal.pool.desired import service_key
from pybal.pool.withdrawal import Health
from tests.announce.bench import DNS, WEB, Bench, FakeFailover


def test_a_service_is_announced_once_it_stands_and_not_before() -> None:
    bench = Bench(WEB, DNS)
    assert bench.announced == set()
    bench.stands(DNS)
    assert bench.failover.announced == {DNS.name: (Advertisement(DNS.address),)}
    bench.stands(DNS)
    bench.stands(WEB)
    assert bench.announced == {WEB.name, DNS.name}


def test_a_services_own_med_and_communities_go_with_it() -> None:
    own = ServiceBGP(med=0, communities=(), large_communities=((1, 2, 3),))
    special = replace(WEB, bgp=own)
    bench = Bench(special)
    bench.stands(special)
    assert bench.failover.announced[WEB.name] == (
        Advertisement(WEB.address, med=0, communities=(), large_communities=((1, 2, 3),)),
    )


def test_a_service_that_is_not_to_be_announced_never_is() -> None:
    bench = Bench(replace(WEB, bgp=ServiceBGP(announced=False)), DNS)
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


@pytest.mark.parametrize(
    "services", [(), (replace(WEB, bgp=ServiceBGP(announced=False)),)], ids=["none", "bgp = no"]
)
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
    bench.announcer.adjust(replace(WEB, bgp=ServiceBGP(med=100)))
    assert bench.failover.announced == {WEB.name: (Advertisement(WEB.address, med=100),)}


def test_bgp_of_a_service_is_switched_off_and_on() -> None:
    bench = Bench(WEB)
    bench.stands(WEB)
    bench.announcer.adjust(replace(WEB, bgp=ServiceBGP(announced=False)))
    assert bench.announced == set()
    bench.announcer.adjust(WEB)
    assert bench.announced == {WEB.name}


def test_a_replaced_service_stays_announced_until_it_is_forgotten() -> None:
    bench = Bench(WEB)
    bench.stands(WEB)
    moved = replace(WEB, address=IPv4Address("192.0.2.2"))
    bench.announcer.replace(WEB.name)
    bench.announcer.add(moved)
    assert bench.announced == {replaced(WEB.name, WEB.address)}
    bench.stands(moved)
    addresses = [wish.address for (wish,) in bench.failover.announced.values()]
    assert addresses == [WEB.address, moved.address]
    bench.announcer.forget(WEB.name)
    assert bench.failover.announced == {WEB.name: (Advertisement(moved.address),)}


@pytest.mark.parametrize("form", ["{} (replaced)", "{}(replaced)", "{} replaced"])
def test_no_name_of_a_service_is_that_of_what_another_one_replaces(form: str) -> None:
    odd = replace(DNS, name=form.format(WEB.name))
    bench = Bench(WEB, odd)
    bench.stands(WEB)
    bench.stands(odd)
    bench.announcer.replace(WEB.name)
    assert bench.announced == {odd.name, replaced(WEB.name, WEB.address)}
    bench.announcer.forget(WEB.name)
    assert bench.announced == {odd.name}
    assert service_of(odd.name) == odd.name
    assert service_of(replaced(WEB.name, WEB.address)) == WEB.name
    assert service_of(replaced(odd.name, odd.address)) == odd.name


def test_of_a_service_that_is_replaced_twice_both_addresses_stay_until_it_is_forgotten() -> None:
    bench = Bench(WEB)
    bench.stands(WEB)
    for number in (2, 3):
        bench.announcer.replace(WEB.name)
        moved = replace(WEB, address=IPv4Address(f"192.0.2.{number}"))
        bench.announcer.add(moved, stands=True)
    addresses = {wish.address for (wish,) in bench.failover.announced.values()}
    assert addresses == {IPv4Address(f"192.0.2.{number}") for number in (1, 2, 3)}
    later = FakeFailover()
    bench.announcer.start(later)
    assert (later.announced, later.own) == (bench.failover.announced, bench.failover.own)
    bench.announcer.forget(WEB.name)
    assert later.announced == {WEB.name: (Advertisement(moved.address),)}
    assert later.own == {WEB.name: moved.address}


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
    service = replace(WEB, bgp=ServiceBGP(link_bandwidth=LinkBandwidth()))
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
    both = replace(WEB, bgp=ServiceBGP(aggregate=prefix))
    alone = ServiceBGP(aggregate=prefix, aggregate_only=True)
    only = replace(WEB, name="web_443", port=443, bgp=alone)
    bench = Bench(both, only)
    bench.stands(both)
    bench.stands(only)
    wishes = {name: wish for name, (wish,) in bench.failover.announced.items()}
    assert [(w.aggregate, w.host) for w in wishes.values()] == [(prefix, True), (prefix, False)]


def test_a_service_that_the_kernel_has_lost_is_withdrawn_until_it_stands_again() -> None:
    bench = Bench(WEB, DNS)
    bench.stands(WEB)
    bench.stands(DNS)
    bench.lost(WEB)
    bench.lost(WEB)
    bench.lost(replace(WEB, port=81))
    assert bench.announced == {DNS.name}
    bench.stands(WEB)
    assert bench.announced == {WEB.name, DNS.name}
