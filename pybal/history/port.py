"""The history as those see it who ask it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pybal.history.event import LedgerEvent
from pybal.history.incidents import Incident
from pybal.history.query import EventPage, EventQuery
from pybal.history.snapshot import HistorySnapshot


class History(Protocol):
    """What has happened."""

    async def find(self, query: EventQuery) -> EventPage:
        """A page of events. HistoryBusyError."""
        ...

    async def find_incidents(self, query: EventQuery) -> tuple[tuple[Incident, ...], bool]:
        """A page of incidents, and whether there are more. HistoryBusyError."""
        ...

    def subscribe(self, subscriber: Callable[[LedgerEvent], None]) -> Callable[[], None]:
        """Have it told each event from now on, until what this returns is called."""
        ...

    @property
    def newest(self) -> int:
        """The number of the newest event; 0 if there is none."""
        ...

    def now(self) -> float:
        """The moment, in Unix seconds."""
        ...

    def snapshot(self) -> HistorySnapshot:
        """How it fares."""
        ...
