"""The rule of isolation: what is acted on at once, what waits, and when it is over."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from pybal.health.isolation import (
    CONFIRM_S,
    FEW_PROBED,
    MANY_PROBED,
    NEARLY_HOLD_S,
    ROUNDS,
    SETTLE_S,
    Answers,
    Deliver,
    Isolation,
    Phase,
    Retract,
)
from tests.health.isolation_world import HOLD_S, HOSTS, WINDOW_S, World, report_of


def cut_off_world() -> World:
    """Two resets were acted on, then a silence led to the verdict."""
    world = World()
    world.report("a", False)
    world.report("b", False)
    world.report("c", False, slow=True)
    world.answers(0, 5, rounds=ROUNDS)
    assert world.phase() is Phase.CUT_OFF
    return world


def test_a_reset_is_acted_on_at_once() -> None:
    world = World()
    world.report("a", False)
    assert world.down == ["a"]
    assert world.phase() is Phase.NORMAL


def test_a_silence_waits_for_what_others_say_and_is_then_acted_on() -> None:
    world = World()
    world.report("a", False, slow=True)
    assert world.down == []
    assert world.phase() is Phase.PROBING
    world.answers(4, 1)
    assert world.down == []
    assert world.rule.to_confirm(world.now_s)[0] == {"a"}
    world.confirm()
    assert world.down == ["a"]
    assert world.phase() is Phase.NORMAL


def test_a_silence_that_a_second_check_does_not_meet_was_nothing() -> None:
    world = World()
    world.report("a", False, slow=True)
    world.report("b", False, slow=True)
    world.answers(4, 1)
    world.report("a", True)
    world.report("b", True)
    world.pass_time(CONFIRM_S)
    assert world.phase() is Phase.NORMAL
    assert world.down == []


def test_a_second_check_that_met_a_link_that_is_off_again_is_no_verdict() -> None:
    world = World()
    world.report("a", False, slow=True)
    world.answers(4, 1)
    world.pass_time(CONFIRM_S)
    world.answers(0, 12)
    world.answers(12, 0)
    assert world.down == []
    assert world.rule.to_confirm(world.now_s)[0] == {"a"}
    world.confirm()
    assert world.down == ["a"]


def test_a_link_that_goes_on_and_off_holds_nobody_for_ever() -> None:
    world = World()
    world.report("a", False, slow=True)
    began_s = world.now_s
    world.answers(4, 1)
    while world.down == [] and world.now_s - began_s < 600:
        world.pass_time(CONFIRM_S)
        world.answers(0, 12)
        world.answers(12, 0)
    assert world.now_s - began_s < NEARLY_HOLD_S + 2 * CONFIRM_S


def test_one_that_fails_while_another_has_its_second_check_has_one_of_its_own() -> None:
    world = World()
    world.report("a", False, slow=True)
    world.answers(4, 1)
    world.pass_time(CONFIRM_S / 2)
    world.report("b", False, slow=True)
    world.answers(4, 1)
    assert world.down == []
    world.pass_time(CONFIRM_S / 2)
    world.answers(4, 1)
    assert world.down == ["a"]
    world.pass_time(CONFIRM_S / 2)
    world.answers(4, 1)
    assert world.down == ["a", "b"]


def test_a_silence_that_ends_while_others_are_asked_was_nothing() -> None:
    world = World()
    world.report("a", False, slow=True)
    world.report("a", True)
    world.answers(5, 0)
    assert world.down == []


def test_many_resets_have_others_asked() -> None:
    world = World()
    for number in range(HOSTS // 10 + 1):
        world.report(f"h{number}", False)
    assert len(world.down) == HOSTS // 10
    world.answers(12, 0)
    assert len(world.down) == HOSTS // 10 + 1


def test_resets_of_long_ago_are_not_many() -> None:
    world = World()
    for number in range(HOSTS):
        world.report(f"h{number}", False)
        world.now_s += WINDOW_S / 5
    assert len(world.down) == HOSTS
    assert world.phase() is Phase.NORMAL


def test_without_anybody_to_ask_there_is_no_verdict() -> None:
    world = World()
    world.report("a", False, slow=True)
    world.answers(0, 0)
    world.confirm()
    assert world.down == ["a"]


def test_one_round_without_answers_makes_no_verdict_and_the_next_asks_many() -> None:
    world = World()
    world.report("a", False, slow=True)
    assert world.rule.probes == FEW_PROBED
    world.answers(0, 1)
    assert world.phase() is Phase.PROBING
    assert world.rule.probes == MANY_PROBED
    world.answers(1, 100)
    world.confirm()
    assert world.down == ["a"]


def test_nearly_nobody_of_several_networks_is_nobody_and_held_for_less_time() -> None:
    world = World()
    world.report("a", False, slow=True)
    world.answers(1, 30, networks=2, rounds=ROUNDS)
    assert world.phase() is Phase.CUT_OFF
    world.pass_time(NEARLY_HOLD_S)
    assert world.down == ["a"]
    world = World()
    world.report("a", False, slow=True)
    world.answers(2, 30, networks=2)
    world.confirm()
    assert world.phase() is Phase.NORMAL


def test_the_rule_is_switched_off_and_what_was_kept_counts() -> None:
    world = cut_off_world()
    world.report("d", False)
    world._do(world.rule.release_all(world.now_s))
    assert world.down == ["a", "b", "c", "d"]


def test_cut_off_takes_back_what_was_acted_on_and_keeps_the_rest() -> None:
    world = cut_off_world()
    assert world.down == []
    world.report("d", False)
    world.report("a", True)
    assert world.down == []
    assert world.rule.kept == 4


def test_when_servers_answer_again_those_that_recover_never_were_down() -> None:
    world = cut_off_world()
    world.answers(5, 1)
    assert world.phase() is Phase.SETTLING
    for host in "ab":
        world.report(host, True)
    assert world.down == []
    world.pass_time(SETTLE_S)
    assert world.phase() is Phase.PROBING
    world.answers(5, 1)
    world.confirm()
    assert world.down == ["c"]
    assert world.phase() is Phase.NORMAL


def test_when_all_have_recovered_nobody_is_asked() -> None:
    world = cut_off_world()
    world.answers(5, 1)
    for host in "abc":
        world.report(host, True)
    world.pass_time(SETTLE_S)
    assert world.phase() is Phase.NORMAL


def test_cut_off_again_soon_after_nothing_goes_down() -> None:
    world = cut_off_world()
    world.answers(5, 0)
    for number in range(HOSTS):
        world.report(f"h{number}", False, slow=True)
    world.pass_time(SETTLE_S)
    world.answers(0, 12, rounds=ROUNDS)
    assert world.down == []
    assert world.phase() is Phase.CUT_OFF


def test_moments_of_answers_do_not_make_the_longest_hold_longer() -> None:
    world = cut_off_world()
    for _ in range(int(HOLD_S / SETTLE_S) + 1):
        world.answers(5, 0)
        world.pass_time(SETTLE_S)
        world.answers(0, 5)
        world.pass_time(0)
    assert world.down == ["a", "b", "c"]


def test_a_new_monitors_failure_outlasts_its_predecessors_that_is_retracted() -> None:
    rule = Isolation(Fraction(19, 20), WINDOW_S, HOLD_S)
    former = report_of("a", False)
    present = report_of("a", False, slow=True, incarnation=2)
    assert rule.take(former, HOSTS, 0.0) == [Deliver(former)]
    assert rule.take(present, HOSTS, 0.0) == []
    assert rule.answers(Answers(0, 5), 1.0) == []
    assert rule.answers(Answers(0, 5), 1.0) == [Retract(former)]
    assert rule.tick(HOLD_S + 1.0) == [Deliver(present)]


def test_after_the_longest_hold_everything_is_acted_on_and_the_rule_rests() -> None:
    world = cut_off_world()
    world.pass_time(HOLD_S)
    assert world.down == ["a", "b", "c"]
    world.report("d", False, slow=True)
    assert world.down == ["a", "b", "c", "d"]
    world.answers(0, 9)
    assert world.phase() is Phase.HOLD_EXPIRED
    world.answers(9, 0)
    assert world.phase() is Phase.NORMAL


def test_a_threshold_of_one_is_never_reached() -> None:
    world = World(Fraction(1))
    world.report("a", False, slow=True)
    world.answers(0, 12)
    assert world.down == ["a"]


def test_its_numbers() -> None:
    world = World()
    world.report("a", False, slow=True)
    assert world.rule.probes == 12
    world.answers(0, 1)
    assert world.rule.probes == 128
    world.answers(4, 1)
    world.pass_time(0.9)
    assert world.phase() is Phase.CONFIRMING
    world.pass_time(0.1)
    assert world.phase() is Phase.PROBING
    world = cut_off_world()
    world.answers(5, 1)
    world.pass_time(7.9)
    assert world.phase() is Phase.SETTLING
    world.pass_time(0.1)
    assert world.phase() is Phase.PROBING
    world = cut_off_world()
    world.pass_time(HOLD_S - 0.1)
    assert world.phase() is Phase.CUT_OFF
    world.pass_time(0.1)
    assert world.phase() is Phase.HOLD_EXPIRED


def test_of_few_hosts_the_third_that_resets_is_suspicious() -> None:
    rule = Isolation(Fraction(19, 20), WINDOW_S, HOLD_S)
    for host in ("a", "b"):
        assert rule.take(report_of(host, False), 4, 0.0)
    assert rule.needs_host_count
    assert rule.take(report_of("c", False), 4, 0.0) == []


@pytest.mark.parametrize(("silent", "within_s"), [(1, 0.3002), (500, 0.4), (5000, 0.5)])
def test_many_second_checks_take_longer_but_leave_time_for_an_answer(
    silent: int, within_s: float
) -> None:
    rule = Isolation(Fraction(19, 20), WINDOW_S, HOLD_S)
    for number in range(silent):
        rule.take(report_of(f"h{number}", False, slow=True), 10_000, 0.0)
    rule.answers(Answers(4, 1), 0.0)
    hosts, found_s = rule.to_confirm(0.0)
    assert len(hosts) == silent
    assert found_s == pytest.approx(within_s)


def test_switched_off_it_begins_anew() -> None:
    world = World()
    world.report("a", False, slow=True)
    world.answers(0, 5)
    world._do(world.rule.release_all(world.now_s))
    assert (world.phase(), world.down) == (Phase.NORMAL, ["a"])
    assert world.rule.failing_hosts() == {"a"}, "it is not asked about others"
    world.report("b", False, slow=True)
    assert world.rule.probes == FEW_PROBED
    world.answers(0, 5)
    assert world.phase() is Phase.PROBING


def test_answers_that_come_when_nobody_asks_any_more_change_nothing() -> None:
    rule = Isolation(Fraction(19, 20), WINDOW_S, HOLD_S)
    assert rule.answers(Answers(4, 1), 0.0) == []
    assert rule.phase is Phase.NORMAL


def test_each_verdict_is_counted() -> None:
    world = cut_off_world()
    assert world.rule.isolations == 1
    world.answers(5, 0)
    world.report("d", False, slow=True)
    world.pass_time(SETTLE_S)
    world.answers(0, 12, rounds=ROUNDS)
    assert world.rule.isolations == 2


def test_of_what_was_kept_the_reports_of_up_come_first() -> None:
    world = cut_off_world()
    up, down = report_of("x", True), report_of("y", False)
    for report in (down, up):
        assert world.rule.take(report, HOSTS, world.now_s) == []
    released = world.rule.tick(world.now_s + HOLD_S)
    assert released[0] == Deliver(up)
    assert Deliver(down) in released[1:]


def test_a_host_that_failed_twice_and_is_up_no_longer_counts() -> None:
    rule = Isolation(Fraction(19, 20), WINDOW_S, HOLD_S)
    for incarnation in (1, 2):
        rule.take(report_of("a", False, incarnation=incarnation), HOSTS, 0.0)
    rule.take(report_of("a", True, incarnation=2), HOSTS, 0.0)
    assert rule.failing_hosts() == set()


@pytest.mark.parametrize(("service", "monitor"), [("other", "M"), ("svc", "N")])
def test_what_waits_is_not_undone_by_another_service_or_monitor_of_the_host(
    service: str, monitor: str
) -> None:
    rule = Isolation(Fraction(19, 20), WINDOW_S, HOLD_S)
    rule.take(report_of("a", False, slow=True), HOSTS, 1000.0)
    up = replace(report_of("a", True), service=service, monitor=monitor)
    assert rule.take(up, HOSTS, 1000.0) == [Deliver(up)]
    assert rule.kept == 1
    rule.take(report_of("a", True), HOSTS, 1000.0)
    assert rule.kept == 0
