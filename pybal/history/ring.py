"""The newest events, in memory. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice

from pybal.history.event import LedgerEvent
from pybal.history.query import EventQuery

RING_EVENTS = 20_000
"""Some 15 MB: more than a start of the largest configuration makes within minutes."""


class Ring:
    """The newest `size` events; `seq` rises."""

    def __init__(self, size: int = RING_EVENTS) -> None:
        self._events: deque[LedgerEvent] = deque(maxlen=size)

    def __len__(self) -> int:
        return len(self._events)

    def add(self, event: LedgerEvent) -> None:
        """The newest one; the oldest may go."""
        self._events.append(event)

    def holds_all_of(self, query: EventQuery) -> bool:
        """Whether nothing older than what is here can be wanted."""
        events = self._events
        return bool(events) and query.after is not None and query.after >= events[0].seq - 1

    def candidates(self, query: EventQuery, above: int = 0) -> Sequence[LedgerEvent]:
        """All numbered above that may be wanted, in the order in which they are looked for; of this
        moment."""
        after = above if query.after is None else max(above, query.after)
        found = list(self._from(after))
        if query.newest:
            found.reverse()
        return found

    def _from(self, after: int) -> Iterator[LedgerEvent]:
        """Without going through all that was before."""
        events = self._events
        if not events or after < events[0].seq:
            return iter(events)
        newer = 0
        for event in reversed(events):
            if event.seq <= after:
                break
            newer += 1
        return islice(events, len(events) - newer, None)
