"""A history on a disk, and runs of it one after another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from pybal.history.disk import DiskHistory, DiskPace
from pybal.history.event import Kind, LedgerEvent
from pybal.history.ledger import Ledger, Note
from pybal.history.query import EventPage, EventQuery
from pybal.history.settings import HistorySettings
from pybal.runtime.time_slices import TimeSlices
from tests.fakes.deferreds import at_once, result_of
from tests.instrumentation.exchange import LogLines

NOON = 1_700_000_000.0
QUICK = DiskPace(retry_first_s=0.01, prune_every_s=0.01, share=1.0)


def event(seq: int, text: str = "", at: float | None = None, **fields: Any) -> LedgerEvent:
    moment = NOON + seq if at is None else at
    return LedgerEvent(seq, moment, float(seq), 1, fields.pop("kind", Kind.REPORT), text, **fields)


def until(wanted: Callable[[], bool]) -> None:
    """Threads take their time."""
    ends_at = time.monotonic() + 30
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
            self.log.logger(), pace=QUICK,
        )  # fmt: skip
        self.ledger.begin(*opened(self.disk))
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


def opened(disk: DiskHistory) -> tuple[int, int]:
    """Begun in a thread, and waited for: the newest event and run that were on the disk."""
    disk.begin(in_a_thread)
    disk.wait()
    return disk.newest


def in_a_thread(run: Callable[[], None]) -> None:
    threading.Thread(target=run, daemon=True).start()
