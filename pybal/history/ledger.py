"""The ledger: takes note of what happens, in the reactor's thread; keeps it in memory and has it
written; answers what has happened."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn, Protocol, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pybal.history.event import Inputs, Kind, LedgerEvent
from pybal.history.incidents import REMEMBERED, Concern, Incident, Incidents, Subject
from pybal.history.query import EventPage, EventQuery, HistoryBusyError, page
from pybal.history.ring import Ring
from pybal.history.snapshot import DiskSnapshot, HistorySnapshot
from pybal.runtime.clock import Clock, DelayedCall, cancel
from pybal.runtime.naming import counted
from pybal.runtime.time_slices import TimeSlices
from pybal.runtime.turn_clock import lately

FLUSH_S = 0.1
"""So long events wait for others, to be written together."""
MAX_FRESH = 2000
"""... unless there are so many."""
TOLD_AFTER_S = 2.0
"""An incident that hits several services is one line of the log, once it has hit them."""
INCIDENTS_AT_ONCE = 100
"""A bad minute changes hundreds again and again; what they have become is enough."""
CLOCK_JUMP_S = 2.0
ASKED_S = 5.0
"""A disk that has not said by then what it holds may never do."""
_SCANNED_AT_ONCE = 500
_TOLD_AT_ONCE = 500

T = TypeVar("T")

Subscriber = Callable[[LedgerEvent], None]


class Disk(Protocol):
    """Keeps events in a file; never makes anybody wait."""

    def write(self, events: Sequence[LedgerEvent], incidents: Sequence[Incident]) -> None:
        """Have these written, soon."""

    def find(self, query: EventQuery) -> Deferred[list[LedgerEvent]]:
        """What is there, up to `limit` + 1. Fails with HistoryBusyError."""
        ...

    def find_incidents(self, query: EventQuery) -> Deferred[list[Incident]]:
        """What is there, as above; of a query, times and numbers count."""
        ...

    def clock_was_set(self) -> None:
        """How old events are is uncertain for a while."""

    @property
    def newest(self) -> tuple[int, int]:
        """The newest event and run that were there when it was opened."""
        ...

    @property
    def lost_total(self) -> int:
        """How many events could not be written so far."""
        ...

    @property
    def complete_up_to(self) -> int:
        """Of this run's events, all up to this number are there."""
        ...

    def snapshot(self) -> DiskSnapshot:
        """How it fares."""
        ...


class Note(NamedTuple):
    """What is known of an event before it has a number."""

    kind: Kind
    text: str
    service: str | None = None
    host: str | None = None
    cause: int | None = None
    inputs: Inputs | None = None
    concern: Concern | None = None


Moment = tuple[float, float]
"""By the clock and in Unix seconds."""


