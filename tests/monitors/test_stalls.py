"""A failure that was seen while we stalled is not believed, whatever the monitor."""

from __future__ import annotations

import errno

import pytest

from pybal.monitors.base import AGAIN_WITHIN_S
from pybal.monitors.idleconnection import IdleConnectionSettings
from pybal.monitors.proxyfetch import ProxyFetchSettings
from tests.fakes.environment import MonitorBench
from tests.fakes.network import os_error
from tests.monitors.drivers import DRIVERS, Driver


@pytest.mark.parametrize("kind", DRIVERS)
def test_a_failure_in_our_sleep_is_no_result_and_is_checked_again_soon(kind: type[Driver]) -> None:
    bench = MonitorBench()
    monitor = bench.start(kind.settings)
    driver = kind()
    driver.wait_for_check(bench)
    bench.stall_meter.is_stalled = True
    driver.answer(bench, False)
    bench.stall_meter.is_stalled = False
    assert bench.reports == []
    assert monitor.snapshot().down_results == 0
    assert bench.next_call_at - bench.clock.seconds() <= AGAIN_WITHIN_S + 1
    driver.result(bench, False)
    assert bench.ups == [False]


@pytest.mark.parametrize("kind", DRIVERS)
def test_an_answer_counts_though_we_slept(kind: type[Driver]) -> None:
    bench = MonitorBench()
    bench.start(kind.settings)
    bench.stall_meter.is_stalled = True
    kind().result(bench, True)
    assert bench.ups == [True]


def test_a_connection_that_was_lost_in_our_sleep_is_made_again_before_it_counts() -> None:
    bench = MonitorBench()
    bench.start(IdleConnectionSettings())
    bench.advance(2)
    bench.network.open[0].connect()
    bench.advance(100)
    bench.stall_meter.is_stalled = True
    bench.network.open[0].end(errno.ECONNRESET)
    bench.stall_meter.is_stalled = False
    bench.advance(AGAIN_WITHIN_S)
    bench.network.open[0].connect()
    assert bench.ups == [True]


def test_checks_that_were_due_in_our_sleep_are_spread_anew() -> None:
    bench = MonitorBench()
    bench.start(ProxyFetchSettings(urls=("http://en.example/",)))
    bench.advance(1)
    bench.http.under_way[0].answer(200)
    bench.clock.advance(60)
    assert bench.http.under_way == []
    assert 0 < bench.next_call_at - bench.clock.seconds() <= 10


def test_a_fault_of_our_own_is_noted_on_the_board() -> None:
    bench = MonitorBench()
    bench.start(IdleConnectionSettings())
    bench.network.error = os_error(errno.EMFILE)
    bench.advance(2)
    assert bench.faults.current() == "too many open files"
    assert bench.faults.counts["EMFILE"] >= 1
    bench.network.error = None
    bench.advance(200)
    assert bench.faults.current() == ""
