"""Which events are wanted, and how they are cut into pages."""

from __future__ import annotations

from typing import Any

import pytest

from pybal.history.event import Kind, LedgerEvent
from pybal.history.query import EventPage, EventQuery, HistoryBusyError, page


def event(seq: int, **more: Any) -> LedgerEvent:
    given: dict[str, Any] = {
        "at": 100.0 + seq, "kind": Kind.REPORT, "service": "web", "host": "cp1", "incident": 3,
    }  # fmt: skip
    fields = {**given, **more}
    return LedgerEvent(
        seq, fields["at"], 0.0, 1, fields["kind"], "x", fields["service"], fields["host"],
        incident=fields["incident"],
    )  # fmt: skip


ONE = event(5)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({}, True),
        ({"after": 4}, True),
        ({"after": 5}, False),
        ({"before": 6}, True),
        ({"before": 5}, False),
        ({"since": 105.0}, True),
        ({"since": 105.1}, False),
        ({"until": 105.0}, True),
        ({"until": 104.9}, False),
        ({"services": frozenset({"web", "dns"})}, True),
        ({"services": frozenset({"dns"})}, False),
        ({"hosts": frozenset({"cp1"})}, True),
        ({"hosts": frozenset({"cp2"})}, False),
        ({"kinds": frozenset({Kind.REPORT})}, True),
        ({"kinds": frozenset({Kind.BGP})}, False),
        ({"incident": 3}, True),
        ({"incident": 4}, False),
        ({"incident": 0}, False),
        ({"after": 4, "hosts": frozenset({"cp2"})}, False),
        ({"after": 4, "before": 6, "hosts": frozenset({"cp1"}), "incident": 3}, True),
    ],
    ids=str,
)
def test_an_event_is_wanted_if_nothing_speaks_against_it(
    query: dict[str, Any], wanted: bool
) -> None:
    assert EventQuery(**query).matches(ONE) == wanted


def test_an_event_of_no_service_is_of_none_that_is_asked_for() -> None:
    assert not EventQuery(services=frozenset({"web"})).matches(event(5, service=None))
    assert not EventQuery(incident=3).matches(event(5, incident=None))


FIVE = [event(seq) for seq in range(1, 6)]


@pytest.mark.parametrize(
    ("limit", "newest", "seqs", "more"),
    [
        (9, False, [1, 2, 3, 4, 5], False),
        (5, False, [1, 2, 3, 4, 5], False),
        (5, True, [1, 2, 3, 4, 5], False),
        (4, False, [1, 2, 3, 4], True),
        (4, True, [2, 3, 4, 5], True),
        (1, True, [5], True),
    ],
)
def test_a_page_is_cut_at_one_side(limit: int, newest: bool, seqs: list[int], more: bool) -> None:
    found = page(EventQuery(newest=newest, limit=limit), FIVE)
    assert ([each.seq for each in found.events], found.more) == (seqs, more)


def test_what_several_hold_is_put_together_in_order_and_each_event_once() -> None:
    found = page(EventQuery(), reversed(FIVE[2:]), FIVE[:3])
    assert found == EventPage(tuple(FIVE), False)
    assert page(EventQuery()) == EventPage((), False)


def test_who_cannot_be_answered_now_may_ask_again() -> None:
    assert HistoryBusyError("too many").remedy == "Ask again later"
    assert str(HistoryBusyError("too many", "Ask for less")) == "too many"
    assert HistoryBusyError("x", "Ask for less").remedy == "Ask for less"


def test_a_hundred_are_a_page_unless_more_are_asked_for() -> None:
    plain = EventQuery()
    assert (plain.limit, plain.newest, plain.incident) == (100, False, None)
    assert not EventPage(()).more
