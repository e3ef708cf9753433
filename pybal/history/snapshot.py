"""How the history fares. Pure."""

from __future__ import annotations

from typing import NamedTuple


class DiskSnapshot(NamedTuple):
    """The file: `lost` are (cause, how many events were not written), `waiting` how many are still
    to be written; `last_error` is empty while all goes well."""

    path: str
    size_bytes: int = 0
    waiting: int = 0
    written_total: int = 0
    lost: tuple[tuple[str, int], ...] = ()
    errors_total: int = 0
    last_error: str = ""


class HistorySnapshot(NamedTuple):
    """The ledger: events of this run, those in memory, and the disk, if there is one."""

    events_total: int = 0
    in_memory: int = 0
    disk: DiskSnapshot | None = None
