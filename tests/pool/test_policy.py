"""The pooling policy: the examples of the contract, and the old faults."""

from __future__ import annotations

from fractions import Fraction

import pytest

from pybal.model import ServerSpec, Verdict
from pybal.pool.events import (
    AddressChanged,
    AddressRefused,
    BecameUp,
    CouldNotDepool,
    LeftPooled,
    ReportedDown,
    ReportRetracted,
    RetractedDown,
    ServerAdded,
    ServerMerged,
    ServerRemoved,
    SettingsChanged,
    TooFewEligible,
)
from tests.pool.policy_case import HALF, Pool


def test_new_servers_start_up_and_pooled() -> None:
    pool = Pool("abc")
    assert pool.pooled == "abc"
    assert pool.member("a").status == "enabled/up/pooled"
    assert pool.verdict("a") is Verdict.POOLED_UNPROVEN
    assert ServerAdded(ServerSpec("a")) in pool.notices


def test_a_down_server_is_depooled_and_comes_back() -> None:
    pool = Pool("abc")
    pool.down("a")
    assert pool.pooled == "bc"
    assert ReportedDown("a", "enabled/up/pooled", "M", "refused") in pool.notices
    assert pool.verdict("a") is Verdict.DEPOOLED
    pool.up("a")
    assert pool.pooled == "abc"
    assert BecameUp("a", "enabled/down/not pooled") in pool.notices
    assert pool.verdict("a") is Verdict.POOLED


@pytest.mark.parametrize(
    ("size", "threshold", "left"),
    [
        (3, HALF, 2),
        (2, HALF, 1),
        (1, HALF, 1),
        (4, Fraction(2, 3), 3),
        (10, Fraction("0.66"), 7),
        (100, Fraction("0.07"), 7),
        (10, Fraction(0), 0),
        (10, Fraction(1), 10),
    ],
)
def test_all_down_leaves_exactly_the_threshold_pooled(
    size: int, threshold: Fraction, left: int
) -> None:
    hosts = [chr(ord("A") + i) for i in range(size)]
    pool = Pool("", threshold)
    pool.list(*hosts)
    pool.down(*hosts)
    assert pool.state.pooled_count == left


def test_last_server_above_the_threshold_stays_pooled_and_says_so() -> None:
    pool = Pool("abc")
    pool.down("a")
    pool.down("b")
    assert pool.pooled == "bc"
    assert CouldNotDepool("b") in pool.notices
    assert pool.verdict("b") is Verdict.HELD
    decision = pool.decision("b")
    assert (decision.configured, decision.up, decision.pooled) == (3, 1, 2)
    assert decision.required == Fraction(3, 2)
    assert decision.cause == "M reported down: refused"


def test_a_second_monitor_does_not_hide_what_took_the_server_out() -> None:
    pool = Pool("abc", monitors=("M", "N"))
    pool.down("a", monitor="M")
    pool.down("a", monitor="N")
    assert pool.cause("a") == "M reported down: refused"
    pool.up("a", monitor="M")
    assert pool.cause("a") == "M reported up, N still down"


def test_why_a_server_moves_with_another_whose_address_the_kernel_refuses_or_not() -> None:
    pool = Pool("abc")
    pool.down("c")
    pool.event(AddressRefused("a", True))
    assert (pool.pooled, pool.cause("c")) == ("bc", "the kernel refused the address of a")
    pool.event(AddressRefused("a", False))
    assert (pool.pooled, pool.cause("c")) == ("ab", "the kernel is asked for a again")


def test_a_held_server_is_depooled_once_another_is_up_again() -> None:
    pool = Pool("abc")
    pool.down("a", "b")
    pool.up("a")
    assert pool.pooled == "ac"
    assert pool.verdict("b") is Verdict.DEPOOLED
    assert pool.cause("b") == "M reported a up"


def test_the_threshold_holds_right_after_the_list_was_replaced() -> None:
    # The whole pool was once lost in the first checks after a list change.
    pool = Pool("abcd")
    pool.up(*"abcd")
    pool.list(*"wxyz")
    pool.down(*"wxyz")
    assert pool.state.pooled_count == 2


def test_disabled_servers_do_not_count_as_up() -> None:
    pool = Pool("")
    pool.list(*"abcd", disabled="cd")
    pool.down("a", "b")
    assert pool.pooled == "ab"


