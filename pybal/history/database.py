"""The history's file: an SQLite database. All here blocks, and is for threads of its own.

Write-ahead log, so that who reads is not in the way of who writes, and a crash of this process
loses nothing that was written. A batch of events is handed over as one JSON text, which SQLite
takes apart while Python goes on: row by row the interpreter would be taken from the reactor each
time."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, get_args

from pybal.errors import PyBalError, said_by
from pybal.history.event import Kind, LedgerEvent
from pybal.history.incidents import Incident, Subject, SubjectKind
from pybal.history.query import EventQuery, HistoryBusyError
from pybal.history.settings import MIB
from pybal.runtime.naming import shortened

FORMAT = 1
READ_S = 2.0
"""A query that takes longer is given up."""
_BUSY_S = 1.0
_ALONE = "vfs=unix-excl"
"""No other process has the file, so the index of its log is in this one's memory. Otherwise that is
another file, which is mapped: whoever cuts it off, by copying a backup back, say, or a disk that
fails below it, kills the whole process (SIGBUS)."""
_WAL_BYTES = 4 * MIB
_SMALLEST_BYTES = MIB
_PRUNED_AT_ONCE = 5000
_OPCODES = 10_000

_LAST = 2**52
"""No event or run has so high a number; JSON's numbers go on for as long again."""

