"""Disks that are full, slow or away, and the bounds of what is kept and asked."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from pybal.history.database import Database, UnreadableError, find_events
from pybal.history.disk import (
    FILE_NAME,
    MAX_QUERIES,
    MAX_QUERIES_WAITING,
    MAX_WAITING,
    DiskHistory,
    DiskPace,
)
from pybal.history.event import Kind, LedgerEvent
from pybal.history.incidents import Incident
from pybal.history.ledger import Ledger, Note
from pybal.history.query import EventQuery, HistoryBusyError
from pybal.history.settings import MIB, HistorySettings
from pybal.runtime.threads import NoThreadError
from pybal.runtime.time_slices import TimeSlices
from pybal.state.state_writing import HANGS
from tests.fakes.deferreds import at_once, result_of
from tests.history.disk_bench import NOON, QUICK, Bench, event, opened, until
from tests.instrumentation.exchange import LogLines

SHORT = replace(QUICK, open_s=0.05)


class Full(Database):
    """A disk that is full until the test says otherwise."""

    full = True

    def append(self, events: Sequence[LedgerEvent], incidents: Sequence[Incident]) -> None:
        if Full.full:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        super().append(events, incidents)


class Odd(Database):
    """It takes nothing, for a reason that lies in what it is given."""

    def append(self, events: Sequence[LedgerEvent], incidents: Sequence[Incident]) -> None:
        raise ValueError("odd")


def disk_of(
    folder: Path, kind: Callable[[Path], Database], log: LogLines, pace: DiskPace = QUICK
) -> DiskHistory:
    return DiskHistory(folder, HistorySettings(), lambda: NOON, at_once, log.logger(), kind, pace)


def test_a_full_disk_loses_nothing_that_fits_in_memory(tmp_path: Path) -> None:
    Full.full = True
    log = LogLines()
    disk = disk_of(tmp_path, Full, log)
    opened(disk)
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


def test_a_file_that_is_mended_is_no_longer_said_to_be_unwritten_though_nothing_happens(
    tmp_path: Path,
) -> None:
    disk = disk_of(tmp_path, Database, LogLines())
    opened(disk)
    (tmp_path / FILE_NAME).unlink()
    until(lambda: disk.snapshot().errors_total == 1)
    until(lambda: disk.snapshot().last_error == "")
    assert (tmp_path / FILE_NAME).exists()
    disk.close()


def test_after_events_that_could_not_be_written_that_is_said_no_longer_though_nothing_happens(
    tmp_path: Path,
) -> None:
    disk = disk_of(tmp_path, Odd, LogLines())
    opened(disk)
    disk.write([event(1)], [])
    until(lambda: disk.snapshot().errors_total == 1)
    until(lambda: disk.snapshot().last_error == "")
    assert dict(disk.snapshot().lost)["not writable"] == 1
    disk.close()


def test_events_that_cannot_be_written_are_said_for_a_while(tmp_path: Path) -> None:
    pruned = threading.Event()

    class Seen(Odd):
        def prune(self, before: float | None, most_bytes: int) -> bool:
            pruned.set()
            return super().prune(before, most_bytes)

    disk = disk_of(tmp_path, Seen, LogLines(), replace(QUICK, prune_every_s=60.0))
    disk.write([event(1)], [])
    opened(disk)
    assert pruned.wait(30)
    time.sleep(0.02)
    assert disk.snapshot().last_error == "ValueError: odd"
    disk.close()


def has_settled(disk: DiskHistory, events: int) -> bool:
    found = disk.snapshot()
    return found.written_total + sum(count for _, count in found.lost) == events


def test_that_others_are_written_does_not_end_what_is_said_of_some(tmp_path: Path) -> None:
    class Picky(Odd):
        def append(self, events: Sequence[LedgerEvent], incidents: Sequence[Incident]) -> None:
            if any(each.seq % 2 for each in events):
                super().append(events, incidents)

    log = LogLines()
    disk = disk_of(tmp_path, Picky, log, replace(QUICK, prune_every_s=60.0))
    opened(disk)
    for number in range(1, 7):
        disk.write([event(number)], [])
        until(partial(has_settled, disk, number))
    assert disk.snapshot().last_error == "ValueError: odd"
    assert len(log) == 1
    disk.close()


def test_a_disk_that_hangs_is_said_until_it_answers(tmp_path: Path) -> None:
    hanging = threading.Event()

    class Hanging(Database):
        def append(self, events: Sequence[LedgerEvent], incidents: Sequence[Incident]) -> None:
            hanging.wait()
            super().append(events, incidents)

    log = LogLines()
    disk = disk_of(tmp_path, Hanging, log, replace(QUICK, hangs_s=0))
    opened(disk)
    disk.write([event(1)], [])
    until(lambda: disk.snapshot().last_error == HANGS)
    disk.write([event(2)], [])
    hanging.set()
    until(lambda: disk.snapshot().written_total == 2)
    until(lambda: disk.snapshot().last_error == "")
    disk.close()
    assert disk.snapshot().last_error == ""
    disk.write([], [])
    # Any work may have been taken for a disk that hangs before.
    assert log[-2:] == [
        f"warn: The history cannot be written to {tmp_path / FILE_NAME}, events may be lost:"
        f" {HANGS}",
        "info: The history is written again",
    ]


def test_a_file_that_is_looked_through_for_long_is_no_disk_that_hangs(tmp_path: Path) -> None:
    told: list[str] = []

    class Long(Database):
        def check(self) -> None:
            told.append(disk.snapshot().last_error)

    def unreadable(_: Callable[[], Any]) -> Deferred[Any]:
        return fail(UnreadableError("damaged"))

    arguments = HistorySettings(), lambda: NOON, unreadable, LogLines().logger(), Long
    disk = DiskHistory(tmp_path, *arguments, replace(QUICK, hangs_s=0))
    opened(disk)
    disk.find(EventQuery()).addErrback(lambda _: None)
    until(lambda: bool(told))
    disk.close()
    assert told == ["it may be damaged, and is read as a whole"]


def test_a_disk_that_hangs_holds_nobody_up(tmp_path: Path) -> None:
    """Were it to wait for the disk, this would not come to its end."""
    hanging = threading.Event()

    class Hanging(Database):
        def append(self, events: Sequence[LedgerEvent], incidents: Sequence[Incident]) -> None:
            hanging.wait()

    disk = disk_of(tmp_path, Hanging, LogLines())
    opened(disk)
    for number in range(50):
        disk.write([event(number * 1000 + n) for n in range(1000)], [])
    assert disk.snapshot().waiting == MAX_WAITING
    hanging.set()
    disk.close()


def test_a_disk_that_hangs_at_the_start_holds_it_up_for_a_while_only(tmp_path: Path) -> None:
    hanging = threading.Event()

    def slow(path: Path) -> Database:
        hanging.wait()
        return Database(path)

    disk = disk_of(tmp_path, slow, LogLines(), SHORT)
    assert opened(disk) == (0, 0)
    assert result_of(disk.find(EventQuery())) == []
    hanging.set()
    disk.close()
    assert disk.newest == (0, 0)


def test_numbers_go_on_after_a_file_that_was_opened_late(tmp_path: Path) -> None:
    former = Database(tmp_path / FILE_NAME)
    former.append([event(n, "former") for n in range(1, 11)], [])
    former.close()
    hanging = threading.Event()

    def slow(path: Path) -> Database:
        hanging.wait()
        return Database(path)

    clock, disk = Clock(), disk_of(tmp_path, slow, LogLines(), SHORT)
    log = LogLines().logger()
    ledger = Ledger(clock, lambda: NOON + clock.seconds(), TimeSlices(clock), log)
    ledger.begin(*opened(disk))
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
    patient = replace(QUICK, open_s=30.0)
    disk = disk_of(tmp_path / "file", Database, LogLines(), patient)
    begun_s = time.monotonic()
    assert opened(disk) == (0, 0)
    assert time.monotonic() - begun_s < patient.open_s
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


@pytest.mark.slow
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


def test_a_clock_that_is_set_far_ahead_takes_no_history(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.note("a")
    bench.settle()
    bench.wall_s += 400 * 86400
    bench.note("b")
    bench.settle()
    time.sleep(0.1)
    assert bench.texts(kinds=frozenset({Kind.REPORT})) == "ab"
    bench.end()


def test_a_query_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    database = Database(tmp_path / FILE_NAME)
    database.append([event(n + 1) for n in range(5000)], [])
    with pytest.raises(HistoryBusyError, match="takes more than"):
        find_events(tmp_path / FILE_NAME, EventQuery(limit=10_000), within_s=-1.0)
    database.close()


def test_too_many_queries_at_once_are_refused(tmp_path: Path) -> None:
    waiting: list[Deferred[Any]] = []

    def held(_: Callable[[], Any]) -> Deferred[Any]:
        waiting.append(Deferred())
        return waiting[-1]

    disk = DiskHistory(tmp_path, HistorySettings(), lambda: NOON, held, LogLines().logger())
    opened(disk)
    asked = [disk.find(EventQuery()) for _ in range(MAX_QUERIES_WAITING)]
    assert len(waiting) == MAX_QUERIES
    refused: list[Any] = []
    disk.find(EventQuery()).addErrback(refused.append)
    assert refused[0].check(HistoryBusyError)
    while waiting:
        waiting.pop(0).callback([])
    assert [result_of(each) for each in asked] == [[]] * len(asked)
    disk.close()


def test_who_asks_where_no_thread_is_left_is_told_to_come_again(tmp_path: Path) -> None:
    def none_left(_: Callable[[], Any]) -> Deferred[Any]:
        return fail(NoThreadError("can't start new thread"))

    disk = DiskHistory(tmp_path, HistorySettings(), lambda: NOON, none_left, LogLines().logger())
    opened(disk)
    with pytest.raises(HistoryBusyError, match="cannot be asked: can't start new thread"):
        result_of(disk.find(EventQuery()))
    disk.close()