def test_a_server_is_up_only_when_all_its_monitors_have_said_so() -> None:
    pool = Pool("ab", monitors=("M", "N"))
    pool.down("a", monitor="M")
    pool.up("a", monitor="M")
    assert pool.member("a").status == "enabled/partially up/not pooled"
    pool.up("a", monitor="N")
    assert pool.notices[0] == BecameUp("a", "enabled/partially up/not pooled")
    assert pool.pooled == "ab"


def test_the_first_result_of_one_server_does_not_touch_another() -> None:
    pool = Pool("abcd", monitors=("M", "N"))
    pool.down("a", monitor="M")
    pool.up("b", monitor="M")
    assert pool.pooled == "bcd"
    assert pool.verdict("c") is Verdict.POOLED_UNPROVEN


def test_weight_and_enabled_are_merged() -> None:
    pool = Pool("abc")
    pool.list(*"abc", disabled="b")
    assert pool.notices[0] == ServerMerged(ServerSpec("b", enabled=False))
    assert pool.pooled == "ac"
    assert pool.verdict("b") is Verdict.DISABLED
    pool.list(*"abc")
    assert pool.pooled == "abc"


def test_a_removed_server_leaves_no_memory_behind() -> None:
    pool = Pool("abc")
    pool.down("a", "b")
    assert pool.member("b").held
    pool.list(*"ac")
    assert ServerRemoved("b") in pool.notices
    pool.up("a")
    pool.down("b")
    assert pool.pooled == "ac"


def test_a_held_server_stays_held_over_a_list_change_and_says_so() -> None:
    pool = Pool("abc")
    pool.down("a", "b")
    pool.list(*"abcd", disabled="d")
    assert pool.pooled == "bc"
    assert LeftPooled("b") in pool.notices


def test_a_list_change_fills_up_to_the_threshold_with_down_servers() -> None:
    pool = Pool("abcd")
    pool.down("a", "b")
    assert pool.pooled == "cd"
    pool.list(*"abcd", disabled="c")
    assert pool.pooled == "ad"
    assert pool.verdict("a") is Verdict.HELD


def test_partially_up_servers_are_the_first_to_fill_up() -> None:
    pool = Pool("abcd", monitors=("M", "N"))
    pool.down("a", "b")
    pool.up("b", monitor="N")
    pool.list(*"abcd", disabled="c")
    assert pool.pooled == "bd"


def test_servers_of_weight_0_are_the_last_to_fill_up() -> None:
    pool = Pool("")
    pool.list(*"abcd", zero="ab", stood="")
    assert pool.pooled == "cd"


def test_a_server_of_weight_0_that_is_held_makes_room_for_one_with_weight() -> None:
    pool = Pool("")
    pool.list(*"abcd", zero="cd")
    pool.down("a", "b")
    assert pool.pooled == "cd"
    pool.down("c")
    assert pool.pooled == "ad"
    pool.down("d")
    assert pool.pooled == "ab"
    assert pool.verdict("a") is Verdict.HELD and pool.verdict("d") is Verdict.DEPOOLED
    pool.up("c")
    assert pool.pooled == "abc"


def test_servers_of_weight_0_are_held_where_no_other_is_left() -> None:
    pool = Pool("")
    pool.list(*"abcd", zero="abcd")
    pool.down(*"abcd")
    assert pool.pooled == "cd"


def test_a_server_in_doubt_waits_for_its_monitors() -> None:
    pool = Pool("abc")
    pool.list(*"abcd", objection="d")
    assert pool.pooled == "abc"
    assert pool.verdict("d") is Verdict.WAITING
    assert pool.cause("d") == "new in the pool list; it is odd"
    pool.up("d")
    assert pool.pooled == "abcd"


def test_without_monitors_nobody_is_in_doubt() -> None:
    pool = Pool("", monitors=())
    pool.list("a", objection="a")
    assert pool.pooled == "a"


def test_too_few_eligible_servers_are_a_notice() -> None:
    pool = Pool("abcd")
    pool.list(*"abcd", disabled="abc")
    assert pool.pooled == "d"
    assert TooFewEligible(1, Fraction(2)) in pool.notices


def test_a_server_without_an_address_is_not_pooled_and_the_rest_goes_on() -> None:
    pool = Pool("")
    pool.list(*"abc", unready="b")
    assert pool.pooled == "ac"
    assert pool.verdict("b") is Verdict.NOT_READY
    pool.event(AddressChanged("b", True))
    assert pool.pooled == "abc"


