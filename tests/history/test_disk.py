"""The history on the disk: what is kept, what is lost, and that nobody waits."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from pybal.history import database as database_module
from pybal.history import disk as disk_module
from pybal.history.database import Database, find_events, find_incidents
from pybal.history.disk import FILE_NAME, MAX_WAITING, DiskHistory
from pybal.history.event import Kind, LedgerEvent
from pybal.history.incidents import Concern, Incident, Subject
from pybal.history.ledger import Ledger, Note
from pybal.history.query import EventPage, EventQuery, HistoryBusyError
from pybal.history.settings import MIB, HistorySettings
from pybal.runtime.time_slices import TimeSlices
from tests.fakes.daemon import at_once
from tests.fakes.deferreds import result_of
from tests.instrumentation.exchange import LogLines

NOON = 1_700_000_000.0


def event(seq: int, text: str = "", at: float | None = None, **fields: Any) -> LedgerEvent:
    moment = NOON + seq if at is None else at
    return LedgerEvent(seq, moment, float(seq), 1, fields.pop("kind", Kind.REPORT), text, **fields)


def until(wanted: Callable[[], bool]) -> None:
    """Threads take their time."""
    ends_at = time.monotonic() + 10
    while not wanted():
        assert time.monotonic() < ends_at
        time.sleep(0.005)


class Bench:
    """A ledger whose disk writes in a thread, in one run after another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = LogLines()
        self.clock = Clock()
        self.wall_s = NOON
        self.disk: DiskHistory | None = None
        self.begin()

    def now(self) -> float:
        return self.wall_s + self.clock.seconds()

    def begin(self, **settings: Any) -> None:
        self.ledger = Ledger(
            self.clock, self.now, TimeSlices(self.clock),
            self.log.logger(),
        )  # fmt: skip
        self.disk = DiskHistory(
            self.folder, HistorySettings(**settings), self.now, at_once,
            self.log.logger(),
        )  # fmt: skip
        self.ledger.begin(*self.disk.start(in_a_thread))
        self.ledger.keep_on(self.disk)

    def note(self, text: str, kind: Kind = Kind.REPORT, **fields: Any) -> int:
        return self.ledger.note(Note(kind, text, **fields))

    def settle(self) -> None:
        """All that was noted is on the disk."""
        self.clock.advance(1)
        assert self.disk is not None
        disk = self.disk
        until(lambda: not disk.snapshot().waiting)

    def write_one(self) -> None:
        self.clock.advance(1)
        assert self.disk is not None
        disk = self.disk
        until(lambda: disk.snapshot().written_total == 1)

    def end(self) -> None:
        self.ledger.stop()
        assert self.disk is not None
        self.disk.close()

    def again(self, **settings: Any) -> None:
        self.end()
        self.begin(**settings)

    def find(self, **wanted: Any) -> EventPage:
        return result_of(Deferred.fromCoroutine(self.ledger.find(EventQuery(**wanted))))

    def texts(self, **wanted: Any) -> str:
        return "".join(each.text for each in self.find(**wanted).events)


def in_a_thread(run: Callable[[], None]) -> None:
    threading.Thread(target=run, daemon=True).start()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    yield found
    found.end()


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
    assert len(files) == 3
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


