"""A server that flaps is depooled at once each time and pooled again later each time, unless the
pool needs it."""

from __future__ import annotations

from random import Random

import pytest
from twisted.internet.task import Clock
from twisted.logger import Logger, capturedLogs

from pybal.model import CheckResult, HealthReport
from pybal.pool.damped_reports import DampedReports
from pybal.pool.flap_damping import FREE_FLAPS, HOLD_S, WINDOW_S, Flaps


class Pool:
    """A Coordinator's stand-in: what was delivered last of each monitor; whether one is spared."""

    def __init__(self, *, enabled: bool = True) -> None:
        self.clock = Clock()
        self.spares = True
        self.broken = ""
        self.up: dict[tuple[str, str], bool] = {}
        self.seen: list[tuple[str, str, bool]] = []
        self.damped = DampedReports(
            self, self.clock, lambda: 1e9 + self.clock.seconds(), lambda: self.spares,
            Logger(), enabled=enabled,
        )  # fmt: skip

    def deliver(self, report: HealthReport) -> None:
        if report.host == self.broken:
            raise ZeroDivisionError("a mistake")
        self.up[report.host, report.monitor] = report.result.up
        self.seen.append((report.host, report.monitor, report.result.up))

    def retract(self, report: HealthReport) -> None:
        self.seen.append((report.host, report.monitor, True))

    def say(self, up: bool, host: str = "a", monitor: str = "m", number: int = 1) -> HealthReport:
        result = CheckResult(up, "" if up else "refused", 0.1, self.clock.seconds())
        report = HealthReport("web", host, monitor, result, number)
        self.damped.deliver(report)
        return report

    def is_up(self, host: str = "a", monitor: str = "m") -> bool:
        return self.up[host, monitor]

    def flap(self, times: int, host: str = "a") -> None:
        for _ in range(times):
            self.say(False, host)
            self.clock.advance(1)
            self.say(True, host)
            self.clock.advance(1)


def test_the_first_flaps_cost_nothing() -> None:
    pool = Pool()
    for _ in range(FREE_FLAPS):
        pool.say(False)
        assert not pool.is_up()
        pool.clock.advance(2)
        pool.say(True)
        assert pool.is_up()


def test_the_hold_down_grows_up_to_its_bound() -> None:
    pool = Pool()
    pool.flap(FREE_FLAPS)
    for hold_s in (*HOLD_S, HOLD_S[-1]):
        pool.say(False)
        assert not pool.is_up()
        pool.clock.advance(0.5)
        pool.say(True)
        pool.clock.pump([0.1] * round((hold_s - 0.6) * 10))
        assert not pool.is_up(), hold_s
        pool.clock.pump([0.1] * 2)
        assert pool.is_up(), hold_s
    assert max(HOLD_S) <= 60


def test_who_keeps_flapping_stays_out_without_a_change_of_the_table() -> None:
    pool = Pool()
    pool.flap(FREE_FLAPS + len(HOLD_S))
    changes = pool.seen.count(("a", "m", True))
    pool.flap(20)
    assert pool.seen.count(("a", "m", True)) == changes
    assert not pool.is_up()
    pool.clock.pump([1.0] * 60)
    assert pool.is_up()


def test_a_mistake_with_one_that_waits_lets_no_other_wait_for_ever() -> None:
    pool = Pool()
    pool.flap(FREE_FLAPS + len(HOLD_S), "b")
    pool.flap(FREE_FLAPS + 1, "a")
    assert not pool.is_up("a")
    assert not pool.is_up("b")
    pool.broken = "a"
    with capturedLogs() as logged:
        pool.clock.pump([1.0] * 60)
    assert [event["log_failure"].type for event in logged if "log_failure" in event] == [
        ZeroDivisionError
    ]
    assert pool.is_up("b")


def test_quiet_minutes_wipe_the_slate() -> None:
    pool = Pool()
    pool.flap(FREE_FLAPS + 3)
    pool.clock.pump([1.0] * round(WINDOW_S + 10))
    pool.flap(1)
    assert pool.is_up()


def test_an_outage_every_two_minutes_is_never_held() -> None:
    pool = Pool()
    for _ in range(30):
        pool.flap(1)
        assert pool.is_up()
        pool.clock.advance(118)


def test_three_monitors_that_fail_together_are_one_flap() -> None:
    pool = Pool()
    for _ in range(FREE_FLAPS):
        for up in (False, True):
            for monitor in "xyz":
                pool.say(up, monitor=monitor)
    assert all(pool.up.values())


def test_only_the_last_report_of_up_waits() -> None:
    pool = Pool()
    pool.flap(FREE_FLAPS)
    pool.say(False, monitor="x")
    pool.say(False, monitor="y")
    pool.say(True, monitor="x")
    assert pool.is_up(monitor="x")
    pool.say(True, monitor="y")
    assert not pool.is_up(monitor="y")
    # Another one fails: what y said need not wait any longer.
    pool.say(False, monitor="x")
    assert pool.is_up(monitor="y")
    pool.say(True, monitor="x")
    assert not pool.is_up(monitor="x")
    pool.clock.pump([1.0] * 60)
    assert pool.is_up(monitor="x")


def test_a_pool_that_needs_the_server_does_not_wait() -> None:
    pool = Pool()
    pool.flap(FREE_FLAPS + 2)
    assert not pool.is_up()
    pool.spares = False
    pool.say(False, "b")
    assert pool.is_up()
    pool.flap(FREE_FLAPS + 2)
    assert pool.is_up()