class Ledger:
    """`clock` does not jump, `now()` is Unix seconds. Without a disk only the newest are there.
    What is looked for in memory is looked for in `time_slices`."""

    def __init__(
        self, clock: Clock, now: Callable[[], float], time_slices: TimeSlices, log: Logger
    ) -> None:
        self._clock = clock
        self._lately = lately(clock)
        self._time_slices = time_slices
        self.now = now
        self._log = log
        self._began_s = clock.seconds()
        self._offset_s = now() - self._began_s
        self._latest_s = self._began_s
        self._ring = Ring()
        self._incidents = Incidents()
        self._incident_of: dict[int, int] = {}
        """By the numbers of the events that are in memory."""
        self._belonging: deque[int] = deque()
        self._seq = 0
        self._run = 1
        self._disk: Disk | None = None
        self._lost = 0
        self._fresh: list[LedgerEvent] = []
        self._flushing: DelayedCall | None = None
        self._subscribers: dict[int, Subscriber] = {}
        self._to_tell: deque[tuple[float, int]] = deque()
        """When by the clock, and of which incident."""
        self._telling: DelayedCall | None = None
        self.events_total = 0
        self._stopped = False

    def begin(self, seq: int, run: int) -> None:
        """Number events and runs from the ones after these on: those before are on the disk."""
        self._seq = max(self._seq, seq)
        self._run = max(self._run, run + 1)

    def keep_on(self, disk: Disk | None) -> None:
        """Have events written there from now on."""
        self.flush()
        self._disk, self._lost = disk, 0

    # -- what happens -----------------------------------------------------------------------

    def moment(self) -> Moment:
        """This one."""
        return self._lately(), self.now()

    def note(self, note: Note, moment: Moment | None = None) -> int:
        """It has happened now, or at a moment not long ago. Gives its number, the cause of what
        follows from it."""
        now_s, at = moment or self.moment()
        # What comes late may be of before the clock was set.
        if now_s >= self._latest_s:
            self._latest_s = now_s
            if abs(at - now_s - self._offset_s) > CLOCK_JUMP_S:
                self._clock_was_set(at, now_s)
        return self._add(note, at, now_s)

    def _add(self, note: Note, at: float, now_s: float) -> int:
        seq = self._seq = self._seq + 1
        caused_by = None if note.cause is None else self._incident_of.get(note.cause)
        incident = self._incidents.incident_of(seq, note.concern, caused_by, now_s)
        event = LedgerEvent(
            seq=seq,
            at=at,
            elapsed_s=now_s - self._began_s,
            run=self._run,
            kind=note.kind,
            text=note.text,
            service=note.service,
            host=note.host,
            cause=note.cause,
            incident=incident,
            inputs=note.inputs or {},
        )
        self.events_total += 1
        self._ring.add(event)
        if incident is not None:
            self._belongs(seq, incident)
            self._incidents.add(event, note.concern, now_s)
            if incident == seq and not self._stopped:
                self._to_tell.append((self._lately() + TOLD_AFTER_S, seq))
                # One for all: of the timers of thousands all would be due in the same turn.
                if self._telling is None:
                    self._telling = self._clock.callLater(TOLD_AFTER_S, self._tell)
        if self._disk is not None:
            self._fresh.append(event)
            if len(self._fresh) >= MAX_FRESH:
                self.flush()
            else:
                self._flush_soon()
        for subscriber in tuple(self._subscribers.values()):
            subscriber(event)
        return seq

    def _belongs(self, seq: int, incident: int) -> None:
        self._incident_of[seq] = incident
        self._belonging.append(seq)
        if len(self._belonging) > 2 * len(self._ring) + 1000:
            del self._incident_of[self._belonging.popleft()]

    def gone(self, subject: Subject, part: str) -> None:
        """See Incidents."""
        self._incidents.gone(subject, part, self.now())
        if self._disk is not None and self._incidents.have_changed:
            self._flush_soon()

    def _clock_was_set(self, at: float, now_s: float) -> None:
        by_s, self._offset_s = at - now_s - self._offset_s, at - now_s
        way = "forward" if by_s > 0 else "back"
        text = f"The wall clock was set {way} by {abs(by_s):.1f} s"
        self._add(Note(Kind.CLOCK, text, inputs={"by_s": by_s}), at, now_s)
        if self._disk is not None:
            self._disk.clock_was_set()

    def _tell(self) -> None:
        now_s, waiting = self._lately(), self._to_tell
        for _ in range(_TOLD_AT_ONCE):
            if not waiting or waiting[0][0] > now_s:
                break
            _, number = waiting.popleft()
            incident = self._incidents.get(number)
            if incident is not None and len(incident.services) > 1:
                self._log.warn("Incident {number}: {text}", number=number, text=incident.text)
        self._telling = None
        if waiting:
            self._telling = self._clock.callLater(max(0.0, waiting[0][0] - now_s), self._tell)

    # -- the disk ---------------------------------------------------------------------------

    def flush(self) -> None:
        """Have all that is noted written."""
        cancel(self._flushing)
        self._flushing = None
        incidents = self._incidents
        if self._disk is not None and (self._fresh or incidents.have_changed):
            most = REMEMBERED if self._stopped else INCIDENTS_AT_ONCE
            self._disk.write(self._fresh, incidents.take_changed(most))
            self.begin(self._disk.newest[0], 0)  # If it was opened late.
        self._fresh = []
        self._tell_of_loss()
        if self._disk is not None and incidents.have_changed:
            self._flush_soon()

    def _flush_soon(self) -> None:
        if self._flushing is None and not self._stopped:
            self._flushing = self._clock.callLater(FLUSH_S, self.flush)

    def _tell_of_loss(self) -> None:
        """Whoever reads the history later is to know that it has a hole; once events get through
        again."""
        lost = 0 if self._disk is None else self._disk.lost_total
        if self._disk is None or lost <= self._lost or self._disk.snapshot().waiting > MAX_FRESH:
            return
        count, self._lost = lost - self._lost, lost
        text = f"{counted(count, 'event')} before this one could not be written"
        if not self._stopped:
            self.note(Note(Kind.LOST, text, inputs={"lost": count}))

    def stop(self) -> None:
        """Nothing is noted any more. Idempotent."""
        self._stopped = True
        self.flush()
        cancel(self._telling)
        self._telling = None
        self._subscribers.clear()

    # -- what has happened ------------------------------------------------------------------

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Have it told each event from now on, until what this returns is called."""
        number = max(self._subscribers, default=0) + 1
        self._subscribers[number] = subscriber

        def unsubscribe() -> None:
            self._subscribers.pop(number, None)

        return unsubscribe

    def snapshot(self) -> HistorySnapshot:
        """How the history fares."""
        disk = None if self._disk is None else self._disk.snapshot()
        return HistorySnapshot(self.events_total, len(self._ring), disk)

    @property
    def newest(self) -> int:
        """The number of the newest event; 0 if there is none."""
        return self._seq

    async def find(self, query: EventQuery) -> EventPage:
        """A page of events. HistoryBusyError."""
        disk = self._disk
        if disk is None or self._ring.holds_all_of(query):
            return page(query, await self._remembered(query))
        if query.newest:
            remembered = await self._remembered(query)
            # Those before the file was opened have lower numbers than what it held by then.
            if len(remembered) > query.limit and remembered[-1].seq > disk.newest[0]:
                return page(query, remembered)  # The disk has but older ones, and may hang.
        # What was noted lately, or could not be written, is in memory alone.
        fresh = await self._remembered(query, disk.complete_up_to)
        kept = await self._soon(disk.find(query))
        return page(query, kept, fresh)

    def _soon(self, asked: Deferred[T]) -> Deferred[T]:
        """What the disk answers, or HistoryBusyError. Its thread goes on, and is not told: of those
        who ask it, it counts the ones that hang."""
        answer: Deferred[T] = Deferred()
        asked.chainDeferred(answer)
        return answer.addTimeout(ASKED_S, cast(Any, self._clock), _not_answered)

    async def _remembered(self, query: EventQuery, above: int = 0) -> list[LedgerEvent]:
        """Those in memory that are wanted, `limit` + 1 of them at most."""
        found: list[LedgerEvent] = []
        for number, event in enumerate(self._ring.candidates(query, above), 1):
            if query.matches(event):
                found.append(event)
                if len(found) > query.limit:
                    break
            if number % _SCANNED_AT_ONCE == 0:
                await self._time_slices.pause()
        return found

    async def find_incidents(self, query: EventQuery) -> tuple[tuple[Incident, ...], bool]:
        """A page of incidents, and whether there are more. HistoryBusyError."""
        kept = [] if self._disk is None else await self._soon(self._disk.find_incidents(query))
        found = {each.id: each for each in kept}
        found |= {each.id: each for each in self._incidents.all() if wanted(query, each)}
        ordered = [found[number] for number in sorted(found)]
        more = len(ordered) > query.limit
        cut = ordered[-query.limit :] if query.newest else ordered[: query.limit]
        return tuple(cut), more


def _not_answered(_: object, after_s: float) -> NoReturn:
    raise HistoryBusyError(f"The history's disk has not answered for {after_s:g} s")


def wanted(query: EventQuery, incident: Incident) -> bool:
    """Whether an incident is one of those: it went on at some time between `since` and `until`."""
    ended_at = incident.last_at if incident.ended_at is None else incident.ended_at
    return (
        (query.after is None or incident.id > query.after)
        and (query.before is None or incident.id < query.before)
        and (query.since is None or incident.ended_at is None or ended_at >= query.since)
        and (query.until is None or incident.began_at <= query.until)
        and (not query.services or not query.services.isdisjoint(incident.services))
        and (not query.hosts or incident.subject.name in query.hosts)
    )
