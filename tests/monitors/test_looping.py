"""The loop that most monitors share."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import cast

import pytest
from twisted.logger import capturedLogs

from pybal.model import MetricSample
from pybal.monitors.looping import CheckOutcome
from pybal.runtime.storm_log import MOST_LINES, WINDOW_S
from tests.fakes.environment import MonitorBench
from tests.fakes.log import format_line
from tests.monitors.probe import INTERVAL_S, Probe, running_probe


def test_the_first_check_comes_at_once_and_the_second_at_a_place_within_the_interval() -> None:
    places = set()
    for seed in range(20):
        bench = MonitorBench(seed=seed)
        probe = Probe(bench)
        probe.start()
        assert probe.began == []
        bench.clock.advance(0)
        assert probe.began == [0.0]
        bench.clock.advance(1.0)
        probe.answer.callback(CheckOutcome(True, "fine"))
        next_at = bench.next_call_at
        assert 1.0 < next_at <= INTERVAL_S + 1
        places.add(int(next_at))
    assert len(places) > 5


class Held:
    """Turns that have no time left until the test says otherwise."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], object]] = []

    def call(self, piece: Callable[[], object]) -> None:
        self.waiting.append(piece)


@pytest.mark.parametrize("stopped", [False, True])
def test_a_check_that_is_due_with_hundreds_of_others_waits_for_its_turn(*, stopped: bool) -> None:
    bench, turns = MonitorBench(), Held()
    probe = running_probe(bench)
    probe.answer.callback(CheckOutcome(True, "fine"))
    object.__setattr__(bench.environment, "beats", turns)
    bench.advance(INTERVAL_S)
    assert len(probe.began) == 1, "it waits"
    bench.advance(0.5)
    if stopped:
        probe.stop()
    (piece,) = turns.waiting
    piece()
    assert len(probe.began) == 2 - stopped
    if not stopped:
        probe.answer.callback(CheckOutcome(True, "fine"))
        assert probe.began[1] - probe.began[0] == pytest.approx(INTERVAL_S + 0.5, abs=0.3)
        assert bench.next_call_at - bench.clock.seconds() <= INTERVAL_S


def test_checks_keep_their_beat_however_long_they_take() -> None:
    bench = MonitorBench()
    probe = running_probe(bench)
    for duration_s in (0.5, 3.0, 9.5):
        bench.advance(duration_s)
        probe.answer.callback(CheckOutcome(True, "fine"))
        bench.advance(INTERVAL_S - duration_s)
    gaps = [round(b - a, 1) for a, b in pairwise(probe.began)]
    assert gaps == [INTERVAL_S] * 3


def test_a_check_that_outlasts_the_interval_skips_the_beats_it_missed() -> None:
    bench = MonitorBench()
    probe = running_probe(bench)
    bench.advance(25)
    assert len(probe.began) == 1
    probe.answer.callback(CheckOutcome(True, "at last"))
    assert bench.reports[0].duration_s == bench.clock.seconds() - probe.began[0]
    bench.advance(5)
    assert [round(t - probe.began[0], 1) for t in probe.began] == [0.0, 30.0]


def test_a_clock_set_back_delays_the_next_check_by_an_interval_at_most() -> None:
    bench = MonitorBench()
    probe = running_probe(bench)
    bench.clock.rightNow -= 3600
    probe.answer.callback(CheckOutcome(True, "before it began"))
    assert bench.reports[0].duration_s == 0.0
    bench.advance(INTERVAL_S)
    assert len(probe.began) == 2


class Stillborn(Probe):
    mistake: BaseException = ZeroDivisionError("a plugin's mistake")

    def _begin(self) -> None:
        raise self.mistake


MISTAKES = (ZeroDivisionError("a plugin's mistake"), SystemExit(3))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_one_that_cannot_begin_says_so_and_hinders_nobody(mistake: BaseException) -> None:
    bench = MonitorBench()
    probe = Stillborn(bench)
    probe.mistake = mistake
    with capturedLogs() as logged:
        probe.start()
    assert [event["doing"] for event in logged] == ["starting"]
    assert [s.metric for s in probe.snapshot().samples] == ["pybal_monitor_internal_errors_total"]
    probe.stop()
    assert bench.clock.getDelayedCalls() == []


class SlowStarter(Probe):
    """It can begin at the third attempt."""

    attempts: list[float]

    def _begin(self) -> None:
        self.attempts.append(self._reactor.seconds())
        if len(self.attempts) < 3:
            raise ZeroDivisionError("a plugin's mistake")
        super()._begin()


def test_one_that_could_not_begin_tries_again_less_and_less_often() -> None:
    bench = MonitorBench()
    probe = SlowStarter(bench)
    probe.attempts = []
    with capturedLogs() as logged:
        probe.start()
        probe.check_soon()
        bench.advance(20)
    assert list(map(round, probe.attempts)) == [0, 5, 15]
    assert len(logged) == 1
    assert len(probe.began) == 1


class Unhurried(Probe):
    def _expedite(self, within_s: float) -> None:
        raise ZeroDivisionError("a plugin's mistake")


def test_one_that_cannot_check_soon_goes_on_as_it_does() -> None:
    bench = MonitorBench()
    probe = Unhurried(bench)
    probe.start()
    bench.advance(1)
    with capturedLogs() as logged:
        probe.check_soon()
        bench.advance(INTERVAL_S)
    assert [event["doing"] for event in logged] == ["making a check sooner"]
    probe.answer.callback(CheckOutcome(True, "fine"))
    bench.advance(INTERVAL_S)
    assert len(probe.began) == 2
    probe.answer.callback(CheckOutcome(True, "fine"))
    assert len(bench.clock.getDelayedCalls()) == 1


