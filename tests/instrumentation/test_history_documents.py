"""Events and incidents as programs get them, and the cursors of their pages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pybal.history.event import Kind, LedgerEvent
from pybal.history.incidents import Incident, Subject
from pybal.history.query import EventPage, EventQuery
from pybal.history.snapshot import DiskSnapshot, HistorySnapshot
from pybal.instrumentation.history_documents import (
    event_document,
    events_document,
    incident_document,
    incidents_document,
    state_document,
)
from tests.fakes.view import NOON
from tests.instrumentation.whole_json import json_bytes

AT = {"iso": "2023-11-14T22:13:20.000Z", "epoch": NOON}


def event(seq: int) -> LedgerEvent:
    return LedgerEvent(
        seq, NOON, 1.23456789, 3, Kind.REPORT, f"event {seq}", "web", "cp1", 5, 4, {"x": 1}
    )


def incident(number: int, **more: Any) -> Incident:
    return Incident(number, Subject("host", "cp1"), "silent", NOON, NOON, **more)


def test_an_event() -> None:
    assert event_document(event(7)) == {
        "seq": 7,
        "at": AT,
        "run": 3,
        "elapsed_s": 1.234568,
        "kind": "report",
        "service": "web",
        "host": "cp1",
        "text": "event 7",
        "cause": 5,
        "incident": 4,
        "inputs": {"x": 1},
    }


def test_an_incident() -> None:
    one = incident(4, events=9, effects=2, services=("web", "dns"), verdicts=(("depooled", 2),))
    assert incident_document(one) == {
        "id": 4,
        "subject": {"kind": "host", "name": "cp1"},
        "text": one.text,
        "cause": "silent",
        "began_at": AT,
        "last_at": AT,
        "ended_at": None,
        "open": True,
        "events": 9,
        "effects": 2,
        "services": ["web", "dns"],
        "verdicts": {"depooled": 2},
    }
    over = incident_document(incident(4, ended_at=NOON))
    assert (over["open"], over["ended_at"]) == (False, AT)


@pytest.mark.parametrize(
    ("query", "seqs", "shown", "cursors"),
    [
        (EventQuery(), (3, 4, 5), [3, 4, 5], (5, 3)),
        # The newest first, but the cursors are the same.
        (EventQuery(newest=True), (3, 4, 5), [5, 4, 3], (5, 3)),
        # Who is at the end asks on from there.
        (EventQuery(after=7), (), [], (7, None)),
        (EventQuery(), (), [], (99, None)),
        (EventQuery(before=2), (), [], (99, 2)),
    ],
)
@pytest.mark.parametrize("more", [False, True])
def test_a_page_and_its_neighbours(
    query: EventQuery,
    seqs: tuple[int, ...],
    shown: list[int],
    cursors: tuple[int, int | None],
    more: bool,
) -> None:
    events = json.loads(
        json_bytes(events_document(query, EventPage(tuple(map(event, seqs)), more), 99))
    )
    incidents = json.loads(
        json_bytes(incidents_document(query, [*map(incident, seqs)], 99, more=more))
    )
    assert [each["seq"] for each in events.pop("events")] == shown
    assert [each["id"] for each in incidents.pop("incidents")] == shown
    assert events == incidents == {
        "next": cursors[0], "previous": cursors[1], "more": more, "newest": 99,
    }  # fmt: skip


def test_how_the_history_fares() -> None:
    assert state_document(HistorySnapshot(7, 5, None)) == {
        "events_total": 7, "in_memory": 5, "disk": None,
    }  # fmt: skip
    disk = DiskSnapshot("/x", 1, 2, 3, (("full", 4),), 5, "")
    found = state_document(HistorySnapshot(7, 5, disk))["disk"]
    assert json.loads(json.dumps(found)) == {
        "path": "/x",
        "size_bytes": 1,
        "waiting": 2,
        "written_total": 3,
        "lost": {"full": 4},
        "errors_total": 5,
        "last_error": None,
    }
