"""What lists may take away: the examples of the contract."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from pybal.model import ServerSpec
from pybal.pool.arrivals import ARRIVAL_S, Evidence
from pybal.pool.list_changes import counts
from pybal.pool.list_guard import (
    ChangeHeld,
    ChangeReleased,
    ChangeWaits,
    GuardRules,
    Release,
    new_guard,
    take_list,
)
from pybal.runtime.pieces import in_one_go
from tests.pool.list_story import DOWN, HALF, NO_ADDRESS, TEN, UP, WINDOW_S, Story


def test_the_first_list_is_in_force_as_it_is() -> None:
    story = Story("abc")
    assert story.serving == "abc"
    assert story.said() == ()


def test_a_weight_of_one_counts_and_none_does_not() -> None:
    assert counts(ServerSpec("a", 1))
    assert not counts(ServerSpec("a", 0)) and not counts(ServerSpec("a", 1, enabled=False))
    assert not counts(None)


def test_it_wakes_when_something_is_known_of_new_servers() -> None:
    guard = new_guard(GuardRules(HALF, WINDOW_S, None))
    assert guard.wakes_at is None
    assert replace(guard, known_by=7.0).wakes_at == 7.0


def test_a_change_down_to_the_floor_goes_through() -> None:
    story = Story(TEN)
    story.list(TEN, off="abcde")
    assert story.serving == "fghij"
    assert story.said() == ()


@pytest.mark.parametrize("way", ["off", "zero", "deleted"])
def test_a_change_below_the_floor_is_held_whole_and_said_once(way: str) -> None:
    story = Story(TEN)
    match way:
        case "off":
            story.list(TEN, off="abcdef")
        case "zero":
            story.list(TEN, zero="abcdef")
        case _:
            story.list("ghij")
    assert set(story.serving) == set(TEN)
    assert story.said() == (ChangeHeld(tuple("abcdef"), 4, 5, (), WINDOW_S),)
    assert all(story.guard.in_force[host] == ServerSpec(host) for host in "abcdef")
    story.wait(1e6)
    assert story.held == "abcdef"
    assert story.said() == ()


def test_the_last_of_many_single_ones_is_held() -> None:
    story = Story(TEN)
    for number, _ in enumerate(TEN, start=1):
        story.at += 20
        story.list(TEN, off=TEN[:number])
    assert story.serving == "fghij"
    assert story.held == "fghij"
    assert story.said() == (ChangeHeld(("j",), 4, 5, tuple("abcde"), WINDOW_S),)


def test_a_slow_drain_does_not_go_on_in_the_next_window() -> None:
    hosts = "".join(map(chr, range(0x4E00, 0x4E00 + 60)))
    story = Story(hosts)
    for number in range(1, 61):
        story.at += 20
        story.list(hosts, off=hosts[:number])
    assert len(story.serving) == 30
    story.wait(10 * WINDOW_S)
    assert len(story.serving) == 30


@pytest.mark.parametrize(("floor", "hosts"), [(HALF, "a"), (Fraction(1), TEN), (HALF, "ab")])
@pytest.mark.parametrize("deleted", [False, True])
def test_one_server_within_a_window_is_never_held(
    floor: Fraction, hosts: str, deleted: bool
) -> None:
    story = Story(hosts + "z", floor)
    story.known["z"] = DOWN
    story.list(hosts[1:] + "z" if deleted else hosts + "z", off="a")
    assert set(story.serving) == set(hosts[1:] + "z")


def test_the_only_server_may_be_disabled_again_and_again() -> None:
    story = Story("a")
    for _ in range(5):
        story.at += 60
        story.list("a", off="a")
        assert story.serving == ""
        story.list("a")
        assert story.serving == "a"


def test_a_rolling_restart_is_never_held() -> None:
    story = Story(TEN, Fraction(1))
    for host in TEN:
        story.at += 20
        story.list(TEN, off=host)
        assert host not in story.serving
        story.list(TEN)
    assert story.serving == TEN


def test_a_server_that_was_replaced_does_not_count_against_the_next_one() -> None:
    story = Story("a")
    story.list("x")
    story.at += 60
    story.list("x", off="x")
    assert story.serving == ""
    assert story.guard.kept == ()


def test_a_second_server_is_held_while_the_first_is_out() -> None:
    story = Story("ab")
    story.list("ab", off="a")
    story.list("ab", off="ab")
    assert story.serving == "b"
    story.list("ab", off="b")
    assert story.serving == "a"


def test_a_new_window_begins_with_what_is_left() -> None:
    story = Story(TEN)
    story.list(TEN, off="abcde")
    story.at += WINDOW_S + 10
    story.list(TEN, off="abcdefg")
    assert story.serving == "hij"


def test_a_later_list_within_the_floor_is_applied() -> None:
    story = Story(TEN)
    story.list(TEN, off="abcdef")
    story.list(TEN, off="abc")
    assert story.serving == "defghij"
    assert story.said() == (ChangeReleased(tuple("abc"), Release.ROOM),)


def test_a_later_list_without_the_change_ends_it() -> None:
    story = Story(TEN)
    story.list(TEN, off="abcdef")
    story.list(TEN)
    assert story.guard.kept == ()
    assert story.said() == (ChangeReleased(tuple("abcdef"), Release.GONE),)


def test_servers_may_change_places() -> None:
    story = Story("ab", Fraction(1))
    story.list("ab", off="a")
    story.list("ab", off="b")
    assert story.serving == "a"
    assert story.guard.kept == ()


def test_another_server_may_go_while_a_change_is_held() -> None:
    story = Story(TEN)
    story.list(TEN, off="abcdef")
    story.list(TEN, off="abcdefg")
    assert story.serving == "abcdefhij"
    assert story.held == "abcdef"


def test_what_is_added_or_weighted_is_in_force_while_a_change_is_held() -> None:
    story = Story(TEN, Fraction(1))
    story.list(TEN + "k", off="ab")
    assert story.serving == TEN + "k"
    servers = [ServerSpec(host, 7, enabled=host not in "ab") for host in TEN]
    story.guard, _ = in_one_go(take_list(story.guard, servers, story.known, story.at))
    assert [spec.weight for spec in story.guard.in_force.values()] == [10, 10, *[7] * 8]


def test_servers_that_come_make_room_for_those_that_are_held() -> None:
    story = Story(TEN)
    story.list(TEN, off="abcdef")
    story.list(TEN + "k", off="abcdef")
    assert story.serving == "ghijk"


def test_confirmation_applies_what_is_held_and_begins_a_new_window() -> None:
    story = Story(TEN)
    story.list(TEN, off="abcdef")
    story.confirm()
    assert story.serving == "ghij"
    assert story.said() == (ChangeReleased(tuple("abcdef"), Release.CONFIRMED),)
    story.list(TEN, off="abcdefgh")
    assert story.serving == "ij"
    story.list(TEN, off="abcdefghi")
    assert story.serving == "ij"


def test_confirmation_of_nothing_changes_nothing() -> None:
    story = Story(TEN)
    before = story.guard
    story.confirm()
    assert story.guard is before


def test_list_hold_ends_a_hold() -> None:
    story = Story(TEN, hold_s=3600)
    story.list(TEN, off="abcdef")
    assert story.guard.wakes_at == story.at + 3600
    story.wait(3599)
    assert story.serving == TEN
    story.wait(1)
    assert story.serving == "ghij"
    assert story.said() == (ChangeReleased(tuple("abcdef"), Release.HOLD_OVER),)


def test_a_list_without_servers_is_no_list() -> None:
    story = Story(TEN)
    before = story.guard
    story.list("")
    assert story.guard is before


# -- make before break -------------------------------------------------------------------------


def test_servers_without_an_address_do_not_replace_those_that_work() -> None:
    # Two unresolvable names once took two healthy servers out.
    story = Story("ab")
    story.list("xy", new="xy")
    assert set(story.serving) == set("abxy")
    assert story.said() == (ChangeWaits(("a", "b"), ("x", "y"), ARRIVAL_S),)
    assert story.guard.wakes_at == story.at + ARRIVAL_S
    story.wait(ARRIVAL_S)
    assert set(story.serving) == set("abxy")
    assert story.held == "ab"
    assert story.said() == (ChangeHeld(("a", "b"), 0, 1, (), WINDOW_S),)
    story.wait(1e6)
    assert set(story.serving) == set("abxy")


def test_a_change_waits_for_new_ones_if_with_them_just_enough_would_work() -> None:
    story = Story("abcd")
    story.list("dx", new="x")
    assert story.said() == (ChangeWaits(("a", "b", "c"), ("x",), ARRIVAL_S),)
    assert story.held == ""
    story = Story("abcd")
    story.list("x", new="x")
    assert story.held == "abcd"


def test_the_old_ones_go_once_enough_of_the_new_work() -> None:
    story = Story("abcd")
    story.list("wxyz", new="wxyz")
    story.learn("w", UP)
    assert set(story.serving) == set("abcdwxyz")
    story.learn("x", UP)
    assert set(story.serving) == set("wxyz")
    assert story.said() == (ChangeReleased(tuple("abcd"), Release.ROOM),)


def test_the_old_ones_go_when_the_new_work_after_all() -> None:
    story = Story("ab")
    story.list("xy", new="xy")
    story.wait(10 * ARRIVAL_S)
    story.learn("x", UP)
    assert set(story.serving) == set("xy")


def test_servers_with_an_address_that_turn_out_to_be_dead_do_not_replace_those_that_work() -> None:
    story = Story("ab")
    story.known |= {"x": Evidence.TAKEN_FOR_UP, "y": Evidence.TAKEN_FOR_UP}
    story.list("xy")
    assert set(story.serving) == set("abxy")
    story.learn("xy", DOWN)
    assert story.held == "ab"


def test_new_servers_whose_monitors_are_slow_replace_the_old_ones_in_the_end() -> None:
    story = Story("ab")
    story.known |= {"x": Evidence.TAKEN_FOR_UP, "y": Evidence.TAKEN_FOR_UP}
    story.list("xy")
    story.wait(ARRIVAL_S)
    assert set(story.serving) == set("xy")


def test_even_one_server_waits_for_the_one_that_replaces_it() -> None:
    story = Story("a")
    story.list("x", new="x")
    assert set(story.serving) == set("ax")
    story.wait(ARRIVAL_S)
    assert story.held == "a"
    story.learn("x", UP)
    assert story.serving == "x"


@pytest.mark.parametrize(("late_s", "serving"), [(0, "ba"), (1, "b")])
def test_one_that_has_had_its_time_when_the_list_comes_is_no_replacement(
    late_s: float, serving: str
) -> None:
    story = Story("a")
    story.known["b"] = Evidence.TAKEN_FOR_DOWN
    story.list("ab")
    story.wait(ARRIVAL_S + late_s)
    story.list("b")
    assert set(story.serving) == set(serving)


def test_one_that_never_had_an_address_replaces_nobody_however_long_it_is_listed() -> None:
    story = Story("a")
    story.list("ab", new="b")
    story.wait(ARRIVAL_S + 1)
    story.list("b")
    assert "a" in story.serving
    assert story.held == "a"


def test_a_server_that_is_disabled_does_not_wait_for_new_ones() -> None:
    story = Story("a")
    story.list("ax", off="a", new="x")
    assert story.serving == "x"


def test_a_server_goes_at_once_if_enough_are_left_whoever_is_to_come() -> None:
    story = Story("abc")
    story.list("bcx", new="x")
    assert set(story.serving) == set("bcx")
    assert story.said() == ()


def test_lists_that_bring_others_again_and_again_do_not_prolong_the_wait() -> None:
    story = Story("ab")
    story.list("xy", new="xy")
    story.wait(ARRIVAL_S - 1)
    story.list("z", new="z")
    story.wait(1)
    assert story.held == "ab"


def test_new_servers_that_are_taken_away_again_are_nobodys_loss() -> None:
    story = Story("ab")
    story.list("abxyz", new="xyz")
    story.list("ab")
    assert story.serving == "ab"
    assert story.guard.kept == ()


# -- evidence ----------------------------------------------------------------------------------


def test_servers_that_are_down_go_at_once() -> None:
    story = Story(TEN)
    story.learn("abcdef", DOWN)
    story.list("ghij")
    assert story.serving == "ghij"
    assert story.said() == ()


def test_those_that_work_are_not_taken_away_below_the_floor_while_others_are_down() -> None:
    story = Story(TEN)
    story.learn("abcdef", DOWN)
    story.list(TEN, off="gh")
    assert story.serving == TEN
    story.learn("a", UP)
    assert story.held == "gh", "five work, but three would be left"
    story.learn("bc", UP)
    assert "gh" not in story.serving
    assert story.guard.kept == ()


def test_held_servers_that_go_down_are_held_no_longer() -> None:
    story = Story(TEN)
    story.list("ghij")
    story.learn("abc", DOWN)
    assert story.held == "def"
    assert set(story.serving) == set("defghij")


def test_where_nothing_works_all_count() -> None:
    story = Story(TEN)
    story.learn(TEN, DOWN)
    story.list("ghij")
    assert set(story.serving) == set(TEN)
    assert story.held == "abcdef"


def test_at_the_start_the_last_good_list_counts_whatever_has_an_address_yet() -> None:
    story = Story()
    story.known = dict.fromkeys("abcdefghijxy", NO_ADDRESS)
    story.list(TEN)
    story.list("ij")
    assert story.held == "abcdefgh"
    story = Story()
    story.known = dict.fromkeys("abxy", NO_ADDRESS)
    story.list("ab")
    story.list("xy")
    story.learn("a", Evidence.TAKEN_FOR_UP)
    story.wait(ARRIVAL_S)
    assert story.held == "a"
    assert set(story.serving) == set("axy")


def test_with_a_floor_of_0_every_list_is_in_force_at_once() -> None:
    story = Story(TEN, Fraction(0))
    story.list("xy", new="xy")
    assert story.serving == "xy"
    story.list("xy", off="xy")
    assert story.serving == ""