_SCHEMA = """
CREATE TABLE events (
  seq INTEGER PRIMARY KEY, at REAL NOT NULL, elapsed_s REAL NOT NULL, run INTEGER NOT NULL,
  kind TEXT NOT NULL, text TEXT NOT NULL, service TEXT, host TEXT, cause INTEGER, incident INTEGER,
  inputs TEXT NOT NULL
);
CREATE INDEX events_at ON events (at);
CREATE INDEX events_host ON events (host, seq) WHERE host IS NOT NULL;
CREATE INDEX events_service ON events (service, seq) WHERE service IS NOT NULL;
CREATE INDEX events_incident ON events (incident, seq) WHERE incident IS NOT NULL;
CREATE INDEX events_runs ON events (seq) WHERE kind IN ('start', 'stop');
CREATE TABLE incidents (
  id INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, cause TEXT NOT NULL,
  began_at REAL NOT NULL, last_at REAL NOT NULL, ended_at REAL, events INTEGER NOT NULL,
  effects INTEGER NOT NULL, services TEXT NOT NULL, verdicts TEXT NOT NULL
);
"""
_COLUMNS = "seq, at, elapsed_s, run, kind, text, service, host, cause, incident, inputs"
_FIELDS = ", ".join(f"json_extract(value, '$[{number}]')" for number in range(10))
_APPEND = (
    f"INSERT OR IGNORE INTO events ({_COLUMNS}) "  # noqa: S608 - all of this is ours
    f"SELECT {_FIELDS}, json_extract(value, '$[10]') FROM json_each(?)"
)
_INCIDENT_COLUMNS = (
    "id, kind, subject, cause, began_at, last_at, ended_at, events, effects, services, verdicts"
)
_PUT_INCIDENT = (
    f"REPLACE INTO incidents ({_INCIDENT_COLUMNS}) "  # noqa: S608 - as above
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_PASSING = {
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PROTOCOL,
}  # fmt: skip


class DamagedError(PyBalError):
    """The file is no database of ours: another one must take its place. It is kept under its name
    and `kept_as`."""

    def __init__(self, text: str, kept_as: str = "damaged") -> None:
        self.kept_as = kept_as
        super().__init__(text)


class UnreadableError(HistoryBusyError):
    """The file may be damaged where it was read; who writes sees only where it writes."""


class UnusableError(PyBalError):
    """The file cannot be used now: the disk is full, say. It may be later."""


@contextmanager
def translating() -> Iterator[None]:
    """Errors of SQLite and of the system become ours, if they are not the fault of what was to be
    written: that one stays as it is."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        ours = _translated(error)
        if ours is None:
            raise
        raise ours from error


def _translated(error: sqlite3.Error | OSError) -> PyBalError | None:
    if isinstance(error, OSError):
        return UnusableError(said_by(error))
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _DAMAGED:
        return DamagedError(str(error))
    return UnusableError(str(error)) if code in _PASSING else None


class Database:
    """The one who writes. Methods raise sqlite3.Error or OSError: see translating()."""

    def __init__(self, path: Path) -> None:
        self._path = path
        _create(path)
        self._connection = sqlite3.connect(
            f"{path.as_uri()}?{_ALONE}", timeout=_BUSY_S, isolation_level=None, uri=True
        )
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise
        self._inode = os.stat(path).st_ino

    def _prepare(self) -> None:
        run = self._connection.execute
        (version,) = run("PRAGMA user_version").fetchone()
        if version not in (0, FORMAT):
            # A later version's: who goes forward again may want it.
            text = f"its format is {version}, not {FORMAT}: another file is begun"
            raise DamagedError(text, f"format-{version}")
        if version == 0:
            run("PRAGMA auto_vacuum = INCREMENTAL")
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = NORMAL")
        run(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        if version == 0:
            self._connection.executescript(
                f"BEGIN; {_SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;"
            )
        # Those of a run that has ended are over.
        run("UPDATE incidents SET ended_at = last_at WHERE ended_at IS NULL")
        run("SELECT seq, inputs FROM events ORDER BY seq DESC LIMIT 1").fetchone()

    def newest(self) -> tuple[int, int]:
        """The numbers of the newest event and run; 0 if there are none. DamagedError if none could
        follow them."""
        seq, run = self._connection.execute(
            "SELECT seq, run FROM events ORDER BY seq DESC LIMIT 1"
        ).fetchone() or (0, 0)
        for number in (seq, run):
            if not (isinstance(number, int) and 0 <= number < _LAST):
                raise DamagedError(f"its newest event is numbered {number!r:.40}")
        return seq, run

    def append(self, events: Sequence[LedgerEvent], incidents: Sequence[Incident]) -> None:
        """Write all of these, or nothing."""
        rows = json.dumps([_row(event) for event in events])
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(_APPEND, (rows,))
            connection.executemany(
                _PUT_INCIDENT,
                map(_incident_row, incidents),
            )
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def prune(self, before: float | None, most_bytes: int) -> bool:
        """Let some of what is older (Unix seconds), or too much, go. Whether there is more of
        it."""
        run = self._connection.execute
        most_bytes = max(_SMALLEST_BYTES, min(most_bytes, self._room_bytes()))
        (oldest, newest) = run("SELECT min(seq), max(seq) FROM events").fetchone()
        if oldest is None:
            return False
        last = oldest - 1
        if self._used_bytes() > most_bytes:
            last = oldest + max(1, min(_PRUNED_AT_ONCE, (newest - oldest) // 20))
        elif before is not None:
            aged = "SELECT seq, at FROM events ORDER BY seq LIMIT ?"
            for seq, at in run(aged, (_PRUNED_AT_ONCE,)):
                if at >= before:
                    break
                last = seq
        if last >= oldest:
            run("DELETE FROM events WHERE seq <= ?", (last,))
            run("DELETE FROM incidents WHERE id <= ? AND ended_at IS NOT NULL", (last,))
        elif self._file_bytes() > most_bytes:
            # execute() would take but one step, which is a page.
            self._connection.executescript("PRAGMA incremental_vacuum(256)")
            run("PRAGMA wal_checkpoint").fetchall()
        return bool(last >= oldest)

    def _room_bytes(self) -> int:
        """So large may the file be without filling up the disk, on which others have to write."""
        system = os.statvfs(self._path.parent)
        reserve = min(64 * MIB, system.f_blocks * system.f_frsize // 20)
        free = system.f_bavail * system.f_frsize
        return self._file_bytes() + free - reserve - _WAL_BYTES // 4

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    def _file_bytes(self) -> int:
        return self._pragma("page_count") * self._pragma("page_size")

    def _used_bytes(self) -> int:
        pages = self._pragma("page_count") - self._pragma("freelist_count")
        return pages * self._pragma("page_size")

    def check(self) -> None:
        """Read all of the file. DamagedError if any of it is damaged."""
        (found,) = self._connection.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise DamagedError(shortened(found, 200))

    def size_bytes(self) -> int:
        """Of the file and its log. OSError."""
        sizes = []
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                sizes.append(os.stat(f"{self._path}{suffix}").st_size)
        return sum(sizes)

    def is_there(self) -> bool:
        """Whether the file is still the one at the path."""
        with suppress(OSError):
            return os.stat(self._path).st_ino == self._inode
        return False

    def close(self) -> None:
        """Idempotent."""
        with suppress(sqlite3.Error):
            self._connection.close()


def _create(path: Path) -> None:
    """A file for root alone, before SQLite makes one for all to read; nothing but a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DamagedError("it is no file")
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def set_aside(path: Path, kept_as: str) -> None:
    """Make room for another file; the last one that was damaged, or is of another format, is kept.
    OSError."""
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.unlink(f"{path}{suffix}")
    with suppress(FileNotFoundError):
        os.replace(path, f"{path}.{kept_as}")


def _row(event: LedgerEvent) -> list[Any]:
    try:
        inputs = json.dumps(event.inputs, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        inputs = "{}"
    return [
        event.seq, event.at, event.elapsed_s, event.run, event.kind, event.text, event.service,
        event.host, event.cause, event.incident, inputs,
    ]  # fmt: skip


def _incident_row(incident: Incident) -> tuple[Any, ...]:
    return (
        incident.id, incident.subject.kind, incident.subject.name, incident.cause,
        incident.began_at, incident.last_at, incident.ended_at, incident.events, incident.effects,
        json.dumps(incident.services), json.dumps(dict(incident.verdicts)),
    )  # fmt: skip


# -- who reads ----------------------------------------------------------------------------------


def find_events(path: Path, query: EventQuery, within_s: float = READ_S) -> list[LedgerEvent]:
    """Those that are wanted, `limit` + 1 of them at most. HistoryBusyError."""
    return [_event(row) for row in _read(path, *statement(query), within_s)]


def statement(query: EventQuery) -> tuple[str, list[Any]]:
    """What is asked of SQLite, by the index that is of most use."""
    where, values = _conditions(query)
    narrow = query.hosts or query.services or query.incident or query.after or query.before
    by_time = (query.since is not None or query.until is not None) and not narrow
    runs = query.kinds == {Kind.START, Kind.STOP}
    index = " INDEXED BY events_at" if by_time and not runs else ""
    order = "DESC" if query.newest else "ASC"
    clauses = f"FROM events{index} {where} ORDER BY seq {order} LIMIT ?"
    return f"SELECT {_COLUMNS} {clauses}", [*values, query.limit + 1]


def find_incidents(path: Path, query: EventQuery) -> list[Incident]:
    """Those that are wanted; as above."""
    parts = _Conditions()
    parts.add("id > ?", query.after)
    parts.add("id < ?", query.before)
    parts.add("(ended_at IS NULL OR ended_at >= ?)", query.since)
    parts.add("began_at <= ?", query.until)
    parts.among("subject", query.hosts)
    if query.services:
        marks = ", ".join("?" * len(query.services))
        parts.texts.append(f"EXISTS (SELECT * FROM json_each(services) WHERE value IN ({marks}))")  # noqa: S608
        parts.values += query.services
    order = "DESC" if query.newest else "ASC"
    clauses = f"FROM incidents {parts.where} ORDER BY id {order} LIMIT ?"
    values = [*parts.values, query.limit + 1]
    sql = f"SELECT {_INCIDENT_COLUMNS} {clauses}"
    return list(_incidents(_read(path, sql, values, READ_S)))


class _Conditions:
    """Of a query, with their values."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.values: list[Any] = []

    def add(self, text: str, value: Any) -> None:
        if value is not None:
            self.texts.append(text)
            self.values.append(value)

    def among(self, column: str, values: frozenset[str]) -> None:
        if values:
            self.texts.append(f"{column} IN ({', '.join('?' * len(values))})")
            self.values += values

    @property
    def where(self) -> str:
        return f"WHERE {' AND '.join(self.texts)}" if self.texts else ""


def _conditions(query: EventQuery) -> tuple[str, list[Any]]:
    parts = _Conditions()
    parts.add("seq > ?", query.after)
    parts.add("seq < ?", query.before)
    parts.add("at >= ?", query.since)
    parts.add("at <= ?", query.until)
    parts.add("incident = ?", query.incident)
    parts.among("service", query.services)
    parts.among("host", query.hosts)
    if query.kinds:
        # As they stand, so that the index of the runs is of use.
        kinds = ", ".join(f"'{kind}'" for kind in sorted(query.kinds))
        parts.texts.append(f"kind IN ({kinds})")
    return parts.where, parts.values


def _read(path: Path, sql: str, values: list[Any], within_s: float) -> Iterator[tuple[Any, ...]]:
    ends_at = time.monotonic() + within_s
    try:
        with closing(
            sqlite3.connect(f"{path.as_uri()}?mode=ro&{_ALONE}", timeout=_BUSY_S, uri=True)
        ) as file:
            file.text_factory = _text
            file.set_progress_handler(lambda: time.monotonic() > ends_at, _OPCODES)
            yield from file.execute(sql, values)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            raise HistoryBusyError(
                f"The history takes more than {within_s:g} s to look this up",
                "Ask for less: since=",
            ) from None
        kind = UnreadableError if isinstance(_translated(error), DamagedError) else HistoryBusyError
        raise kind(f"The history cannot be read: {error}", "Its log says more") from None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _event(row: tuple[Any, ...]) -> LedgerEvent:
    """One that cannot be read, damaged or of a later version, stands for itself in the others'
    page."""
    seq, at, elapsed_s, run, kind, text, service, host, cause, incident, inputs = row
    try:
        read = json.loads(inputs)
        if not (isinstance(at, float) and isinstance(elapsed_s, float) and isinstance(read, dict)):
            raise ValueError("it has another shape")
        return LedgerEvent(
            seq, at, elapsed_s, run, Kind(kind), text, service, host, cause, incident, read
        )
    except (ValueError, TypeError, RecursionError):
        when = at if isinstance(at, float) else 0.0
        return LedgerEvent(seq, when, 0.0, 0, Kind.LOST, "What stands here cannot be read")


def _incidents(rows: Iterable[tuple[Any, ...]]) -> Iterator[Incident]:
    """Those that can be read."""
    for row in rows:
        with suppress(ValueError, TypeError, AttributeError, RecursionError):
            yield _incident(row)


def _incident(row: tuple[Any, ...]) -> Incident:
    number, kind, subject, cause, *between, services, verdicts = row
    began_at, last_at, ended_at, events, effects = between
    if kind not in get_args(SubjectKind) or not isinstance(began_at + last_at, float):
        raise ValueError("it has another shape")
    return Incident(
        number, Subject(kind, subject), cause, began_at, last_at, ended_at, events, effects,
        tuple(json.loads(services)), tuple(sorted(json.loads(verdicts).items())),
    )  # fmt: skip
