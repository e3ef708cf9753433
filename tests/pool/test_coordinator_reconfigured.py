"""A service whose settings change while it runs."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from pybal.ipvs.model import ServiceEntry
from pybal.model import ServerSpec
from pybal.pool.desired import service_of
from tests.fakes.coordinator import FETCH, IDLE, Bench
from tests.fakes.deferreds import result_of
from tests.pool.test_coordinator import A, B, C

# -- other settings -----------------------------------------------------------------------


def reconfigured(bench: Bench, **changes: Any) -> None:
    settings = replace(bench.settings, **changes)
    done = Deferred.fromCoroutine(bench.coordinator.reconfigure(settings))
    while not done.called:
        bench.clock.advance(0)
    result_of(done)


def test_another_threshold_touches_no_monitor() -> None:
    bench = Bench(threshold=Fraction(1))
    bench.list("a", "b")
    bench.monitor("a").say(False)
    assert bench.destinations == {A: 10, B: 10}
    made = list(bench.made)
    reconfigured(bench, depool_threshold=Fraction(0))
    assert bench.destinations == {B: 10}
    assert bench.made == made
    assert bench.running == {"a", "b"}


def test_another_scheduler_is_published_for_the_same_servers() -> None:
    bench = Bench()
    bench.list("a", "b")
    before = bench.published[-1]
    reconfigured(bench, scheduler="sh")
    assert bench.published[-1].service.scheduler == "sh"
    assert bench.published[-1].destinations == before.destinations


def test_only_monitors_whose_own_settings_changed_begin_anew_and_verdicts_stay() -> None:
    bench = Bench(monitors=(IDLE, FETCH))
    bench.list("a", "b")
    bench.monitor("a").say(False)
    idle, fetch = bench.monitor("a"), bench.monitor("a", "ProxyFetch")
    reconfigured(bench, monitors=(IDLE, replace(FETCH, timeout_s=1.0)))
    assert bench.monitor("a") is idle
    assert not fetch.running
    assert bench.monitor("a", "ProxyFetch") is not fetch
    assert bench.destinations == {B: 10}
    bench.monitor("a", "ProxyFetch").say(True)
    bench.monitor("a").say(True)
    assert bench.destinations == {A: 10, B: 10}


def test_the_first_monitor_of_a_service_that_had_none_starts() -> None:
    bench = Bench(monitors=())
    bench.list("a", "b")
    assert bench.running == set()
    reconfigured(bench, monitors=(IDLE,))
    assert bench.running == {"a", "b"}
    bench.monitor("a").say(False)
    assert bench.destinations == {B: 10}
    reconfigured(bench, monitors=())
    assert bench.running == set()
    assert bench.destinations == {A: 10, B: 10}


def test_equal_settings_publish_nothing_and_touch_nothing() -> None:
    bench = Bench()
    bench.list("a", "b")
    published, made = list(bench.published), list(bench.made)
    reconfigured(bench)
    assert (bench.published, bench.made) == (published, made)


@pytest.mark.parametrize("below", [None, Fraction(1, 2)])
@pytest.mark.parametrize("stands", [False, True])
def test_before_its_first_list_no_settings_make_a_service_stand(
    below: Fraction | None, stands: bool
) -> None:
    service = service_of(Bench().settings)
    bench = Bench(adopted=ServiceEntry(service, {}) if stands else None, withdraw_below=below)
    reconfigured(bench, depool_threshold=Fraction(0))
    reconfigured(bench, scheduler="sh", monitors=())
    assert bench.published == []
    bench.list(ServerSpec("a", enabled=False))
    assert bench.destinations == {}, "the list wants it so"
    assert bench.published[-1].service.scheduler == "sh"
    bench.list("a", "b")
    assert bench.destinations == {A: 10, B: 10}


def test_what_was_down_in_a_replaced_service_is_down_until_its_monitors_speak() -> None:
    former = Bench()
    former.list("a", "b", "c")
    former.monitor("a").say(False)
    bench = Bench()
    bench.coordinator.know_down(former.coordinator.servers_down())
    bench.list("a", "b", "c")
    assert bench.destinations == {B: 10, C: 10}
    bench.monitor("a").say(True)
    assert bench.destinations == {A: 10, B: 10, C: 10}
