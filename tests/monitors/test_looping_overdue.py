"""A check that takes far longer than its timeout."""

from __future__ import annotations

from contextlib import suppress

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import capturedLogs

from pybal.health.stalls import BEAT_S, StallDetector
from pybal.monitors.asking import AskingMonitor
from pybal.monitors.looping import OVERDUE_TIMEOUTS, CheckOutcome
from tests.fakes.environment import MonitorBench
from tests.monitors.probe import INTERVAL_S, Probe, ProbeSettings, running_probe

LIMIT_S = OVERDUE_TIMEOUTS * ProbeSettings().timeout_s


def test_a_check_that_never_ends_counts_as_failed_and_is_cancelled() -> None:
    bench = MonitorBench()
    probe = running_probe(bench)
    with capturedLogs() as logged:
        bench.advance(LIMIT_S - 1)
        assert bench.ups == []
        bench.advance(2)
    (down,) = bench.reports
    assert (down.up, down.reason) == (False, "the check came to no result within 30 s")
    assert logged == [], "the pool's log tells"
    bench.advance(INTERVAL_S)
    assert len(probe.began) == 2, "the next one comes in its turn"
    probe.answer.callback(CheckOutcome(True, "fine"))
    assert bench.ups == [False, True]
    probe.stop()
    assert bench.idle


class Deaf(Probe):
    """It takes no notice of being cancelled, twice."""

    async def _check(self) -> CheckOutcome | None:
        for _ in range(2):
            with suppress(CancelledError):
                return await super()._check()
        return await super()._check()


def test_one_that_is_cancelled_in_vain_fails_each_interval_and_never_overlaps_itself() -> None:
    bench = MonitorBench()
    deaf = Deaf(bench)
    deaf.start()
    bench.advance(LIMIT_S + 1)
    assert deaf.snapshot().down_results == 1
    bench.advance(INTERVAL_S)
    assert deaf.snapshot().down_results == 2
    deaf.answer.callback(CheckOutcome(True, "at last"))
    assert bench.ups == [False], "it had failed"
    bench.advance(INTERVAL_S)
    deaf.answer.callback(CheckOutcome(True, "fine"))
    assert bench.ups == [False, True]
    deaf.stop()
    assert bench.idle


class Deafest(Probe):
    """It takes no notice of being cancelled, ever."""

    async def _check(self) -> CheckOutcome | None:
        while True:
            with suppress(CancelledError):
                await Deferred[None]()


def test_our_sleep_amid_a_check_that_is_cancelled_in_vain_excuses_it_once() -> None:
    bench, slept_s = MonitorBench(), 0.0

    def steady_s() -> float:
        return bench.clock.seconds() + slept_s

    meter = StallDetector(steady_s, steady_s)
    object.__setattr__(bench.environment, "stall_meter", meter)
    deafest = Deafest(bench)
    deafest.start()
    bench.advance(1)
    slept_s = 3600.0
    meter.beat()
    for _ in range(round((LIMIT_S + 2 * INTERVAL_S) / BEAT_S)):
        bench.clock.advance(BEAT_S)
        meter.beat()
    assert deafest.snapshot().down_results == 2
    deafest.stop()
    assert bench.idle


class DeafAsking(AskingMonitor):
    """Its timeout is in vain, as many times as it is told."""

    times = 1

    async def _ask(self) -> CheckOutcome:
        self._question = "how long"
        for _ in range(self.times):
            with suppress(CancelledError):
                await Deferred[None]()
        await Deferred[None]()
        raise AssertionError


def test_a_question_whose_timeout_is_in_vain_ends_all_the_same() -> None:
    bench = MonitorBench()
    asking = DeafAsking(ProbeSettings(), bench.target, bench.environment, bench.reports)
    asking.start()
    bench.advance(LIMIT_S + 1)
    (down,) = bench.reports
    assert (down.up, down.reason) == (False, "the check came to no result within 30 s")
    asking.stop()
    assert bench.idle


def test_nothing_is_left_of_a_question_that_was_asked_in_vain_as_it_was_stopped() -> None:
    bench = MonitorBench()
    asking = DeafAsking(ProbeSettings(), bench.target, bench.environment, bench.reports)
    asking.times = 10
    asking.start()
    bench.advance(1)
    asking.stop()
    bench.advance(ProbeSettings().timeout_s)
    assert bench.idle


def test_an_overdue_check_in_our_sleep_says_nothing_of_the_server() -> None:
    bench = MonitorBench()
    probe = running_probe(bench)
    bench.stall_meter.is_stalled = True
    bench.advance(LIMIT_S + 1)
    assert bench.reports == []
    assert len(probe.began) == 2, "it is made again"
    probe.stop()
