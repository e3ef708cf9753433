"""Events and incidents as `/api/v1` shows them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pybal.history.event import LedgerEvent
from pybal.history.incidents import Incident
from pybal.history.query import EventPage, EventQuery
from pybal.history.snapshot import HistorySnapshot
from pybal.instrumentation.instants import instant
from pybal.instrumentation.json_pieces import Each

Document = dict[str, Any]


def event_document(event: LedgerEvent) -> Document:
    """An event; `cause` is the number of the one before it, `elapsed_s` the time since the run
    began, by a clock that does not jump."""
    return {
        "seq": event.seq,
        "at": instant(event.at),
        "run": event.run,
        "elapsed_s": round(event.elapsed_s, 6),
        "kind": event.kind.value,
        "service": event.service,
        "host": event.host,
        "text": event.text,
        "cause": event.cause,
        "incident": event.incident,
        "inputs": event.inputs,
    }


def events_document(query: EventQuery, found: EventPage, newest: int) -> Document:
    """A page of events, made as it is written. `next` and `previous` are the cursors of its
    neighbours (`after`, `before`); `newest` is the number of the newest event that there is."""
    numbers = [event.seq for event in found.events]
    return {
        "events": Each(event_document(event) for event in _in_order(found.events, query)),
        **_cursors(numbers, query, newest, more=found.more),
    }


def incidents_document(
    query: EventQuery, found: Sequence[Incident], newest: int, *, more: bool
) -> Document:
    """A page of incidents, in the same form."""
    numbers = [each.id for each in found]
    return {
        "incidents": Each(incident_document(each) for each in _in_order(found, query)),
        **_cursors(numbers, query, newest, more=more),
    }


def _in_order(found: Sequence[Any], query: EventQuery) -> Iterable[Any]:
    return reversed(found) if query.newest else found


def _cursors(numbers: list[int], query: EventQuery, newest: int, *, more: bool) -> Document:
    nothing = newest if query.after is None else query.after
    return {
        "next": numbers[-1] if numbers else nothing,
        "previous": numbers[0] if numbers else query.before,
        "more": more,
        "newest": newest,
    }


def incident_document(incident: Incident) -> Document:
    """An incident; `/api/v1/events?incident=ID` has its events."""
    return {
        "id": incident.id,
        "subject": {"kind": incident.subject.kind, "name": incident.subject.name},
        "text": incident.text,
        "cause": incident.cause,
        "began_at": instant(incident.began_at),
        "last_at": instant(incident.last_at),
        "ended_at": instant(incident.ended_at),
        "open": incident.ended_at is None,
        "events": incident.events,
        "effects": incident.effects,
        "services": list(incident.services),
        "verdicts": dict(incident.verdicts),
    }


def state_document(history: HistorySnapshot) -> Document:
    """How the history fares; `disk` is null if nothing is written."""
    disk = history.disk
    return {
        "events_total": history.events_total,
        "in_memory": history.in_memory,
        "disk": None
        if disk is None
        else {
            "path": disk.path,
            "size_bytes": disk.size_bytes,
            "waiting": disk.waiting,
            "written_total": disk.written_total,
            "lost": dict(disk.lost),
            "errors_total": disk.errors_total,
            "last_error": disk.last_error or None,
        },
    }
