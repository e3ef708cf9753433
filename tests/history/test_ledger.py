"""The ledger in memory: numbers, causes, incidents, pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from pybal.history.event import Kind, LedgerEvent
from pybal.history.incidents import Concern, Incident, Subject
from pybal.history.ledger import ASKED_S, TOLD_AFTER_S, Ledger, Note
from pybal.history.query import EventPage, EventQuery, HistoryBusyError
from pybal.history.snapshot import DiskSnapshot, HistorySnapshot
from pybal.runtime.time_slices import TimeSlices
from tests.fakes.deferreds import result_of
from tests.instrumentation.exchange import LogLines

NOON = 1_700_000_000.0


class Bench:
    """A ledger on a clock of the test's."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.wall = NOON
        self.log = LogLines()
        self.ledger = Ledger(
            self.clock,
            lambda: self.wall + self.clock.seconds(),
            TimeSlices(self.clock),
            self.log.logger(),
        )

    def note(self, text: str, kind: Kind = Kind.REPORT, **fields: Any) -> int:
        return self.ledger.note(Note(kind, text, **fields))

    def find(self, **wanted: Any) -> EventPage:
        return result_of(Deferred.fromCoroutine(self.ledger.find(EventQuery(**wanted))))

    def texts(self, **wanted: Any) -> str:
        return "".join(event.text for event in self.find(**wanted).events)

    def incidents(self, **wanted: Any) -> Sequence[Incident]:
        asked = self.ledger.find_incidents(EventQuery(**wanted))
        return result_of(Deferred.fromCoroutine(asked))[0]

    def report(self, host: str, service: str, *, up: bool, verdict: str = "") -> None:
        """A monitor's report, and what is decided of it."""
        concern = Concern(Subject("host", host), f"{service} Ping", begins=not up)
        text = f"Ping reports {host} {'up' if up else 'down: silent'}"
        cause = self.note(text, service=service, host=host, concern=concern)
        if verdict:
            self.note(
                f"{host} is {verdict}", Kind.DECISION, service=service, host=host, cause=cause,
                inputs={"verdict": verdict},
            )  # fmt: skip


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_events_are_numbered_and_dated_by_both_clocks(bench: Bench) -> None:
    bench.clock.advance(5)
    assert bench.note("a") == 1
    bench.clock.advance(2)
    assert bench.note("b", cause=1) == 2
    first, second = bench.find().events
    assert (first.seq, first.at, first.elapsed_s, first.cause) == (1, NOON + 5, 5, None)
    assert (second.seq, second.at, second.elapsed_s, second.cause) == (2, NOON + 7, 7, 1)


def test_pages_go_on_where_they_ended_in_both_directions(bench: Bench) -> None:
    for text in "abcdefg":
        bench.note(text)
    page = bench.find(limit=3)
    assert ("".join(e.text for e in page.events), page.more) == ("abc", True)
    assert bench.texts(after=3, limit=3) == "def"
    last = bench.find(after=6, limit=3)
    assert ([e.text for e in last.events], last.more) == (["g"], False)
    newest = bench.find(newest=True, limit=2)
    assert ([e.text for e in newest.events], newest.more) == (["f", "g"], True)
    assert bench.texts(before=6, newest=True, limit=2) == "de"
    assert bench.find(after=7) == EventPage((), more=False)


def test_filters_hold_together(bench: Bench) -> None:
    for text, service, host in (("a", "web", "cp1"), ("b", "web", "cp2"), ("c", "dns", "cp1")):
        bench.note(text, service=service, host=host)
        bench.clock.advance(10)
    bench.note("d", Kind.ROUTE, service="web")
    assert bench.texts(services=frozenset({"web"})) == "abd"
    assert bench.texts(services=frozenset({"web"}), hosts=frozenset({"cp1", "cp2"})) == "ab"
    assert bench.texts(hosts=frozenset({"cp1"})) == "ac"
    assert bench.texts(kinds=frozenset({Kind.ROUTE})) == "d"
    assert bench.texts(since=NOON + 10, until=NOON + 20) == "bc"


def test_of_a_disk_of_which_nothing_is_known_nothing_is_said() -> None:
    assert DiskSnapshot("f") == DiskSnapshot("f", 0, 0, 0, (), 0, "")
    assert HistorySnapshot() == HistorySnapshot(0, 0, None)


def test_memory_is_bounded_and_pages_over_what_is_gone(bench: Bench) -> None:
    for number in range(30_000):
        bench.note(str(number))
    assert bench.ledger.snapshot().in_memory == 20_000
    assert bench.find(limit=1).events[0].seq == 10_001
    assert bench.find(after=3, limit=1).events[0].seq == 10_001


