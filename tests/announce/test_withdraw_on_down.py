"""Addresses that are withdrawn while their servers are down, and announced again."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import pytest
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher

from pybal.announce.damping import QUIET_S
from pybal.config.settings import (
    MonitorSettings,
    ServiceBGP,
)
from pybal.monitors.ping import PingSettings
from pybal.monitors.runcommand import RunCommandSettings
from tests.announce.bench import CAREFUL, WEB, Bench


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

    def test_what_a_reload_says_otherwise_of_it_counts_while_new_monitors_have_not_spoken(
        self,
    ) -> None:
        bench = Bench(CAREFUL)
        bench.stands(CAREFUL)
        bench.health(4, 4)
        bench.health(4, 4, confirmed=0)
        bench.announcer.adjust(replace(CAREFUL, bgp=replace(CAREFUL.bgp, med=100)))
        [[told]] = bench.failover.announced.values()
        assert told.med == 100
        bench.health(4, 0)
        assert bench.announced == set()

    def test_what_replaces_it_is_awaited_until_its_servers_are_known(self) -> None:
        for up, confirmed in ((4, 2), (0, 0)):
            bench = Bench(CAREFUL)
            bench.stands(CAREFUL)
            assert not bench.announcer.is_awaited(CAREFUL.name), "it replaces nothing"
            bench.health(4, 4)
            bench.announcer.replace(CAREFUL.name)
            bench.announcer.add(CAREFUL)
            bench.stands(CAREFUL)
            assert bench.announcer.is_awaited(CAREFUL.name)
            bench.health(4, 4, confirmed=1)
            assert bench.announcer.is_awaited(CAREFUL.name)
            bench.health(4, up, confirmed)
            assert not bench.announcer.is_awaited(CAREFUL.name)
            assert not bench.announcer.is_awaited("another")

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
        lenient = replace(CAREFUL, bgp=ServiceBGP(withdraw_below=Fraction(0)))
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
