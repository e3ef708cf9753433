"""What belongs together: one host's death that hits 44 services is one incident. Pure.

An incident has a *subject*: a host, a BGP peer, this director's network, a change of a pool list.
What says of that subject that something is wrong begins it, or joins the one that is open; an event
whose cause belongs to an incident belongs to it, too. A host's incident ends when nothing says any
more that it is down; one that begins again within a minute goes on, so that a host that flaps is
one story."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from pybal.history.event import Kind, LedgerEvent

SubjectKind = Literal["host", "peer", "isolation", "list"]

REMEMBERED = 1000
"""Incidents in memory."""
JOINS_AGAIN_S = 60.0
"""An incident that has ended goes on if its subject fails again within this time."""
LASTS_S = 10.0
"""What has no end of its own, a change of a list, is over so long after its last event."""
MAX_EFFECTS = 20_000


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom or what an incident is about."""

    kind: SubjectKind
    name: str


@dataclass(frozen=True, slots=True)
class Concern:
    """What an event says of a subject: `begins`: something is wrong with it; if not, `ends`: that
    is over. `part` is what says so, a monitor of a service say: an incident ends with the last part
    that found something wrong."""

    subject: Subject
    part: str = ""
    begins: bool = True


@dataclass(frozen=True, slots=True)
class Incident:
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
        where = f" in {_count(len(self.services), 'service')}" if self.services else ""
        became = ", ".join(
            f"{count} {verdict.replace('_', ' ')}" for verdict, count in self.verdicts
        )
        return f"{_TITLES[self.subject.kind].format(self.subject.name)}{where}" + (
            f" ({became}): {self.cause}" if became else f": {self.cause}"
        )


_TITLES: dict[SubjectKind, str] = {
    "host": "{} failed",
    "peer": "The BGP session with {} failed",
    "isolation": "This director was cut off",
    "list": "The pool list changed",
}


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


@dataclass(slots=True)
class _Open:
    """An incident as it grows."""

    incident: Incident
    last_s: float
    parts: set[str] = field(default_factory=set)
    effects: dict[tuple[str | None, str | None], str] = field(default_factory=dict)
    services: dict[str, None] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        return self.incident.ended_at is not None

    def value(self) -> Incident:
        counts: dict[str, int] = {}
        for verdict in self.effects.values():
            counts[verdict] = counts.get(verdict, 0) + 1
        return replace(
            self.incident,
            effects=len(self.effects),
            services=tuple(self.services),
            verdicts=tuple(sorted(counts.items())),
        )


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
            return latest.incident.id if latest is not None and goes_on else seq
        known = latest is not None and goes_on and concern.part in latest.parts
        return latest.incident.id if latest is not None and known else None

    def _goes_on(self, one: _Open, now_s: float) -> bool:
        if one.incident.subject.kind == "list":
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
            one = self._begin(event, concern.subject, now_s)
        self._changed.add(one.incident.id)
        ended_at = one.incident.ended_at
        if concern is not None:
            one.last_s = now_s
            if concern.begins:
                one.parts.add(concern.part)
                ended_at = None
            else:
                one.parts.discard(concern.part)
            if not one.parts or concern.subject.kind == "list":
                ended_at = event.at
        if event.service is not None:
            one.services.setdefault(event.service)
        if event.kind is Kind.DECISION and len(one.effects) < MAX_EFFECTS:
            one.effects[event.service, event.host] = str(event.inputs.get("verdict"))
        one.incident = replace(
            one.incident, events=one.incident.events + 1, last_at=event.at, ended_at=ended_at
        )
        self._note_over(one)

    def _note_over(self, one: _Open) -> None:
        if one.over:
            self._over.add(one.incident.id)
        else:
            self._over.discard(one.incident.id)

    def _begin(self, event: LedgerEvent, subject: Subject, now_s: float) -> _Open:
        incident = Incident(event.seq, subject, event.text, event.at, event.at)
        one = self._by_id[event.seq] = _Open(incident, now_s)
        self._latest[subject] = event.seq
        if len(self._by_id) > REMEMBERED:
            self._forget()
        return one

    def _forget(self) -> None:
        """The oldest one; one that goes on only if all do."""
        number = min(self._over, default=next(iter(self._by_id)))
        self._over.discard(number)
        subject = self._by_id.pop(number).incident.subject
        self._changed.discard(number)
        if self._latest.get(subject) == number:
            del self._latest[subject]

    def gone(self, subject: Subject, part: str, at: float) -> None:
        """What had found something wrong is no more: a server has left a service."""
        one = self._by_id.get(self._latest.get(subject, -1))
        if one is not None and part in one.parts:
            one.parts.discard(part)
            if not one.parts:
                one.incident = replace(one.incident, ended_at=at)
                self._note_over(one)
                self._changed.add(one.incident.id)

    def get(self, number: int) -> Incident | None:
        """One of those in memory."""
        one = self._by_id.get(number)
        return None if one is None else one.value()

    def all(self) -> Iterable[Incident]:
        """Those in memory, in their order."""
        return (one.value() for one in self._by_id.values())

    def take_changed(self) -> tuple[Incident, ...]:
        """Those that have changed since the last call, for the disk."""
        changed, self._changed = self._changed, set()
        return tuple(self._by_id[each].value() for each in sorted(changed))
