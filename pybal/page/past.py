"""What the time line shows of the history: read once, then only what is new."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pybal.history.event import Kind, LedgerEvent
from pybal.history.incidents import Incident
from pybal.history.port import History
from pybal.history.query import EventQuery, HistoryBusyError

HOURS = 6
INCIDENTS_SHOWN = 30
_EVENTS_READ = 300
_EVENTS_KEPT = 150
_AGAIN_S = 30.0
"""An incident ends, too, when nothing happens."""

GENERAL = frozenset(
    {
        Kind.START,
        Kind.STOP,
        Kind.RELOAD,
        Kind.OPERATOR,
        Kind.OVERRIDE,
        Kind.HELD,
        Kind.KERNEL,
        Kind.ROUTE,
        Kind.BGP,
        Kind.ISOLATION,
        Kind.RETRACTION,
        Kind.CLOCK,
        Kind.LOST,
    }
)
"""Of the whole director; what happens to single servers is in the incidents."""
OF_SERVICE = frozenset(Kind) - {Kind.REPORT, Kind.START, Kind.STOP}


class Past(NamedTuple):
    """Events and incidents of the last hours, in their order; `until` is Unix seconds, to the
    minute."""

    events: tuple[LedgerEvent, ...]
    incidents: tuple[Incident, ...]
    until: float


class PastReader:
    """Reads what a page shows of the history; of one service, or of all."""

    def __init__(self, history: Callable[[], History], service: str | None) -> None:
        self._history = history
        services = frozenset(() if service is None else (service,))
        kinds = GENERAL if service is None else OF_SERVICE
        self._query = EventQuery(services=services, kinds=kinds, newest=True, limit=_EVENTS_READ)
        self._seen: int | None = None
        self._read_at: float | None = None
        self._events: tuple[LedgerEvent, ...] = ()
        self._incidents: tuple[Incident, ...] = ()

    async def read(self) -> Past:
        """As it stands. A history that has no time leaves it as it was."""
        history = self._history()
        now, newest = history.now(), history.newest
        old = self._read_at is None or not 0 <= now - self._read_at < _AGAIN_S
        if newest != self._seen or old:
            try:
                await self._read_on(history, now, newest)
            except HistoryBusyError:
                self._read_at = now
        since = now - HOURS * 3600
        events = tuple(each for each in self._events if each.at >= since)
        return Past(events, self._incidents, now - now % 60)

    async def _read_on(self, history: History, now: float, newest: int) -> None:
        since = now - HOURS * 3600
        found = await history.find(self._query._replace(after=self._seen, since=since))
        wanted = EventQuery(
            since=since, services=self._query.services, newest=True, limit=INCIDENTS_SHOWN
        )
        incidents, _ = await history.find_incidents(wanted)
        told = (each for each in found.events if not _is_noise(each))
        self._events = (*self._events, *told)[-_EVENTS_KEPT:]
        self._incidents = incidents
        self._seen, self._read_at = newest, now


def _is_noise(event: LedgerEvent) -> bool:
    """That the kernel holds what it should follows each change."""
    return event.kind is Kind.KERNEL and event.inputs.get("answer") == "stands"
