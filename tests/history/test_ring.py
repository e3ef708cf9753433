"""The newest events in memory."""

from __future__ import annotations

from typing import Any

import pytest

from pybal.history.event import Kind, LedgerEvent
from pybal.history.query import EventQuery
from pybal.history.ring import Ring


def ring(*seqs: int, size: int = 5) -> Ring:
    made = Ring(size)
    for seq in seqs:
        made.add(LedgerEvent(seq, 0.0, 0.0, 1, Kind.REPORT, "x"))
    return made


def seqs(of: Ring, above: int = 0, **query: Any) -> list[int]:
    return [each.seq for each in of.candidates(EventQuery(**query), above)]


def test_the_oldest_goes_when_there_is_no_room() -> None:
    made = ring(1, 2, 3, 4, 5, 6, 7)
    assert len(made) == 5
    assert seqs(made) == [3, 4, 5, 6, 7]
    assert len(ring()) == 0
    assert seqs(ring()) == []
    assert len(ring(1, 2).candidates(EventQuery())) == 2


@pytest.mark.parametrize(
    ("after", "above", "found"),
    [
        (None, 0, [3, 4, 6, 7]),
        (None, 3, [4, 6, 7]),
        (None, 5, [6, 7]),
        (2, 0, [3, 4, 6, 7]),
        (3, 0, [4, 6, 7]),
        (6, 0, [7]),
        (7, 0, []),
        (99, 0, []),
        (3, 6, [7]),
        (6, 3, [7]),
    ],
)
def test_those_after_a_number(after: int | None, above: int, found: list[int]) -> None:
    made = ring(3, 4, 6, 7)
    query = {} if after is None else {"after": after}
    assert seqs(made, above, **query) == found
    assert seqs(made, above, **query, newest=True) == found[::-1]


@pytest.mark.parametrize(
    ("after", "all_of_it"), [(None, False), (0, False), (1, False), (2, True), (3, True), (9, True)]
)
def test_whether_anything_older_can_be_wanted(after: int | None, all_of_it: bool) -> None:
    query = EventQuery(after=after)
    assert ring(3, 4).holds_all_of(query) == all_of_it
    assert not ring().holds_all_of(query)


def test_twenty_thousand_are_kept() -> None:
    made = Ring()
    one = LedgerEvent(1, 0.0, 0.0, 1, Kind.REPORT, "x")
    for _ in range(20_001):
        made.add(one)
    assert len(made) == 20_000