def test_a_clock_that_is_set_is_an_event_and_leaves_the_order(bench: Bench) -> None:
    bench.note("a")
    bench.wall -= 3600
    bench.clock.advance(1)
    bench.note("b")
    bench.clock.advance(1)
    bench.note("c")
    first, clock, second, third = bench.find().events
    assert (first.text, second.text, third.text) == ("a", "b", "c")
    assert (clock.kind, clock.text) == (Kind.CLOCK, "The wall clock was set back by 3600.0 s")
    assert [e.elapsed_s for e in (first, second, third)] == [0, 1, 2]


def test_a_clock_that_is_set_is_seen_though_all_is_noted_late(bench: Bench) -> None:
    def late(text: str, moment: tuple[float, float]) -> None:
        bench.ledger.note(Note(Kind.REPORT, text), moment)

    bench.clock.advance(5)
    before = bench.ledger.moment()
    bench.wall += 1000
    bench.clock.advance(1)
    after = bench.ledger.moment()
    for text, moment in (("a", after), ("b", before), ("c", after)):
        late(text, moment)
    found = [(event.kind, event.text) for event in bench.find().events]
    assert found[1:] == [(Kind.REPORT, "a"), (Kind.REPORT, "b"), (Kind.REPORT, "c")]
    assert found[0] == (Kind.CLOCK, "The wall clock was set forward by 1000.0 s")


def test_one_hosts_death_in_44_services_is_one_incident_with_44_effects(bench: Bench) -> None:
    for number in range(44):
        bench.report("cp1", f"s{number}", up=False, verdict="held" if number < 4 else "depooled")
        bench.clock.advance(0.01)
    (incident,) = bench.incidents()
    assert (incident.effects, incident.events, len(incident.services)) == (44, 88, 44)
    assert dict(incident.verdicts) == {"held": 4, "depooled": 40}
    assert incident.ended_at is None
    assert {e.incident for e in bench.find(limit=1000).events} == {incident.id}
    bench.clock.advance(5)
    assert bench.log == [
        f"warn: Incident {incident.id}: cp1 failed in 44 services (40 depooled, 4 pooled though"
        " down): Ping reports cp1 down: silent"
    ]


def test_thousands_of_incidents_wait_to_be_told_with_one_timer(bench: Bench) -> None:
    hosts = [f"cp{number}" for number in range(600)]
    for host in hosts:
        bench.report(host, "web", up=False, verdict="depooled")
        bench.report(host, "dns", up=False, verdict="depooled")
    assert len(bench.clock.getDelayedCalls()) <= 2
    bench.clock.advance(TOLD_AFTER_S / 2)
    bench.report("late", "web", up=False, verdict="depooled")
    bench.report("late", "dns", up=False, verdict="depooled")
    bench.clock.advance(TOLD_AFTER_S / 2)
    assert [line.split(": ")[2].split(" failed")[0] for line in bench.log] == hosts
    bench.clock.advance(TOLD_AFTER_S / 2)
    assert ": late failed in 2 services" in bench.log[-1]
    bench.ledger.stop()
    assert bench.clock.getDelayedCalls() == []


def test_an_incident_ends_when_nothing_finds_the_host_down_any_more(bench: Bench) -> None:
    bench.report("cp1", "web", up=False, verdict="depooled")
    bench.report("cp1", "dns", up=False, verdict="depooled")
    bench.clock.advance(100)
    bench.report("cp1", "web", up=True, verdict="pooled")
    assert bench.incidents()[0].ended_at is None
    bench.report("cp1", "dns", up=True, verdict="pooled")
    (incident,) = bench.incidents()
    assert incident.ended_at == NOON + 100
    assert incident.effects == 2
    assert dict(incident.verdicts) == {"pooled": 2}


def test_a_host_that_flaps_is_one_incident_and_one_that_fails_later_another(bench: Bench) -> None:
    for _ in range(5):
        bench.report("cp1", "web", up=False, verdict="depooled")
        bench.clock.advance(20)
        bench.report("cp1", "web", up=True, verdict="pooled")
        bench.clock.advance(20)
    assert len(bench.incidents()) == 1
    bench.clock.advance(60)
    bench.report("cp1", "web", up=False, verdict="depooled")
    assert len(bench.incidents()) == 2


def test_first_results_that_are_good_are_no_incident(bench: Bench) -> None:
    bench.report("cp1", "web", up=True, verdict="pooled")
    assert bench.incidents() == ()
    assert bench.find().events[0].incident is None


def test_a_server_that_leaves_its_last_service_ends_its_incident(bench: Bench) -> None:
    bench.report("cp1", "web", up=False, verdict="depooled")
    bench.ledger.gone(Subject("host", "cp1"), "web Ping")
    assert bench.incidents()[0].ended_at == NOON