class Boaster(Probe):
    """Its metrics are a mistake."""

    samples: Callable[[], list[MetricSample]] = staticmethod(list)

    def _samples(self) -> list[MetricSample]:
        return self.samples()


@pytest.mark.parametrize(
    "samples",
    [
        lambda: [MetricSample("x", (), 1 / 0)],
        lambda: [MetricSample("x", (), cast(float, None))],
        lambda: [MetricSample("x", (("code", cast(str, 5)),), 1.0)],
        lambda: [cast(MetricSample, "x")],
    ],
)
def test_a_mistake_in_its_metrics_hides_nothing_else(
    samples: Callable[[], list[MetricSample]],
) -> None:
    bench = MonitorBench()
    probe = Boaster(bench)
    probe.samples = samples
    probe.start()
    bench.clock.advance(0)
    with capturedLogs() as logged:
        probe.answer.callback(CheckOutcome(True, "fine"))
        shown = probe.snapshot()
        probe._touched()
        probe.snapshot()
    assert shown.up is True
    assert [s.metric for s in shown.samples] == ["pybal_monitor_internal_errors_total"]
    assert [event["doing"] for event in logged] == ["telling its metrics"]


class Clumsy(Probe):
    mistake: BaseException

    def _end(self) -> None:
        raise self.mistake

    def _expedite(self, within_s: float) -> None:
        raise self.mistake


@pytest.mark.parametrize("mistake", MISTAKES)
def test_one_that_cannot_be_hurried_or_ended_says_so_and_hinders_nobody(
    mistake: BaseException,
) -> None:
    bench = MonitorBench()
    clumsy = Clumsy(bench)
    clumsy.mistake = mistake
    clumsy.start()
    bench.clock.advance(0)
    clumsy.answer.callback(CheckOutcome(False, "silent"))
    with capturedLogs() as logged:
        bench.environment.recoveries.recheck_all(1.0)
        clumsy.stop()
    assert [event["doing"] for event in logged] == ["making a check sooner", "stopping"]


def test_no_opinion_is_no_result() -> None:
    bench = MonitorBench()
    probe = running_probe(bench)
    probe.answer.callback(None)
    assert probe.snapshot().last is None
    bench.advance(INTERVAL_S)
    assert len(probe.began) == 2


def test_a_plug_in_that_would_end_the_program_ends_nothing() -> None:
    bench = MonitorBench()
    probe = running_probe(bench)
    with capturedLogs() as logged:
        probe.answer.errback(SystemExit(1))
    assert [event["doing"] for event in logged] == ["checking"]
    bench.advance(INTERVAL_S)
    assert len(probe.began) == 2


def test_each_failed_check_after_the_reported_one_is_logged_and_the_return_once() -> None:
    bench = MonitorBench()
    probe = running_probe(bench)
    with capturedLogs() as logged:
        for up in (True, False, False, True, True):
            probe.answer.callback(CheckOutcome(up, "it answered" if up else "it is\nsilent"))
            bench.advance(INTERVAL_S)
    assert [format_line(event) for event in logged] == [
        "[textlb_443 Probe] WARN: cp1.example (up): it is silent",
        "[textlb_443 Probe] INFO: cp1.example (up): up again: it answered",
    ]


def test_how_many_are_needed_is_said_until_there_are_so_many() -> None:
    bench = MonitorBench()
    probe = Probe(bench, fall=2)
    probe.start()
    bench.advance(INTERVAL_S)
    with capturedLogs() as logged:
        for up in (True, False, False, False):
            probe.answer.callback(CheckOutcome(up, "it answered" if up else "it is silent"))
            bench.advance(INTERVAL_S)
    assert [format_line(event) for event in logged] == [
        "[textlb_443 Probe] WARN: cp1.example (up): it is silent (1 in a row, 2 needed)",
        "[textlb_443 Probe] WARN: cp1.example (up): it is silent",
    ]


def test_of_thousands_that_fail_at_once_the_first_are_lines_and_the_rest_is_a_summary() -> None:
    bench = MonitorBench()
    probes = [Probe(bench) for _ in range(MOST_LINES + 3)]
    for probe in probes:
        probe.start()
    bench.advance(INTERVAL_S)
    for probe in probes:
        probe.answer.callback(CheckOutcome(False, "it was silent"))
    bench.advance(INTERVAL_S)
    with capturedLogs() as logged:
        for probe in probes:
            probe.answer.callback(CheckOutcome(False, "it is silent"))
        bench.clock.advance(WINDOW_S)
    *lines, summary, _ = [format_line(event) for event in logged]
    assert lines == ["[textlb_443 Probe] WARN: cp1.example (up): it is silent"] * MOST_LINES
    names = ", ".join(["cp1.example"] * 3)
    assert summary == f"[textlb_443 Probe] WARN: At the same time: 3 more failed ({names})"


def test_a_reason_is_one_line_of_bounded_length() -> None:
    bench = MonitorBench()
    running_probe(bench).answer.callback(CheckOutcome(False, "a\r\n\tb " + "x" * 10_000))
    reason = bench.reports[0].reason
    assert reason.startswith("a b xxx")
    assert len(reason) == 500
