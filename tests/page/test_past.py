"""What is read of the history for a page, and how little of it is read again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from pybal.history.event import Kind, LedgerEvent
from pybal.history.incidents import Incident, Subject
from pybal.history.query import EventPage, EventQuery, HistoryBusyError
from pybal.history.snapshot import HistorySnapshot
from pybal.page.past import GENERAL, OF_SERVICE, Past, PastReader
from tests.fakes.view import NOON

HOUR_S = 3600.0


def event(seq: int, at: float = NOON, kind: Kind = Kind.START, **more: Any) -> LedgerEvent:
    return LedgerEvent(seq, at, 0.0, 1, kind, f"event {seq}", **more)


class FakeHistory:
    """Gives all its events that are wanted, and notes what it is asked."""

    def __init__(self) -> None:
        self.time = NOON
        self.events: list[LedgerEvent] = []
        self.incidents: tuple[Incident, ...] = ()
        self.asked: list[EventQuery] = []
        self.asked_incidents: list[EventQuery] = []
        self.busy = False

    async def find(self, query: EventQuery) -> EventPage:
        if self.busy:
            raise HistoryBusyError("too many ask")
        self.asked.append(query)
        return EventPage(tuple(each for each in self.events if query.matches(each)))

    async def find_incidents(self, query: EventQuery) -> tuple[tuple[Incident, ...], bool]:
        self.asked_incidents.append(query)
        return self.incidents, False

    def subscribe(self, subscriber: Callable[[LedgerEvent], None]) -> Callable[[], None]:
        raise NotImplementedError

    @property
    def newest(self) -> int:
        return self.events[-1].seq if self.events else 0

    def now(self) -> float:
        return self.time

    def snapshot(self) -> HistorySnapshot:
        raise NotImplementedError


class Bench:
    """A reader of a history."""

    def __init__(self, service: str | None = None) -> None:
        self.history = FakeHistory()
        self.reader = PastReader(lambda: self.history, service)

    def read(self) -> Past:
        return run(self.reader.read())

    def seqs(self) -> list[int]:
        return [each.seq for each in self.read().events]


def run(asked: Coroutine[Any, Any, Past]) -> Past:
    """Nothing in it waits."""
    return asyncio.run(asked)


def test_the_whole_director_has_what_is_not_about_single_servers() -> None:
    bench = Bench()
    bench.read()
    (query,), (incidents,) = bench.history.asked, bench.history.asked_incidents
    assert (query.kinds, query.services) == (GENERAL, frozenset())
    assert (query.newest, query.limit, query.since) == (True, 300, NOON - 6 * HOUR_S)
    assert query.after is None
    assert (incidents.newest, incidents.limit, incidents.since) == (True, 30, NOON - 6 * HOUR_S)
    assert incidents.services == frozenset()
    assert Kind.DECISION not in GENERAL


def test_a_service_has_what_is_its_own() -> None:
    bench = Bench("web")
    bench.read()
    (query,), (incidents,) = bench.history.asked, bench.history.asked_incidents
    assert query.kinds == OF_SERVICE
    assert query.services == incidents.services == {"web"}
    assert Kind.DECISION in OF_SERVICE and Kind.REPORT not in OF_SERVICE


def test_only_what_is_new_is_read_again() -> None:
    bench = Bench()
    bench.history.events = [event(1), event(2)]
    assert bench.seqs() == [1, 2]
    assert bench.seqs() == [1, 2]
    assert len(bench.history.asked) == 1
    bench.history.events.append(event(3))
    assert bench.seqs() == [1, 2, 3]
    assert [each.after for each in bench.history.asked] == [None, 2]


@pytest.mark.parametrize(
    ("seconds", "reads"), [(0.0, 1), (29.9, 1), (30.0, 2), (40.0, 2), (-1.0, 2)]
)
def test_after_half_a_minute_or_when_the_clock_was_set_it_is_read_anyway(
    seconds: float, reads: int
) -> None:
    bench = Bench()
    bench.read()
    bench.history.time += seconds
    bench.read()
    assert len(bench.history.asked) == reads


def test_an_incident_that_ends_is_seen_to() -> None:
    bench = Bench()
    going_on = Incident(1, Subject("host", "a"), "refused", NOON, NOON)
    bench.history.incidents = (going_on,)
    assert bench.read().incidents == (going_on,)
    bench.history.incidents = ()
    assert bench.read().incidents == (going_on,)
    bench.history.time += 30
    assert bench.read().incidents == ()


def test_a_history_that_is_busy_leaves_what_was_and_is_left_in_peace_for_a_while() -> None:
    bench = Bench()
    bench.history.events = [event(1)]
    assert bench.seqs() == [1]
    bench.history.busy = True
    bench.history.time += 30
    assert bench.seqs() == [1]
    bench.history.busy = False
    bench.history.time += 29
    assert bench.seqs() == [1]
    assert len(bench.history.asked) == 1
    bench.history.time += 1
    assert bench.seqs() == [1]
    assert len(bench.history.asked) == 2


def test_what_is_older_than_six_hours_is_shown_no_more() -> None:
    bench = Bench()
    bench.history.events = [event(1, NOON - 6 * HOUR_S), event(2)]
    assert bench.seqs() == [1, 2]
    bench.history.time += 1
    assert bench.seqs() == [2]


def test_the_newest_hundred_and_fifty_are_kept() -> None:
    bench = Bench()
    bench.history.events = [event(seq) for seq in range(1, 201)]
    assert bench.seqs() == list(range(51, 201))


def test_that_the_kernel_holds_what_it_should_is_not_told() -> None:
    bench = Bench()
    stands, drift = {"answer": "stands"}, {"answer": "drift"}
    bench.history.events = [
        event(1, kind=Kind.KERNEL, inputs=stands),
        event(2, kind=Kind.KERNEL, inputs=drift),
        event(3, kind=Kind.ROUTE, inputs=stands),
    ]
    assert bench.seqs() == [2, 3]


def test_the_end_of_the_time_line_moves_once_a_minute() -> None:
    bench = Bench()
    minute = NOON - NOON % 60
    bench.history.time = minute
    assert bench.read().until == minute
    bench.history.time = minute + 59.9
    assert bench.read().until == minute
    bench.history.time = minute + 60
    assert bench.read().until == minute + 60