def test_incidents_are_found_by_time_service_and_host(bench: Bench) -> None:
    bench.report("cp1", "web", up=False, verdict="depooled")
    bench.clock.advance(50)
    bench.report("cp1", "web", up=True, verdict="pooled")
    bench.clock.advance(50)
    bench.report("cp2", "dns", up=False, verdict="held")
    assert [i.subject.name for i in bench.incidents()] == ["cp1", "cp2"]
    assert [i.subject.name for i in bench.incidents(since=NOON + 60)] == ["cp2"]
    assert [i.subject.name for i in bench.incidents(until=NOON + 60)] == ["cp1"]
    assert [i.subject.name for i in bench.incidents(services=frozenset({"web"}))] == ["cp1"]
    assert [i.subject.name for i in bench.incidents(hosts=frozenset({"cp2"}))] == ["cp2"]
    assert [i.subject.name for i in bench.incidents(newest=True, limit=1)] == ["cp2"]


def test_subscribers_are_told_until_they_have_enough(bench: Bench) -> None:
    told: list[LedgerEvent] = []
    enough = bench.ledger.subscribe(told.append)
    bench.note("a")
    enough()
    enough()
    bench.note("b")
    assert [event.text for event in told] == ["a"]


def test_nothing_is_left_to_do_after_stop(bench: Bench) -> None:
    bench.report("cp1", "web", up=False)
    bench.ledger.stop()
    bench.ledger.stop()
    bench.report("cp2", "web", up=False)
    assert bench.clock.getDelayedCalls() == []


class Written:
    """A Disk that remembers what it was given."""

    newest = 0, 0
    lost_total = complete_up_to = 0

    def __init__(self) -> None:
        self.given: list[tuple[int, ...]] = []

    def write(self, events: Sequence[LedgerEvent], incidents: Sequence[Incident]) -> None:
        self.given.append(tuple(each.id for each in incidents))


class Hanging(Written):
    """A Disk that never answers."""

    def find(self, _: EventQuery) -> Deferred[Any]:
        return Deferred()

    find_incidents = find

    def snapshot(self) -> DiskSnapshot:
        return DiskSnapshot("history.sqlite")


def test_who_asks_a_disk_that_hangs_is_told_so_soon(bench: Bench) -> None:
    hanging: Any = Hanging()
    bench.ledger.keep_on(hanging)
    bench.note("a")
    asked: list[Any] = [
        Deferred.fromCoroutine(bench.ledger.find(EventQuery())),
        Deferred.fromCoroutine(bench.ledger.find_incidents(EventQuery())),
    ]
    bench.clock.advance(ASKED_S)
    for each in asked:
        with pytest.raises(HistoryBusyError, match="has not answered for 5 s"):
            result_of(each)


def test_the_newest_events_that_are_in_memory_need_no_disk(bench: Bench) -> None:
    hanging: Any = Hanging()
    bench.ledger.keep_on(hanging)
    for text in "abcd":
        bench.note(text, host="h" if text in "ad" else "i")
    assert bench.texts(newest=True, limit=3) == "bcd"
    assert bench.texts(newest=True, limit=1, hosts=frozenset("h")) == "d"


def test_what_was_noted_before_the_file_was_open_is_not_newer_than_what_it_holds(
    bench: Bench,
) -> None:
    late: Any = Hanging()
    bench.ledger.keep_on(late)
    bench.note("a")
    late.newest = 9, 1
    bench.ledger.flush()
    assert bench.note("b") == 10
    asked = Deferred.fromCoroutine(bench.ledger.find(EventQuery(newest=True, limit=1)))
    bench.clock.advance(ASKED_S)
    with pytest.raises(HistoryBusyError):
        result_of(asked)


def test_incidents_are_written_some_at_a_time_and_all_in_the_end(bench: Bench) -> None:
    written: Any = Written()
    bench.ledger.keep_on(written)
    for number in range(250):
        bench.report(f"host{number}", "web", up=False)
    bench.clock.pump([0.1] * 4)
    assert [len(each) for each in written.given] == [100, 100, 50]
    assert len(set().union(*written.given)) == 250
    bench.report("host7", "web", up=True)
    bench.ledger.stop()
    assert written.given[-1] == (8,), "what waits is written at the stop"


def test_a_server_that_is_decided_of_anew_counts_once(bench: Bench) -> None:
    for verdict in ("depooled", "held", "pooled"):
        bench.report("h", "web", up=False, verdict=verdict)
    bench.report("h", "mail", up=False, verdict="pooled")
    (incident,) = bench.incidents()
    assert (incident.effects, incident.verdicts) == (2, (("pooled", 2),))
    assert bench.incidents()[0] is incident, "as it stands: nothing has changed"