@pytest.mark.parametrize("content", [b"", b"x" * 5000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_set_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    bench = Bench(tmp_path)
    bench.note("a")
    bench.write_one()
    bench.end()
    assert find_events(tmp_path / FILE_NAME, EventQuery())[0].text == "a"
    if content:
        assert (tmp_path / f"{FILE_NAME}.damaged").read_bytes() == content


def test_a_database_of_another_kind_or_format_is_set_aside(tmp_path: Path) -> None:
    for statement in ("PRAGMA user_version = 9", "PRAGMA user_version = 1"):
        file = sqlite3.connect(tmp_path / FILE_NAME)
        file.executescript(f"DROP TABLE IF EXISTS events; CREATE TABLE x (y); {statement}")
        file.close()
        bench = Bench(tmp_path)
        bench.note("a")
        bench.write_one()
        bench.end()
        (tmp_path / FILE_NAME).unlink()


def put(folder: Path, *rows: str, table: str = "events") -> None:
    """Rows, as SQL has them, that this version does not write."""
    Database(folder / FILE_NAME).close()
    file = sqlite3.connect(folder / FILE_NAME)
    for row in rows:
        file.execute(f"INSERT INTO {table} VALUES ({row})")  # noqa: S608 - all of this is ours
    file.commit()
    file.close()


def test_a_row_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    put(
        tmp_path,
        "1, 1.0, 0, 1, 'report', 'a', NULL, NULL, NULL, NULL, '{}'",
        "2, 2.0, 0, 1, 'of a later version', 'b', NULL, NULL, NULL, NULL, '{}'",
        "3, 3.0, 0, 1, 'report', 'c', NULL, NULL, NULL, NULL, 'no JSON'",
        "4, 'noon', 0, 1, 'report', 'd', NULL, NULL, NULL, NULL, '{}'",
        "5, 5.0, 0, 1, 'report', 'e', NULL, NULL, NULL, NULL, '[]'",
        "6, 6.0, 0, 1, 'report', 'f', NULL, NULL, NULL, NULL, '{}'",
    )
    found = find_events(tmp_path / FILE_NAME, EventQuery())
    assert [each.seq for each in found] == [1, 2, 3, 4, 5, 6]
    assert [each.seq for each in found if each.kind is Kind.LOST] == [2, 3, 4, 5]


def test_an_incident_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    put(
        tmp_path,
        "1, 'host', 'a', 'why', 1, 1, 1, 1, 1, '[]', '{}'",
        "2, 'moon', 'a', 'why', 1, 1, 1, 1, 1, '[]', '{}'",
        "3, 'host', 'a', 'why', 1, 1, 1, 1, 1, '', '{}'",
        "4, 'host', 'a', 'why', 1, 'x', 1, 1, 1, '[]', '{}'",
        "5, 'host', 'a', 'why', 1, 1, 1, 1, 1, '[]', '[]'",
        table="incidents",
    )
    assert [each.id for each in find_incidents(tmp_path / FILE_NAME, EventQuery())] == [1]


@pytest.mark.parametrize(
    ("seq", "run"), [("9223372036854775807", "1"), ("1", "'first'"), ("-5", "1"), ("1", "-1")]
)
def test_a_file_whose_numbers_lead_nowhere_is_set_aside(tmp_path: Path, seq: str, run: str) -> None:
    put(tmp_path, f"{seq}, 1.0, 0, {run}, 'report', 'a', NULL, NULL, NULL, NULL, '{{}}'")
    bench = Bench(tmp_path)
    bench.note("b")
    bench.settle()
    bench.write_one()
    assert bench.texts() == "b"
    bench.end()
    assert (tmp_path / f"{FILE_NAME}.damaged").exists()


def test_a_link_or_a_fifo_in_its_place_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("dear")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / FILE_NAME).symlink_to(target)
    (tmp_path / "b").mkdir()
    os.mkfifo(tmp_path / "b" / FILE_NAME)
    for folder in ("a", "b"):
        bench = Bench(tmp_path / folder)
        bench.note("x")
        assert bench.texts() == "x"
        bench.end()
    assert target.read_text() == "dear"


def test_a_file_that_is_removed_is_made_again(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(disk_module, "_PRUNE_EVERY_S", 0.01)
    bench = Bench(tmp_path)
    bench.note("a")
    bench.settle()
    (bench.folder / FILE_NAME).unlink()
    until(lambda: (bench.folder / FILE_NAME).exists())
    bench.note("b")
    bench.settle()
    assert "b" in bench.texts()
    bench.end()


def test_a_hole_in_the_history_is_told_of_in_it(bench: Bench) -> None:
    bench.note("a")
    bench.settle()
    assert bench.disk is not None
    bench.disk.write([event(n) for n in range(100, 100 + MAX_WAITING + 500)], [])
    lost = bench.disk.lost_total
    assert lost >= 500
    until(lambda: bench.disk is not None and not bench.disk.snapshot().waiting)
    bench.note("b")
    bench.settle()
    bench.settle()
    (told,) = bench.find(kinds=frozenset({Kind.LOST})).events
    assert told.inputs == {"lost": lost}


class Full(Database):
    """A disk that is full until the test says otherwise."""

    full = True

    def append(self, events: Sequence[LedgerEvent], incidents: Sequence[Incident]) -> None:
        if Full.full:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        super().append(events, incidents)


def disk_of(folder: Path, kind: Callable[[Path], Database], log: LogLines) -> DiskHistory:
    return DiskHistory(folder, HistorySettings(), lambda: NOON, at_once, log.logger(), kind)


def test_a_full_disk_loses_nothing_that_fits_in_memory(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(disk_module, "_RETRY_FIRST_S", 0.01)
    Full.full = True
    log = LogLines()
    disk = disk_of(tmp_path, Full, log)
    disk.start(in_a_thread)
    disk.write([event(1)], [])
    until(lambda: disk.snapshot().errors_total > 1)
    disk.write([event(n) for n in range(2, MAX_WAITING + 11)], [])
    found = disk.snapshot()
    assert (found.waiting, dict(found.lost)["queue full"]) == (MAX_WAITING, 10)
    assert found.last_error == "database or disk is full"
    assert log == [
        f"warn: The history cannot be written to {tmp_path / FILE_NAME}, events may be lost:"
        " database or disk is full"
    ]
    Full.full = False
    until(lambda: disk.snapshot().written_total == MAX_WAITING)
    disk.write([], [])
    assert log[1:] == ["info: The history is written again"]
    assert disk.complete_up_to == 0
    disk.close()


def test_a_disk_that_hangs_holds_nobody_up(tmp_path: Path) -> None:
    """Were it to wait for the disk, this would not come to its end."""
    hanging = threading.Event()

    class Hanging(Database):
        def append(self, events: Sequence[LedgerEvent], incidents: Sequence[Incident]) -> None:
            hanging.wait()

    disk = disk_of(tmp_path, Hanging, LogLines())
    disk.start(in_a_thread)
    for number in range(50):
        disk.write([event(number * 1000 + n) for n in range(1000)], [])
    assert disk.snapshot().waiting == MAX_WAITING
    hanging.set()
    disk.close()


def test_a_disk_that_hangs_at_the_start_holds_it_up_for_a_second(tmp_path: Path) -> None:
    hanging = threading.Event()

    def slow(path: Path) -> Database:
        hanging.wait()
        return Database(path)

    disk = disk_of(tmp_path, slow, LogLines())
    assert disk.start(in_a_thread) == (0, 0)
    assert result_of(disk.find(EventQuery())) == []
    hanging.set()
    until(lambda: disk.newest == (0, 0))
    disk.close()


def test_numbers_go_on_after_a_file_that_was_opened_late(tmp_path: Path) -> None:
    former = Database(tmp_path / FILE_NAME)
    former.append([event(n, "former") for n in range(1, 11)], [])
    former.close()
    hanging = threading.Event()

    def slow(path: Path) -> Database:
        hanging.wait()
        return Database(path)

    clock, disk = Clock(), disk_of(tmp_path, slow, LogLines())
    log = LogLines().logger()
    ledger = Ledger(clock, lambda: NOON + clock.seconds(), TimeSlices(clock), log)
    ledger.begin(*disk.start(in_a_thread))
    ledger.keep_on(disk)
    assert ledger.note(Note(Kind.REPORT, "early")) == 1
    ledger.flush()
    hanging.set()
    until(lambda: disk.lost_total == 1)
    ledger.note(Note(Kind.REPORT, "still early"))
    ledger.flush()
    assert ledger.note(Note(Kind.REPORT, "late")) > 10
    ledger.flush()
    until(lambda: disk.snapshot().written_total > 0)
    found = result_of(Deferred.fromCoroutine(ledger.find(EventQuery(newest=True, limit=1))))
    assert found.events[0].text == "late"
    assert dict(disk.snapshot().lost)["before the file was open"] >= 1
    ledger.stop()
    disk.close()


def test_a_folder_that_cannot_be_written_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    disk = disk_of(tmp_path / "file", Database, LogLines())
    begun_s = time.monotonic()
    assert disk.start(in_a_thread) == (0, 0)
    assert time.monotonic() - begun_s < disk_module.OPEN_S
    assert disk.snapshot().last_error != ""
    disk.close()


def test_an_event_that_cannot_be_written_does_not_stand_in_the_way(bench: Bench) -> None:
    odd: list[Any] = [{"x": {1}}, {"x": float("nan")}, {1: object()}]
    for inputs in odd:
        bench.note("odd", inputs=inputs)
    bench.note("text \ud800 \0 end", host="\udcff")
    bench.note("z")
    bench.again()
    assert len(bench.find().events) == 5
    assert bench.find().events[-1].text == "z"
    assert bench.find().events[0].inputs == {}


def test_what_is_too_old_goes_and_so_does_what_is_too_much(tmp_path: Path) -> None:
    database = Database(tmp_path / FILE_NAME)
    for start in range(0, 20_000, 500):
        database.append([event(n + 1, "x" * 200) for n in range(start, start + 500)], [])
    while database.prune(NOON + 5_000, 1 << 40):
        pass
    assert find_events(tmp_path / FILE_NAME, EventQuery(limit=1))[0].seq == 5_000
    before = database.size_bytes()
    while database.prune(None, 2 * MIB):
        pass
    oldest = find_events(tmp_path / FILE_NAME, EventQuery(limit=1))[0].seq
    assert 5_000 < oldest < 20_000
    for _ in range(100):
        database.prune(None, 2 * MIB)
    assert (tmp_path / FILE_NAME).stat().st_size <= 2 * MIB < before
    assert find_events(tmp_path / FILE_NAME, EventQuery(newest=True, limit=1))[0].seq == 20_000
    database.close()


def test_a_clock_that_is_set_far_ahead_takes_no_history(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(disk_module, "_PRUNE_EVERY_S", 0.01)
    bench = Bench(tmp_path)
    bench.note("a")
    bench.settle()
    bench.wall_s += 400 * 86400
    bench.note("b")
    bench.settle()
    time.sleep(0.1)
    assert bench.texts(kinds=frozenset({Kind.REPORT})) == "ab"
    bench.end()


def test_a_query_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: Any) -> None:
    database = Database(tmp_path / FILE_NAME)
    database.append([event(n + 1) for n in range(2000)], [])
    monkeypatch.setattr(database_module, "READ_S", -1.0)
    monkeypatch.setattr(database_module, "_OPCODES", 10)
    with pytest.raises(HistoryBusyError, match="takes more than"):
        find_events(tmp_path / FILE_NAME, EventQuery(kinds=frozenset({Kind.STOP})))
    database.close()


def test_too_many_queries_at_once_are_refused(tmp_path: Path) -> None:
    waiting: list[Deferred[Any]] = []

    def held(_: Callable[[], Any]) -> Deferred[Any]:
        waiting.append(Deferred())
        return waiting[-1]

    disk = DiskHistory(tmp_path, HistorySettings(), lambda: NOON, held, LogLines().logger())
    disk.start(in_a_thread)
    asked = [disk.find(EventQuery()) for _ in range(disk_module.MAX_QUERIES_WAITING)]
    assert len(waiting) == disk_module.MAX_QUERIES
    refused: list[Any] = []
    disk.find(EventQuery()).addErrback(refused.append)
    assert refused[0].check(HistoryBusyError)
    while waiting:
        waiting.pop(0).callback([])
    assert [result_of(each) for each in asked] == [[]] * len(asked)
    disk.close()
