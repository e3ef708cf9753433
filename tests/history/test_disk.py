"""The history on the disk: what is kept, what is lost, and that nobody waits."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

from twisted.internet.defer import Deferred

from pybal.history import database as database_module
from pybal.history.database import Database, find_events, find_incidents
from pybal.history.disk import FILE_NAME
from pybal.history.event import Kind
from pybal.history.incidents import Concern, Subject
from pybal.history.query import EventQuery
from tests.fakes.deferreds import result_of
from tests.history.disk_bench import NOON, Bench, event


def test_what_was_noted_is_there_in_the_next_run_and_numbers_go_on(bench: Bench) -> None:
    inputs = {"up": False, "list": [1, None], "text": "ü\u2028"}
    first = bench.note("a", service="web", host="cp1", inputs=inputs)
    bench.note("b", Kind.DECISION, cause=first)
    bench.again()
    assert bench.note("c") == 3
    one, two, three = bench.find().events
    assert (one.text, one.service, one.host, one.inputs) == ("a", "web", "cp1", inputs)
    assert (two.kind, two.cause) == (Kind.DECISION, 1)
    assert [each.run for each in (one, two, three)] == [1, 1, 2]


def test_pages_go_over_disk_and_memory_alike(bench: Bench) -> None:
    for text in "abcd":
        bench.note(text, host="cp1" if text in "ac" else "cp2")
    bench.again()
    for text in "efg":
        bench.note(text, host="cp1")
    bench.settle()
    bench.note("h", host="cp1")
    assert bench.texts() == "abcdefgh"
    assert bench.texts(limit=3) == "abc"
    assert bench.texts(after=3, limit=3) == "def"
    assert bench.texts(newest=True, limit=3) == "fgh"
    assert bench.texts(before=6, newest=True, limit=3) == "cde"
    assert bench.texts(hosts=frozenset({"cp1"})) == "acefgh"
    assert bench.find(limit=8).more is False
    assert bench.find(limit=7).more is True


def test_filters_of_time_kind_and_service_are_the_same_on_the_disk(tmp_path: Path) -> None:
    database = Database(tmp_path / FILE_NAME)
    kinds = (Kind.START, Kind.REPORT, Kind.DECISION, Kind.STOP)
    events = [
        event(n, str(n), kind=kinds[n % 4], service=f"s{n % 3}", host=f"h{n % 5}", incident=n % 7)
        for n in range(1, 200)
    ]
    database.append(events, [])
    queries = [
        EventQuery(since=NOON + 50, limit=1000),
        EventQuery(until=NOON + 50, newest=True, limit=3),
        EventQuery(since=NOON + 20, until=NOON + 60, kinds=frozenset({Kind.REPORT}), limit=5),
        EventQuery(kinds=frozenset({Kind.START, Kind.STOP}), until=NOON + 33, newest=True, limit=1),
        EventQuery(services=frozenset({"s1", "s2"}), hosts=frozenset({"h3"}), limit=1000),
        EventQuery(incident=3, after=50, before=150, limit=1000),
        EventQuery(hosts=frozenset({"nosuch"})),
    ]
    for query in queries:
        ordered = reversed(events) if query.newest else events
        wanted = [each for each in ordered if query.matches(each)][: query.limit + 1]
        assert find_events(tmp_path / FILE_NAME, query) == wanted
    database.close()


def test_the_last_decision_and_the_last_start_are_found_by_an_index(tmp_path: Path) -> None:
    Database(tmp_path / FILE_NAME).close()
    file = sqlite3.connect(tmp_path / FILE_NAME)
    for query, index in (
        (EventQuery(kinds=frozenset({Kind.START, Kind.STOP}), until=NOON), "events_runs"),
        (EventQuery(hosts=frozenset({"cp1"}), kinds=frozenset({Kind.DECISION})), "events_host"),
        (EventQuery(services=frozenset({"web"}), until=NOON), "events_service"),
        (EventQuery(since=NOON), "events_at"),
    ):
        sql, values = database_module.statement(query)
        plan = "".join(row[3] for row in file.execute(f"EXPLAIN QUERY PLAN {sql}", values))
        assert index in plan, plan
    file.close()


def test_incidents_are_kept_and_those_of_a_former_run_are_over(bench: Bench) -> None:
    concern = Concern(Subject("host", "cp1"), "web Ping")
    cause = bench.note("cp1 is down", service="web", host="cp1", concern=concern)
    bench.note("x", Kind.DECISION, service="web", host="cp1", cause=cause,
               inputs={"verdict": "held"})  # fmt: skip
    bench.again()
    asked = bench.ledger.find_incidents(EventQuery(hosts=frozenset({"cp1"})))
    (incident,), more = result_of(Deferred.fromCoroutine(asked))
    assert (incident.id, incident.effects, incident.services) == (cause, 1, ("web",))
    assert incident.verdicts == (("held", 1),)
    assert incident.ended_at == NOON
    assert not more
    path = bench.folder / FILE_NAME
    assert find_incidents(path, EventQuery(services=frozenset({"web"}))) == [incident]
    assert find_incidents(path, EventQuery(services=frozenset({"dns"}))) == []
    assert find_incidents(path, EventQuery(since=NOON + 1)) == []


def test_the_file_is_for_its_owner_alone(bench: Bench) -> None:
    bench.note("a")
    bench.settle()
    files = list(bench.folder.iterdir())
    assert len(files) == 2
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_events_survive_a_process_that_is_killed(bench: Bench, tmp_path: Path) -> None:
    bench.note("a")
    bench.settle()
    # What a killed process leaves: the file and a log of what was written.
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in bench.folder.glob("history.sqlite*"):
        (copy / file.name).write_bytes(file.read_bytes())
    other = Bench(copy)
    assert other.texts() == "a"
    other.end()
