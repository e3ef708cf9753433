"""How healthy a pool is for bgp-withdraw-on-down, as its Coordinator tells it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from pybal.config.settings import LinkBandwidth, ServiceBGP
from pybal.model import ServerSpec
from pybal.pool.withdrawal import Health, is_announced, is_of_interest
from tests.fakes.coordinator import FETCH, IDLE, Bench


def careful(**options: object) -> Bench:
    return Bench(withdraw_below=Fraction(1, 2), **options)  # type: ignore[arg-type]


def test_a_new_server_is_up_but_not_confirmed_until_all_its_monitors_have_said_so() -> None:
    bench = careful(monitors=(IDLE, FETCH))
    bench.list("a", "b")
    assert bench.healths[-1] == Health(enabled=2, up=2, confirmed=0, weight_up=20)
    bench.monitor("a").say(True)
    assert bench.healths[-1].confirmed == 0
    bench.monitor("a", "ProxyFetch").say(True)
    assert bench.healths[-1] == Health(enabled=2, up=2, confirmed=1, weight_up=20)
    bench.monitor("b").say(False)
    assert bench.healths[-1] == Health(enabled=2, up=1, confirmed=1, weight_up=10)


def test_a_server_that_is_down_does_not_count_though_the_threshold_keeps_it_pooled() -> None:
    bench = careful(threshold=Fraction(1))
    bench.list("a")
    bench.monitor("a").say(False)
    assert bench.statuses()["a"] == "enabled/down/pooled"
    assert bench.healths[-1] == Health(enabled=1, up=0, confirmed=0)


def test_disabled_servers_do_not_count_and_those_without_monitors_do() -> None:
    bench = careful(monitors=())
    bench.list("a", ServerSpec("b", enabled=False))
    assert bench.healths[-1] == Health(enabled=1, up=1, confirmed=1, weight_up=10)


def test_a_server_whose_name_has_no_address_is_not_up() -> None:
    bench = careful(monitors=(), names={"a": "10.0.0.1"})
    bench.list("a", "b")
    bench.names.watches["b"].answer(None)
    assert bench.healths[-1] == Health(enabled=2, up=1, confirmed=1, weight_up=10)


def test_only_where_it_is_asked_for_anything_is_told() -> None:
    bench = Bench()
    bench.list("a")
    bench.monitor("a").say(True)
    assert bench.healths == []


def test_the_share_is_exact_and_one_server_at_least() -> None:
    share = Fraction(7, 100)
    assert is_announced(Health(100, 7, 0), share, before=True)
    assert not is_announced(Health(100, 6, 6), share, before=True)
    assert not is_announced(Health(0, 0, 0), Fraction(0), before=True)
    assert is_announced(Health(100, 1, 0), Fraction(0), before=True)
    assert not is_announced(Health(100, 100, 0), Fraction(0), before=False)


def test_a_bandwidth_of_the_weights_is_of_interest_and_a_given_one_is_not() -> None:
    plain = Bench().settings
    by_weights = replace(plain, bgp=ServiceBGP(link_bandwidth=LinkBandwidth()))
    assert is_of_interest(by_weights)
    assert not is_of_interest(replace(plain, bgp=replace(by_weights.bgp, announced=False)))
    given = ServiceBGP(link_bandwidth=LinkBandwidth(1e9))
    assert not is_of_interest(replace(plain, bgp=given))
    assert not is_of_interest(plain)
