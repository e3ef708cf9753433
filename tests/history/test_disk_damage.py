"""Files that are no history, rows that cannot be read, and what is told of a hole."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from pybal.history.database import Database, find_events, find_incidents
from pybal.history.disk import FILE_NAME, MAX_WAITING
from pybal.history.event import Kind
from pybal.history.query import EventQuery, HistoryBusyError
from tests.history.disk_bench import Bench, event, until


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
    for version, kept_as in ((9, "format-9"), (1, "damaged")):
        statement = f"PRAGMA user_version = {version}"
        file = sqlite3.connect(tmp_path / FILE_NAME)
        file.executescript(f"DROP TABLE IF EXISTS events; CREATE TABLE x (y); {statement}")
        file.close()
        bench = Bench(tmp_path)
        bench.note("a")
        bench.write_one()
        bench.end()
        (tmp_path / FILE_NAME).unlink()
        kept = sqlite3.connect(tmp_path / f"{FILE_NAME}.{kept_as}")
        assert kept.execute("PRAGMA user_version").fetchone() == (version,)
        kept.close()


def test_no_file_of_it_is_mapped_into_memory(tmp_path: Path) -> None:
    """Such a one that is cut off, or on a disk that fails, kills the process that touches it."""
    database = Database(tmp_path / FILE_NAME)
    database.append([event(1)], [])
    assert len(find_events(tmp_path / FILE_NAME, EventQuery())) == 1
    assert {each.name for each in tmp_path.iterdir()} == {FILE_NAME, f"{FILE_NAME}-wal"}
    assert FILE_NAME not in Path("/proc/self/maps").read_text()
    database.close()


def test_a_file_that_is_damaged_where_only_readers_come_is_set_aside(tmp_path: Path) -> None:
    database = Database(tmp_path / FILE_NAME)
    database.append([event(n + 1, "x" * 100) for n in range(1000)], [])
    database.check()
    database.close()
    with (tmp_path / FILE_NAME).open("r+b") as file:
        file.seek((tmp_path / FILE_NAME).stat().st_size // 8192 * 4096)
        file.write(b"\xff" * 4096)
    bench = Bench(tmp_path)
    bench.note("a")
    bench.write_one()
    with pytest.raises(HistoryBusyError, match="cannot be read: database disk image is malformed"):
        bench.find(limit=1000)
    until((tmp_path / f"{FILE_NAME}.damaged").exists)
    bench.note("b")
    bench.settle()
    assert bench.texts(limit=1000).endswith("b")
    bench.end()


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


def test_a_file_that_is_removed_is_made_again(tmp_path: Path) -> None:
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
