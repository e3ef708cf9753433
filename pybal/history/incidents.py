"""What belongs together: one host's death that hits 44 services is one incident. Pure.

An incident has a *subject*: a host, a BGP peer, this director's network, a change of a pool list.
What says of that subject that something is wrong begins it, or joins the one that is open; an event
whose cause belongs to an incident belongs to it, too. A host's incident ends when nothing says any
more that it is down; one that begins again within a minute goes on, so that a host that flaps is
one story."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Literal, NamedTuple

from pybal.history.event import Kind, LedgerEvent
from pybal.runtime.naming import counted

SubjectKind = Literal["host", "peer", "isolation", "list"]

REMEMBERED = 1000
"""Incidents in memory."""
JOINS_AGAIN_S = 60.0
"""An incident that has ended goes on if its subject fails again within this time."""
LASTS_S = 10.0
"""What has no end of its own, a change of a list, is over so long after its last event."""
MAX_EFFECTS = 20_000


class Subject(NamedTuple):
    """Whom or what an incident is about."""

    kind: SubjectKind
    name: str


class Concern(NamedTuple):
    """What an event says of a subject: that something is wrong with it (`begins`), or else that
    this is over. `part` is what says so, a monitor of a service say: an incident ends with the last
    part that found something wrong."""

    subject: Subject
    part: str = ""
    begins: bool = True


class Incident(NamedTuple):
    """`id` is the number of its first event, whose words are its `cause`. `effects` counts the
    servers of services whose verdict it has changed, and `verdicts` by what they are now.
    `ended_at` is None while it goes on."""

    id: int
    subject: Subject
    cause: str
    began_at: float
    last_at: float
    ended_at: float | None = None
    events: int = 0
    effects: int = 0
    services: tuple[str, ...] = ()
    verdicts: tuple[tuple[str, int], ...] = ()

    @property
    def text(self) -> str:
        """One sentence for people."""
        where = f" in {counted(len(self.services), 'service')}" if self.services else ""
        became = ", ".join(
            f"{count} {_WORDS.get(verdict) or verdict.replace('_', ' ')}"
            for verdict, count in self.verdicts
        )
        if became and self.subject.kind == "host" and self.ended_at is not None:
            became = f"now {became}"
        return f"{_TITLES[self.subject.kind].format(self.subject.name)}{where}" + (
            f" ({became}): {self.cause}" if became else f": {self.cause}"
        )


_TITLES: dict[SubjectKind, str] = {
    "host": "{} failed",
    "peer": "The BGP session with {} failed",
    "isolation": "This director was cut off",
    "list": "The pool list changed",
}


_WORDS = {"held": "pooled though down"}
"""What is held elsewhere is a pool list."""


class _Open:
    """An incident as it grows. All is counted as it comes: hundreds may change in a second, each
    with thousands of effects."""

    __slots__ = (
        "_begun", "_effects", "_services", "_value", "_verdicts", "ended_at", "events", "last_at",
        "last_s", "parts",
    )  # fmt: skip

    def __init__(self, event: LedgerEvent, subject: Subject) -> None:
        self._begun = event, subject
        self.events = 0
        self.last_s = 0.0
        self.last_at = event.at
        self.ended_at: float | None = None
        self.parts: set[str] = set()
        self._effects: dict[tuple[str | None, str | None], str] = {}
        self._verdicts: dict[str, int] = {}
        self._services: dict[str, None] = {}
        self._value: Incident | None = None

    @property
    def subject(self) -> Subject:
        return self._begun[1]

    @property
    def over(self) -> bool:
        return self.ended_at is not None

    def end(self, at: float) -> None:
        """Nothing is wrong any more."""
        self.ended_at, self._value = at, None

    def add(self, event: LedgerEvent) -> None:
        """One more event of it."""
        self._value = None
        self.events += 1
        self.last_at = event.at
        if event.service is not None:
            self._services.setdefault(event.service)
        if event.kind is Kind.DECISION and len(self._effects) < MAX_EFFECTS:
            self._affects((event.service, event.host), str(event.inputs.get("verdict")))

    def _affects(self, whom: tuple[str | None, str | None], verdict: str) -> None:
        counts, before = self._verdicts, self._effects.get(whom)
        self._effects[whom] = verdict
        counts[verdict] = counts.get(verdict, 0) + 1
        if before is not None:
            counts[before] -= 1
            if not counts[before]:
                del counts[before]

    def value(self) -> Incident:
        """As it stands; the same one until something changes."""
        if self._value is None:
            first, subject = self._begun
            self._value = Incident(
                first.seq,
                subject,
                first.text,
                first.at,
                self.last_at,
                self.ended_at,
                self.events,
                len(self._effects),
                tuple(self._services),
                tuple(sorted(self._verdicts.items())),
            )
        return self._value


class Incidents:
    """All incidents of this run; their times are those of a clock that does not jump."""

    def __init__(self) -> None:
        self._by_id: OrderedDict[int, _Open] = OrderedDict()
        self._over: set[int] = set()
        self._latest: dict[Subject, int] = {}
        self._changed: set[int] = set()

    def incident_of(
        self, seq: int, concern: Concern | None, caused_by: int | None, now_s: float
    ) -> int | None:
        """To which incident the event numbered `seq` belongs; `caused_by`: to which its cause
        does."""
        if concern is None:
            return caused_by if caused_by in self._by_id else None
        latest = self._by_id.get(self._latest.get(concern.subject, -1))
        goes_on = latest is not None and self._goes_on(latest, now_s)
        if concern.begins:
            return self._latest[concern.subject] if goes_on else seq
        known = latest is not None and goes_on and concern.part in latest.parts
        return self._latest[concern.subject] if known else None

    def _goes_on(self, one: _Open, now_s: float) -> bool:
        if one.subject.kind == "list":
            return now_s - one.last_s < LASTS_S
        return not one.over or now_s - one.last_s < JOINS_AGAIN_S

    def add(self, event: LedgerEvent, concern: Concern | None, now_s: float) -> None:
        """An event that has been given its incident."""
        if event.incident is None:
            return
        one = self._by_id.get(event.incident)
        if one is None:
            if concern is None:
                return
            one = self._begin(event, concern.subject)
        self._changed.add(event.incident)
        one.add(event)
        if concern is not None:
            one.last_s = now_s
            if concern.begins:
                one.parts.add(concern.part)
                one.ended_at = None
            else:
                one.parts.discard(concern.part)
            if not one.parts or concern.subject.kind == "list":
                one.end(event.at)
        self._note_over(event.incident, one)

    def _note_over(self, number: int, one: _Open) -> None:
        if one.over:
            self._over.add(number)
        else:
            self._over.discard(number)

    def _begin(self, event: LedgerEvent, subject: Subject) -> _Open:
        one = self._by_id[event.seq] = _Open(event, subject)
        self._latest[subject] = event.seq
        if len(self._by_id) > REMEMBERED:
            self._forget()
        return one

    def _forget(self) -> None:
        """The oldest one; one that goes on only if all do."""
        number = min(self._over, default=next(iter(self._by_id)))
        self._over.discard(number)
        subject = self._by_id.pop(number).subject
        self._changed.discard(number)
        if self._latest.get(subject) == number:
            del self._latest[subject]

    def gone(self, subject: Subject, part: str, at: float) -> None:
        """What had found something wrong is no more: a server has left a service."""
        number = self._latest.get(subject, -1)
        one = self._by_id.get(number)
        if one is not None and part in one.parts:
            one.parts.discard(part)
            if not one.parts:
                one.end(at)
                self._note_over(number, one)
                self._changed.add(number)

    def get(self, number: int) -> Incident | None:
        """One of those in memory."""
        one = self._by_id.get(number)
        return None if one is None else one.value()

    def all(self) -> Iterable[Incident]:
        """Those in memory, in their order."""
        return (one.value() for one in self._by_id.values())

    @property
    def have_changed(self) -> bool:
        """Whether take_changed() has something to give."""
        return bool(self._changed)

    def take_changed(self, most: int) -> tuple[Incident, ...]:
        """The oldest of those that have changed since they were taken last, for the disk."""
        taken = sorted(self._changed)[:most]
        self._changed.difference_update(taken)
        return tuple(self._by_id[each].value() for each in taken)
