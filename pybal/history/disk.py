"""Keeps the history on the disk, in a thread of its own. Nobody waits for it.

Events wait in a queue that is bounded. What cannot be written for now waits there; what does not
fit is lost, and counted. Whatever happens to the file costs events, never anything else."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.logger import Logger

from pybal.errors import said_by
from pybal.history.database import (
    DamagedError,
    Database,
    UnreadableError,
    UnusableError,
    find_events,
    find_incidents,
    set_aside,
    translating,
)
from pybal.history.event import LedgerEvent
from pybal.history.incidents import Incident
from pybal.history.query import EventQuery, HistoryBusyError
from pybal.history.settings import HistorySettings
from pybal.history.snapshot import DiskSnapshot
from pybal.runtime.backoff import doubling_s
from pybal.runtime.threads import InThread, NoThreadError, OwnThread
from pybal.state.state_writing import HANGS, HANGS_S

FILE_NAME = "history.sqlite"
MAX_WAITING = 20_000
"""Some 15 MB of events."""
BATCH = 200
"""So that the interpreter is not taken from the reactor for more than a millisecond or two."""
CLOSE_S = 2.0
"""So long is waited for what is still to be written, unless somebody waits for the end."""
MAX_QUERIES = 2
MAX_QUERIES_WAITING = 30
_SURE_OF_TIME_AFTER_S = 60.0
_SURE_AGAIN_AFTER_S = 3600.0
"""After the clock was set: a wrong one must not let all go as too old."""
_CHECKED = "it may be damaged, and is read as a whole"

_QUEUE_FULL, _NOT_WRITABLE, _TOO_EARLY = "queue full", "not writable", "before the file was open"
_CAUSES = (_QUEUE_FULL, _NOT_WRITABLE, _TOO_EARLY)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DiskPace:
    """How long what may take, and how much of a core writing may."""

    open_s: float = 1.0
    """At the start so long is waited for the number of the last event."""
    retry_first_s: float = 1.0
    retry_max_s: float = 30.0
    prune_every_s: float = 10.0
    share: float = 0.25
    """Of a core: the rest is left to others, whatever happens."""
    hangs_s: float = HANGS_S


class DiskHistory:
    """The Disk of a ledger. `now()` is Unix seconds and may be asked in any thread; `in_thread`
    runs queries, `own_thread` what writes."""

    def __init__(
        self,
        directory: Path,
        settings: HistorySettings,
        now: Callable[[], float],
        in_thread: InThread,
        log: Logger,
        open_database: Callable[[Path], Database] = Database,
        pace: DiskPace = DiskPace(),
    ) -> None:
        self._open_database = open_database
        self._pace = pace
        self._path = directory / FILE_NAME
        self._settings = settings
        self._now = now
        self._in_thread = in_thread
        self._log = log
        self._queries = DeferredSemaphore(MAX_QUERIES)
        self._asking = 0
        self._told_error = ""
        # What both threads touch is guarded by this.
        self._changed = threading.Condition()
        self._waiting: deque[LedgerEvent] = deque()
        self._incidents: dict[int, Incident] = {}
        self._closing = False
        self._running = False
        self._opened = threading.Event()
        self._tried = threading.Event()
        self._ended = threading.Event()
        self._doubted = False
        self._newest = (0, 0)
        self._complete_up_to = 0
        self._lost = Counter(dict.fromkeys(_CAUSES, 0))
        self._errors_total = 0
        self._failures = 0
        self._error = ""
        self._busy_since_s: float | None = None
        """While the thread is at the file."""
        self._checks = False
        """Whether it reads all of the file, which may take long on the best of disks."""
        self._size_bytes = 0
        self._written_total = 0
        self._sure_of_time_at_s = time.monotonic() + _SURE_OF_TIME_AFTER_S

    # -- in the reactor's thread --------------------------------------------------------------

    def begin(self, own_thread: OwnThread) -> None:
        """Begin to open the file and to write, and wait for nothing. Raises NoThreadError."""
        own_thread(self._run)

    def wait(self) -> None:
        """Until the file has been opened, or cannot be, or that takes too long. For any thread."""
        self._tried.wait(self._pace.open_s)

    @property
    def newest(self) -> tuple[int, int]:
        """The newest event and run that were on the disk when it was opened."""
        return self._newest

    @property
    def lost_total(self) -> int:
        """How many events could not be written so far."""
        return self._lost.total()

    @property
    def complete_up_to(self) -> int:
        """Of this run's events, all up to this number are there."""
        return self._complete_up_to

    def reconfigure(self, settings: HistorySettings) -> None:
        """Keep more, or less, from now on."""
        self._settings = settings

    def write(self, events: Sequence[LedgerEvent], incidents: Sequence[Incident]) -> None:
        """Have these written, soon."""
        with self._changed:
            room = max(0, MAX_WAITING - len(self._waiting))
            self._waiting.extend(events[:room])
            if len(events) > room:
                self._lost[_QUEUE_FULL] += len(events) - room
            for incident in incidents:
                self._incidents[incident.id] = incident
            self._changed.notify_all()
        self._tell_news()

    def clock_was_set(self) -> None:
        """How old events are is uncertain for a while."""
        self._sure_of_time_at_s = time.monotonic() + _SURE_AGAIN_AFTER_S

    def find(self, query: EventQuery) -> Deferred[list[LedgerEvent]]:
        """What is there, up to `limit` + 1. Fails with HistoryBusyError."""
        return self._ask(lambda: find_events(self._path, query))

    def find_incidents(self, query: EventQuery) -> Deferred[list[Incident]]:
        """What is there, as above."""
        return self._ask(lambda: find_incidents(self._path, query))

    def _ask(self, reading: Callable[[], list[T]]) -> Deferred[list[T]]:
        return Deferred.fromCoroutine(self._asked(reading))

    async def _asked(self, reading: Callable[[], list[T]]) -> list[T]:
        if self._asking >= MAX_QUERIES_WAITING:
            raise HistoryBusyError("Too many ask the history")
        if not self._opened.is_set():
            return []
        self._asking += 1
        try:
            found: list[T] = await self._queries.run(self._in_thread, reading)
        except UnreadableError:
            self._doubted = True
            raise
        except NoThreadError as error:
            raise HistoryBusyError(f"The history cannot be asked: {error}") from None
        finally:
            self._asking -= 1
        return found

    def snapshot(self) -> DiskSnapshot:
        """How it fares."""
        with self._changed:
            return DiskSnapshot(
                path=str(self._path),
                size_bytes=self._size_bytes,
                waiting=len(self._waiting),
                written_total=self._written_total,
                lost=tuple(sorted(self._lost.items())),
                errors_total=self._errors_total,
                last_error=self._why_unwritten(),
            )

    def _why_unwritten(self) -> str:
        since_s = self._busy_since_s
        hangs = since_s is not None and time.monotonic() - since_s >= self._pace.hangs_s
        if hangs:
            return _CHECKED if self._checks else HANGS
        return self._error

    def no_more(self) -> None:
        """What waits is the last to be written: then it ends by itself. Idempotent."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def close(self, within_s: float = CLOSE_S) -> None:
        """Write what waits, as far as that time allows, and end. Blocks; idempotent."""
        self.no_more()
        if self._running:
            self._ended.wait(within_s)

    def _tell_news(self) -> None:
        error = self._why_unwritten()
        if error == self._told_error:
            return
        self._told_error = error
        if error:
            text = "The history cannot be written to {path}, events may be lost: {error}"
            self._log.warn(text, path=str(self._path), error=error)
        else:
            self._log.info("The history is written again")

    # -- in a thread of its own ---------------------------------------------------------------

    def _run(self) -> None:
        database: Database | None = None
        self._running = True
        try:
            while not self._closing or (self._waiting and not self._failures):
                try:
                    if database is None:
                        database = self._open()
                    self._write_and_prune(database)
                except Exception as error:  # noqa: BLE001
                    # The boundary: whatever is wrong with the file costs events alone.
                    database = self._failed(error, database)
                    self._failures += 1
                    pace = self._pace
                    wait_s = (self._failures - 1, pace.retry_first_s, pace.retry_max_s)
                    self._pause(doubling_s(*wait_s))
        finally:
            if database is not None:
                database.close()
            self._running, self._busy_since_s = False, None
            self._ended.set()

    def _open(self) -> Database:
        self._busy_since_s = time.monotonic()
        with translating():
            database = self._open_database(self._path)
            self._newest = database.newest()
            self._size_bytes = database.size_bytes()
        self._opened.set()
        self._tried.set()
        return database

    def _failed(self, error: Exception, database: Database | None) -> Database | None:
        """The database to go on with; None: it is to be opened anew."""
        self._tried.set()
        self._busy_since_s = None
        self._errors_total += 1
        self._error = said_by(error)
        if isinstance(error, UnusableError):
            return database
        if database is not None:
            database.close()
        with suppress(OSError):
            set_aside(self._path, error.kept_as if isinstance(error, DamagedError) else "damaged")
        return None

    def _pause(self, for_s: float) -> None:
        ends_at = time.monotonic() + for_s
        with self._changed:
            while not self._closing and (left := ends_at - time.monotonic()) > 0:
                self._changed.wait(left)

    def _take(self) -> tuple[list[LedgerEvent], list[Incident]]:
        """The next batch, once there is one, or it is time for something else."""
        with self._changed:
            if not self._waiting and not self._closing:
                self._changed.wait(self._pace.prune_every_s)
            events = [self._waiting[at] for at in range(min(BATCH, len(self._waiting)))]
            incidents, self._incidents = list(self._incidents.values()), {}
            return events, incidents

    def _write_and_prune(self, database: Database) -> None:
        prunes_at_s, errors = time.monotonic(), self._errors_total
        while not self._closing or self._waiting:
            self._busy_since_s = None
            events, incidents = self._take()
            self._busy_since_s = begun_s = time.monotonic()
            busy_s = time.thread_time()
            if events or incidents:
                self._append(database, events, incidents)
            if begun_s >= prunes_at_s:
                if not database.is_there():
                    raise DamagedError("somebody has removed the file")
                if self._doubted:
                    self._check(database)
                more = self._prune(database)
                prunes_at_s = begun_s if more else begun_s + self._pace.prune_every_s
                known, errors = errors, self._errors_total
                if self._error and known == errors:
                    # Nothing has failed for a while, and nothing may happen for hours.
                    self._is_written_again()
            if not self._closing:
                busy_s = time.thread_time() - busy_s
                time.sleep(min(0.5, busy_s * (1 / self._pace.share - 1)))

    def _check(self, database: Database) -> None:
        self._doubted, self._checks = False, True
        try:
            with translating():
                database.check()
        finally:
            self._checks = False

    def _append(
        self, database: Database, events: list[LedgerEvent], incidents: list[Incident]
    ) -> None:
        stale = sum(event.seq <= self._newest[0] for event in events)
        try:
            with translating():
                database.append(events[stale:], incidents)
        except (DamagedError, UnusableError):
            with self._changed:
                self._incidents = {each.id: each for each in incidents} | self._incidents
            raise
        except Exception as error:  # noqa: BLE001
            # The fault is in these events: others may be better.
            self._errors_total += 1
            self._error = said_by(error)
            self._gone(len(events), _NOT_WRITABLE)
            return
        if self._failures:  # Else some events were at fault, and others like them may come.
            self._is_written_again()
        with self._changed:
            self._written_total += len(events) - stale
            if events and not self._lost.total():
                self._complete_up_to = events[-1].seq
        self._gone(len(events), "", stale)

    def _is_written_again(self) -> None:
        self._error, self._failures = "", 0

    def _gone(self, count: int, lost: str, stale: int = 0) -> None:
        """So many are no longer to be written."""
        with self._changed:
            for _ in range(count):
                self._waiting.popleft()
            if lost:
                self._lost[lost] += count
            if stale:
                self._lost[_TOO_EARLY] += stale

    def _prune(self, database: Database) -> bool:
        """Whether there is more to do."""
        settings = self._settings
        sure = time.monotonic() >= self._sure_of_time_at_s
        before = self._now() - settings.retention_s if sure else None
        with translating():
            more = database.prune(before, settings.size_bytes)
            self._size_bytes = database.size_bytes()
        return more