def test_a_pool_that_comes_to_need_the_server_waits_a_second_at_most() -> None:
    pool = Pool()
    pool.flap(FREE_FLAPS + 4)
    pool.clock.advance(1)
    pool.spares = False
    pool.clock.advance(1)
    assert pool.is_up()


def test_a_new_set_of_monitors_owes_nothing() -> None:
    pool = Pool()
    pool.flap(FREE_FLAPS + 3)
    assert not pool.is_up()
    pool.say(True, number=2)
    assert pool.is_up()
    pool.say(False, number=2)
    pool.clock.pump([1.0] * 60)
    assert not pool.is_up()


def test_a_retracted_report_is_no_flap() -> None:
    pool = Pool()
    for _ in range(FREE_FLAPS * 3):
        pool.damped.retract(pool.say(False))
        pool.say(True)
        assert pool.is_up()


def test_a_retracted_report_of_down_lets_the_hold_go_on() -> None:
    pool = Pool()
    pool.flap(FREE_FLAPS)
    pool.say(False)
    pool.say(True)
    down = pool.say(False)
    pool.damped.retract(down)
    pool.clock.pump([1.0] * 4)
    assert not pool.is_up()
    pool.clock.pump([1.0] * 2)
    assert pool.is_up()


def test_switched_off_it_hands_on_whatever_comes() -> None:
    pool = Pool(enabled=False)
    pool.flap(20)
    assert len(pool.seen) == 40
    pool = Pool()
    pool.flap(FREE_FLAPS + 3)
    assert not pool.is_up()
    pool.damped.reconfigure(enabled=False, monitors=["m"])
    assert pool.is_up()
    pool.flap(10)
    assert pool.is_up()


def test_after_stop_nothing_is_delivered() -> None:
    pool = Pool()
    pool.flap(FREE_FLAPS + 1)
    pool.damped.stop()
    pool.clock.pump([1.0] * 60)
    assert not pool.is_up()
    assert not pool.clock.getDelayedCalls()


def test_hosts_that_flapped_long_ago_are_forgotten() -> None:
    pool = Pool()
    for number in range(2000):
        pool.flap(1, f"h{number}")
    assert len(pool.damped._flaps) <= WINDOW_S / 2 + 2


def test_a_flap_remembers_no_more_than_counts() -> None:
    flaps = Flaps(1)
    for second in range(1000):
        flaps = flaps.went_down("m", 1, second / 10).came_up("m")
    assert len(flaps.downs_at_s) == FREE_FLAPS + len(HOLD_S)


@pytest.mark.parametrize("seed", range(30))
def test_whatever_comes_down_is_delivered_at_once_and_up_within_a_minute(seed: int) -> None:
    random, pool = Random(seed), Pool()
    said: dict[tuple[str, str], bool] = {}
    since: dict[str, float] = {}
    for _ in range(400):
        host, monitor, up = random.choice("ab"), random.choice("mn"), random.random() < 0.6
        if said.get((host, monitor)) is not up:
            pool.say(up, host, monitor)
            said[host, monitor] = up
            since[host] = pool.clock.seconds()
        pool.spares = random.random() < 0.9
        pool.clock.pump([0.5] * random.choice([0, 1, 5, 30, 130]))
        for key, last in said.items():
            if not last:
                assert not pool.up[key]
            elif pool.clock.seconds() - since[key[0]] > max(HOLD_S) + 1:
                assert pool.up[key], key


@pytest.mark.parametrize("spares", [True, False])
def test_a_monitor_that_reports_for_the_first_time_does_not_lose_what_waits(spares: bool) -> None:
    pool = Pool()
    pool.flap(FREE_FLAPS)
    pool.say(False)
    pool.say(True)
    assert not pool.is_up()
    pool.spares = spares
    pool.say(True, monitor="slow")
    assert pool.is_up(monitor="slow")
    pool.clock.pump([1.0] * 8)
    assert pool.is_up()


def test_what_is_held_is_delivered_in_the_order_of_its_time() -> None:
    pool = Pool()
    hosts = [f"h{number}" for number in range(40)]
    for _ in range(FREE_FLAPS + 1):
        for host in hosts:
            pool.say(False, host)
            pool.clock.advance(0.01)
    # Nobody was up in between: all of these are one flap.
    for _ in range(FREE_FLAPS):
        for host in hosts:
            pool.say(True, host)
            pool.say(False, host)
            pool.clock.advance(0.01)
    for host in reversed(hosts):
        pool.say(True, host)
    seen = len(pool.seen)
    pool.clock.pump([0.1] * 80)
    assert [host for host, _, _ in pool.seen[seen:]] == hosts


def test_who_flaps_while_thousands_wait_costs_no_look_at_all_of_them() -> None:
    pool = Pool()
    asked = 0

    def waits(held: object, really: object = pool.damped._waits) -> bool:
        nonlocal asked
        asked += 1
        return really(held)  # type: ignore[no-any-return,operator]

    pool.damped._waits = waits  # type: ignore[method-assign]
    hosts = [f"h{number}" for number in range(300)]
    for _ in range(FREE_FLAPS + 1):
        for host in hosts:
            pool.say(False, host)
            pool.say(True, host)
    assert asked < 20 * len(hosts)


def test_what_no_longer_waits_takes_no_memory() -> None:
    pool = Pool()
    pool.flap(FREE_FLAPS)
    for _ in range(1000):
        pool.say(False)
        pool.say(True)
    assert len(pool.damped._by_time) <= 110