def test_results_about_a_former_address_no_longer_count() -> None:
    pool = Pool("abc")
    pool.down("a")
    pool.event(AddressChanged("a", True))
    assert pool.member("a").results == {"M": None}
    assert pool.pooled == "bc"
    assert pool.verdict("a") is Verdict.WAITING


def test_a_server_that_is_found_up_at_its_new_address_stays_pooled() -> None:
    pool = Pool("abc")
    pool.up("a")
    pool.event(AddressChanged("a", True, proven=True))
    assert pool.pooled == "abc"
    assert pool.member("a").results == {"M": True}
    pool.down("b")
    pool.event(AddressChanged("b", True, proven=True))
    assert pool.pooled == "abc"
    assert pool.cause("b") == "it was found up at its new address"


def test_a_server_whose_address_is_in_doubt_waits_for_its_monitors() -> None:
    pool = Pool("")
    pool.list(*"abc", unready="a")
    pool.event(AddressChanged("a", True, "it is odd"))
    assert pool.pooled == "bc"
    assert pool.cause("a") == "it is odd"
    pool.up("a")
    assert pool.pooled == "abc"


def test_warm_start_keeps_what_stands_and_waits_for_what_does_not() -> None:
    pool = Pool("")
    pool.list(*"abc", stood="ac")
    assert pool.pooled == "ac"
    assert pool.verdict("b") is Verdict.WAITING
    assert pool.member("b").status == "enabled/down/not pooled"
    pool.up("b")
    assert pool.pooled == "abc"


def test_warm_start_without_monitors_pools_everything() -> None:
    pool = Pool("", monitors=())
    pool.list(*"abc", stood="a")
    assert pool.pooled == "abc"


def test_warm_start_from_an_empty_service_fills_up_to_the_threshold() -> None:
    pool = Pool("")
    pool.list(*"abcd", stood="")
    assert pool.state.pooled_count == 2


def test_a_report_that_is_retracted_says_so_and_leaves_all_as_it_was() -> None:
    pool = Pool("abc", monitors=("M", "N"))
    before = pool.state.members
    pool.down("a", monitor="N")
    pool.down("a")
    pool.event(ReportRetracted("a", "M", None, server_up=False))
    assert pool.pooled == "bc"
    pool.event(ReportRetracted("a", "N", None, server_up=True))
    assert RetractedDown("a", "enabled/down/not pooled", "N") in pool.notices
    assert pool.pooled == "abc"
    assert pool.cause("a") == "what N reported was retracted: this director was cut off"
    assert {**pool.state.members, "a": before["a"]} == before


def test_whom_a_retraction_lets_go_has_it_as_its_cause() -> None:
    pool = Pool("ab")
    pool.down("a", "b")
    assert pool.pooled == "b"
    pool.event(ReportRetracted("a", "M", None, server_up=True))
    assert pool.pooled == "a"
    assert pool.cause("b") == "what M reported of a was retracted"


def test_events_about_strangers_change_nothing() -> None:
    pool = Pool("abc")
    before = pool.state
    pool.down("z")
    assert pool.state is before
    assert pool.notices == ()
    pool.down("a", monitor="Z")
    assert pool.state is before
    pool.event(AddressChanged("z", True))
    assert pool.state is before


def test_another_threshold_is_acted_on_at_once() -> None:
    pool = Pool("abcd", threshold=Fraction(1))
    pool.down("a")
    assert pool.member("a").held
    pool.event(SettingsChanged(Fraction(1, 2), ("M",)))
    assert not pool.member("a").pooled
    pool.event(SettingsChanged(Fraction(1), ("M",)))
    assert pool.member("a").held


def test_a_monitor_that_goes_takes_its_verdict_with_it_and_a_new_one_has_none() -> None:
    pool = Pool("abcd", threshold=Fraction(0))
    pool.event(SettingsChanged(Fraction(0), ("M", "N")))
    pool.down("a", monitor="N")
    pool.up("a", monitor="M")
    assert not pool.member("a").pooled
    pool.event(SettingsChanged(Fraction(0), ("M",)))
    assert pool.member("a").pooled
    assert dict(pool.member("a").results) == {"M": True}
