"""Which events are wanted, and a page of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pybal.errors import RefusedError
from pybal.history.event import Kind, LedgerEvent

MAX_LIMIT = 1000
DEFAULT_LIMIT = 100


class HistoryBusyError(RefusedError):
    """The history cannot be asked now: too many do, or it takes too long."""

    def __init__(self, text: str, remedy: str = "Ask again later") -> None:
        super().__init__(text, remedy)


class EventQuery(NamedTuple):
    """What is not given does not matter. Events of `seq` above `after` and below `before`, `since`
    and `until` these moments (Unix seconds), of any of these services, hosts and kinds; no more
    than `limit`: the oldest of them, or the `newest`."""

    after: int | None = None
    before: int | None = None
    since: float | None = None
    until: float | None = None
    services: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    kinds: frozenset[Kind] = frozenset()
    incident: int | None = None
    newest: bool = False
    limit: int = DEFAULT_LIMIT

    def matches(self, event: LedgerEvent) -> bool:
        """Whether it is one of those."""
        return (
            (self.after is None or event.seq > self.after)
            and (self.before is None or event.seq < self.before)
            and (self.since is None or event.at >= self.since)
            and (self.until is None or event.at <= self.until)
            and (not self.services or event.service in self.services)
            and (not self.hosts or event.host in self.hosts)
            and (not self.kinds or event.kind in self.kinds)
            and (self.incident is None or event.incident == self.incident)
        )


class EventPage(NamedTuple):
    """Events, in their order; whether there are `more` on the side where they were cut."""

    events: tuple[LedgerEvent, ...]
    more: bool = False


def page(query: EventQuery, *sources: Iterable[LedgerEvent]) -> EventPage:
    """What is wanted out of these, of which each holds all that it knows up to `limit` + 1."""
    found = {event.seq: event for source in sources for event in source}
    ordered = sorted(found)
    more = len(ordered) > query.limit
    if more:
        ordered = ordered[-query.limit :] if query.newest else ordered[: query.limit]
    return EventPage(tuple(found[seq] for seq in ordered), more)
