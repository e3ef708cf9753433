"""What every monitor must keep to, each of them against the same tests."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import LogLevel, capturedLogs

from pybal.config.settings import MonitorSettings
from pybal.model import CheckResult, MetricSample
from pybal.monitors.registry import monitor_name
from tests.fakes.environment import EPOCH, MonitorBench
from tests.fakes.network import os_error
from tests.monitors.drivers import DRIVERS, Driver, ProxyFetchDriver

every_driver = pytest.mark.parametrize("kind", DRIVERS)


def test_every_kind_of_settings_has_a_driver() -> None:
    assert {type(kind.settings) for kind in DRIVERS} == set(get_args(MonitorSettings))


@every_driver
def test_a_monitor_that_was_not_heard_of_yet_has_no_state(kind: type[Driver]) -> None:
    bench = MonitorBench()
    snapshot = bench.start(kind.settings).snapshot()
    assert snapshot.name == monitor_name(kind.settings)
    assert (snapshot.up, snapshot.since, snapshot.last) == (None, None, None)
    assert bench.reports == []


@every_driver
@pytest.mark.parametrize("up", [True, False])
def test_the_first_result_is_reported(kind: type[Driver], up: bool) -> None:
    bench = MonitorBench()
    monitor = bench.start(kind.settings)
    kind().result(bench, up)
    assert bench.ups == [up]
    (result,) = bench.reports
    assert monitor.snapshot().last == result
    assert result.at == monitor.snapshot().since
    assert EPOCH <= result.at <= EPOCH + bench.clock.seconds()


@every_driver
@given(results=st.lists(st.booleans(), max_size=12))
def test_changes_alone_are_reported_and_every_result_is_counted(
    kind: type[Driver], results: list[bool]
) -> None:
    bench = MonitorBench()
    monitor = bench.start(kind.settings)
    driver = kind()
    for up in results:
        driver.result(bench, up)
    changes = [up for i, up in enumerate(results) if i == 0 or results[i - 1] is not up]
    assert bench.ups == changes
    snapshot = monitor.snapshot()
    assert snapshot.up_results == results.count(True)
    assert snapshot.down_results == results.count(False)
    assert snapshot.up_transitions == changes.count(True)
    assert snapshot.down_transitions == changes.count(False)
    if results:
        assert snapshot.up is results[-1]
        assert snapshot.since == bench.reports[-1].at


@every_driver
def test_a_down_has_a_reason_of_one_line_that_names_whom_was_asked(kind: type[Driver]) -> None:
    bench = MonitorBench()
    bench.start(kind.settings)
    kind().result(bench, False)
    reason = bench.reports[0].reason
    assert reason and "\n" not in reason
    assert "192.0.2.7:443" in reason or "/etc/pybal/check" in reason


@every_driver
def test_stopped_before_the_first_check_it_never_checks(kind: type[Driver]) -> None:
    bench = MonitorBench()
    monitor = bench.start(kind.settings)
    monitor.stop()
    assert bench.idle
    bench.advance(100)
    assert bench.reports == []


@every_driver
def test_stopped_within_a_check_it_lets_go_of_everything_and_is_silent(kind: type[Driver]) -> None:
    bench = MonitorBench()
    monitor = bench.start(kind.settings)
    kind().wait_for_check(bench)
    with capturedLogs() as logged:
        monitor.stop()
        assert bench.idle
        for process in bench.processes.running:
            process.end(-9, b"late words")
        bench.advance(100)
        monitor.stop()
    assert bench.reports == []
    assert monitor.snapshot().last is None
    assert logged == []


@every_driver
@pytest.mark.parametrize("up", [True, False])
def test_stopped_between_checks_it_is_silent(kind: type[Driver], up: bool) -> None:
    bench = MonitorBench()
    monitor = bench.start(kind.settings)
    kind().result(bench, up)
    monitor.stop()
    assert bench.idle
    bench.advance(100)
    assert len(bench.reports) == 1


@every_driver
@pytest.mark.parametrize("up", [True, False])
def test_a_report_may_stop_the_monitor(kind: type[Driver], up: bool) -> None:
    bench = MonitorBench()
    heard: list[CheckResult] = []

    def report(result: CheckResult) -> None:
        heard.append(result)
        monitor.stop()

    monitor = bench.make(kind.settings, report)
    monitor.start()
    kind().result(bench, up)
    assert bench.idle
    bench.advance(100)
    assert [result.up for result in heard] == [up]


@every_driver
@pytest.mark.parametrize("up", [True, False])
def test_a_report_that_raises_does_not_end_the_checks(kind: type[Driver], up: bool) -> None:
    bench = MonitorBench()

    def report(result: CheckResult) -> None:
        raise RuntimeError("the listener's mistake")

    monitor = bench.make(kind.settings, report)
    monitor.start()
    driver = kind()
    with capturedLogs() as logged:
        driver.result(bench, up)
        driver.result(bench, up)
        driver.result(bench, not up)
    snapshot = monitor.snapshot()
    assert snapshot.up_results + snapshot.down_results == 3
    assert internal_errors(snapshot.samples) == 2
    failures = [event for event in logged if "log_failure" in event]
    assert len(failures) == 1, "a row of equal errors is logged once"
    assert failures[0]["log_level"] is LogLevel.error


@every_driver
def test_a_check_never_overlaps_itself(kind: type[Driver]) -> None:
    bench = MonitorBench()
    bench.start(kind.settings)
    driver = kind()
    driver.wait_for_check(bench)
    for _ in range(1000):
        bench.clock.advance(0.1)
        under_way = [*bench.network.open, *bench.http.under_way, *bench.processes.running]
        assert len(under_way) <= 1


@every_driver
def test_an_exception_in_a_check_is_counted_and_the_checks_go_on(kind: type[Driver]) -> None:
    bench = MonitorBench()
    monitor = bench.start(kind.settings)
    driver = kind()
    driver.break_world(bench, RuntimeError("a mistake of ours"))
    with capturedLogs() as logged:
        bench.advance(25)
    assert bench.reports == []
    assert internal_errors(monitor.snapshot().samples) >= 2
    assert len(logged) == 1, "a row of equal errors is logged once"
    driver.break_world(bench, None)
    driver.result(bench, True)
    assert bench.ups == [True]


# ProxyFetch is not among them: the HTTP client's port does not tell such faults apart.
@pytest.mark.parametrize("kind", [kind for kind in DRIVERS if kind is not ProxyFetchDriver])
@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_a_fault_of_the_directors_own_is_no_result(kind: type[Driver], code: int) -> None:
    bench = MonitorBench()
    monitor = bench.start(kind.settings)
    kind().break_world(bench, os_error(code))
    bench.advance(25)
    assert bench.reports == []
    assert internal_errors(monitor.snapshot().samples) >= 2


@every_driver
def test_a_monitor_starts_once(kind: type[Driver]) -> None:
    bench = MonitorBench()
    monitor = bench.start(kind.settings)
    with pytest.raises(RuntimeError, match="once"):
        monitor.start()


@every_driver
def test_first_checks_are_spread_at_random(kind: type[Driver]) -> None:
    began = set()
    for seed in range(20):
        bench = MonitorBench(seed=seed)
        bench.start(kind.settings)
        began.add(round(bench.next_call_at, 3))
    interval_s = getattr(kind.settings, "interval_s", 1.0)
    assert len(began) > 15
    assert 0 <= min(began) < interval_s / 3
    assert interval_s * 2 / 3 < max(began) <= interval_s


def internal_errors(samples: Iterable[MetricSample]) -> float:
    return sum(s.value for s in samples if s.metric == "pybal_monitor_internal_errors_total")
