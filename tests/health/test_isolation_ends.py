"""Isolation is switched off, and a report cannot be acted on: what goes on all the same."""

from __future__ import annotations

from pybal.health.isolation import PROBE_AGAIN_S, Phase
from pybal.health.isolation_guard import AT_ONCE
from tests.health.test_isolation_guard import Bench


def test_to_switch_it_off_while_cut_off_ends_that_for_whoever_was_told() -> None:
    bench = Bench()
    bench.cut_off()
    before = len(bench.phases)
    bench.guard.reconfigure(None)
    assert bench.phases[before - 1 :] == [Phase.CUT_OFF, Phase.NORMAL]
    assert bench.acted[-1].startswith("down ")
    assert any("switched off: 2 reports acted on" in line for line in bench.log.lines)
    told = len(bench.phases)
    bench.guard.reconfigure(None)
    assert len(bench.phases) == told


def test_as_the_hold_expires_it_is_told_how_many_reports_count_and_then_that_it_is_over() -> None:
    bench = Bench()
    bench.cut_off()
    while bench.phase() is Phase.CUT_OFF:
        bench.clock.advance(PROBE_AGAIN_S)
    assert bench.phase() is Phase.HOLD_EXPIRED
    assert any("Still cut off: 2 reports acted on" in line for line in bench.log.lines)
    while not bench.network.open:
        bench.clock.advance(PROBE_AGAIN_S)
    bench.network.open[0].connect()
    bench.clock.advance(0)
    assert bench.phase() is Phase.NORMAL
    assert "No longer cut off" in bench.log.lines[-1]


def test_to_switch_it_off_while_all_is_well_says_nothing() -> None:
    bench = Bench()
    bench.guard.reconfigure(None)
    assert (bench.phases, bench.log.lines) == ([], [])


def test_a_mistake_in_acting_on_a_report_keeps_none_behind_it_back() -> None:
    bench = Bench()
    bench.broken = f"h{AT_ONCE + 2}"
    for number in range(AT_ONCE + 6):
        bench.up(f"h{number}")
    bench.clock.advance(0)
    assert len(bench.acted) == AT_ONCE + 5
    assert any(f"a report of {bench.broken} in" in line for line in bench.log.lines)
