"""What every monitor must keep to, each of them against the same tests."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import LogLevel, capturedLogs, globalLogPublisher

from pybal.model import CheckResult, MetricSample
from pybal.monitors.registry import BUILT_IN
from tests.fakes.environment import EPOCH, MonitorBench
from tests.fakes.log import format_line
from tests.fakes.network import os_error
from tests.monitors.drivers import DRIVERS, Driver, RunCommandDriver

every_driver = pytest.mark.parametrize("kind", DRIVERS)


def test_every_kind_of_settings_has_a_driver() -> None:
    assert {kind.settings.monitor for kind in DRIVERS} == set(BUILT_IN)


@every_driver
def test_a_monitor_that_was_not_heard_of_yet_has_no_state(kind: type[Driver]) -> None:
    bench = MonitorBench()
    snapshot = bench.start(kind.settings).snapshot()
    assert snapshot.name == kind.settings.monitor
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
@given(
    results=st.lists(st.booleans(), max_size=12),
    rise=st.integers(1, 3),
    fall=st.integers(1, 3),
)
def test_the_state_changes_after_enough_equal_results_in_a_row(
    kind: type[Driver], results: list[bool], rise: int, fall: int
) -> None:
    bench = MonitorBench()
    monitor = bench.start(dataclasses.replace(kind.settings, rise=rise, fall=fall))
    driver = kind()
    state: bool | None = None
    changes = []
    in_a_row = 0
    for number, up in enumerate(results):
        driver.result(bench, up)
        in_a_row = in_a_row + 1 if number and results[number - 1] is up else 1
        if up is not state and in_a_row >= (rise if up else fall):
            state = up
            changes.append(up)
        snapshot = monitor.snapshot()
        assert (snapshot.up, snapshot.in_a_row) == (state, in_a_row)
        assert bench.ups == changes
    assert (monitor.snapshot().rise, monitor.snapshot().fall) == (rise, fall)
    assert monitor.snapshot().up_results == results.count(True)


@pytest.mark.parametrize(
    "kind", [k for k in DRIVERS if "port" not in BUILT_IN[k.settings.monitor].kind.lacks]
)
def test_another_port_can_be_checked(kind: type[Driver]) -> None:
    bench = MonitorBench()
    bench.start(dataclasses.replace(kind.settings, port=8443))
    driver = kind()
    driver.wait_for_check(bench)
    assert {channel.port for channel in bench.network.channels} <= {8443}
    assert all(e.request.connect_to == (bench.target.address, 8443) for e in bench.http.exchanges)


@every_driver
def test_a_failure_that_is_reported_is_told_by_the_pools_log_alone(kind: type[Driver]) -> None:
    bench = MonitorBench()
    bench.start(kind.settings)
    with capturedLogs() as logged:
        kind().result(bench, False)
    assert [report.up for report in bench.reports] == [False]
    assert logged == []


@every_driver
def test_a_failure_that_no_other_log_tells_is_logged(kind: type[Driver]) -> None:
    """As of a server that is tried where its name has moved to."""
    bench = MonitorBench()
    bench.target = dataclasses.replace(bench.target, is_trial=True)
    bench.start(kind.settings)
    with capturedLogs() as logged:
        kind().result(bench, False)
    (line,) = [format_line(event) for event in logged]
    assert f"WARN: cp1.example (up): {bench.reports[0].reason}" in line


@every_driver
def test_the_report_comes_before_the_log_line_which_shows_the_server_as_it_was(
    kind: type[Driver],
) -> None:
    bench = MonitorBench()
    order: list[str] = []
    bench.target = dataclasses.replace(
        bench.target, describe=lambda: f"cp1.example ({'pooled' if order[1:] else 'depooled'})"
    )
    bench.make(kind.settings, lambda _: order.append("reported")).start()
    driver = kind()
    driver.result(bench, False)
    observer = cast(Any, lambda event: order.append(format_line(event)))
    globalLogPublisher.addObserver(observer)
    try:
        driver.result(bench, True)
    finally:
        globalLogPublisher.removeObserver(observer)
    assert order[:2] == ["reported", "reported"]
    assert "cp1.example (depooled): up again: " in order[2]


@every_driver
def test_a_down_has_a_reason_of_one_line_that_names_whom_was_asked(kind: type[Driver]) -> None:
    bench = MonitorBench()
    bench.start(kind.settings)
    kind().result(bench, False)
    reason = bench.reports[0].reason
    assert reason and "\n" not in reason
    assert "192.0.2.7" in reason or "/etc/pybal/check" in reason


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


@every_driver
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
def test_many_that_start_together_do_not_check_together(kind: type[Driver]) -> None:
    """Nor ever after: what follows the first check has places of its own in the interval."""
    bench = MonitorBench()
    for number in range(1000):
        bench.start(kind.settings, host=f"h{number}")
    calls: Sequence[Any] = bench.clock.getDelayedCalls()
    if kind is RunCommandDriver:
        places = sorted(call.getTime() for call in calls)
        assert max(places) == pytest.approx(kind.settings.interval_s, rel=0.01)
        assert max(b - a for a, b in pairwise(places)) < kind.settings.interval_s / 200
        return
    # One timer for all.
    assert len(calls) == 1
    bench.clock.advance(0.02)
    assert 0 < len(bench.clock.getDelayedCalls()) < 100


def internal_errors(samples: Iterable[MetricSample]) -> float:
    return sum(s.value for s in samples if s.metric == "pybal_monitor_internal_errors_total")
