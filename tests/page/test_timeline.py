"""Incidents and events of the last hours."""

from __future__ import annotations

from pybal.history.event import Kind
from pybal.history.incidents import Concern, Subject
from pybal.history.ledger import Note
from pybal.page.past import HOURS
from pybal.page.timeline import strip
from tests.fakes.view import NOON, FakeView, decision_inputs, server, service
from tests.page.visitor import Visitor

EVIL = "<img src=x>"


def view() -> FakeView:
    return FakeView([service("a_80", [server("cp1")]), service("b_80", [server("cp1")])])


def dies(snapshots: FakeView, host: str = "cp1", text: str = "refused") -> None:
    """A host dies in two services."""
    for name in ("a_80", "b_80"):
        concern = Concern(Subject("host", host), name)
        report = Note(Kind.REPORT, f"Ping reports {host} down: {text}", name, host, concern=concern)
        cause = snapshots.ledger.note(report)
        inputs = decision_inputs("depooled")
        depooled = f"{host} is depooled"
        snapshots.ledger.note(Note(Kind.DECISION, depooled, name, host, cause, inputs))


def part(text: str, id_: str) -> str:
    return text.partition(f'id="{id_}"')[2].partition("</ul>")[0]


def test_one_hosts_death_is_one_incident_with_its_services_and_its_words_are_text() -> None:
    snapshots = view()
    dies(snapshots, text=EVIL)
    text = Visitor(snapshots).page()
    incidents = part(text, "incidents")
    assert incidents.count("<li") == 1
    assert "cp1 failed in 2 services (2 depooled)" in incidents
    assert "&lt;img" in incidents and "<img" not in text
    assert "/status/a_80" in incidents and "/status/b_80" in incidents
    assert ">open<" in incidents
    # What is in the incident is not told again.
    assert "depooled" not in part(text, "events")


def test_a_service_has_the_decisions_about_its_own_servers() -> None:
    snapshots = view()
    dies(snapshots)
    snapshots.ledger.note(Note(Kind.LIST, "Pool list of 9", "b_80"))
    visitor = Visitor(snapshots)
    events = part(visitor.page("/status/a_80"), "events")
    assert "cp1 is depooled" in events and "Pool list" not in events
    assert "Pool list of 9" in part(visitor.page("/status/b_80"), "events")


def test_what_comes_in_hundreds_at_a_start_is_one_line() -> None:
    snapshots = view()
    snapshots.ledger.note(Note(Kind.START, "PyBal starts"))
    for number in range(116):
        stands = Note(Kind.KERNEL, f"The kernel holds {number}", inputs={"answer": "stands"})
        snapshots.ledger.note(stands)
        snapshots.ledger.note(Note(Kind.ROUTE, f"192.0.2.{number} is to be announced"))
    drift = {"answer": "drift"}
    snapshots.ledger.note(Note(Kind.KERNEL, "Others have changed it", inputs=drift))
    events = part(Visitor(snapshots).page(), "events")
    assert "192.0.2.115 is to be announced" in events and "and 115 more" in events
    assert "PyBal starts" in events and "The kernel holds" not in events
    assert events.index("Others have changed it") < events.index("115 more")


def test_an_event_is_shown_within_a_second_and_only_what_is_new_is_sent() -> None:
    snapshots = view()
    snapshots.ledger.note(Note(Kind.START, "PyBal starts"))
    visitor = Visitor(snapshots)
    stream = visitor.stream()
    assert len(stream.changes()) == 1
    snapshots.ledger.note(Note(Kind.RELOAD, "Nothing has changed"))
    visitor.advance(1)
    (changes,) = stream.changes()
    events = [html for id_, html in changes["pieces"].items() if id_.startswith("event-")]
    assert len(events) == 1 and "Nothing has changed" in events[0]
    assert len(changes["order"]["events"]) == 2
    visitor.advance(1)
    assert stream.changes() == []


def test_nothing_has_happened() -> None:
    text = Visitor(view()).page()
    assert f"No incidents in the last {HOURS} hours." in text


def test_the_strip_shows_when_and_how_long() -> None:
    until = NOON - NOON % 60
    spans = ((until - 3600, until - 1800), (until - 60, None), (until - 10 * 86400, None))
    text = strip("s", spans, (until - 30, until - 10 * 86400), until)
    assert text.count('class="over"') == 1 and text.count('class="open"') == 2
    assert '<rect x="299.0" y="3" width="30.0" height="12" class="over">' in text
    assert '<rect x="0.0" y="3" width="360.0" height="12" class="open">' in text
    assert text.count('class="event"') == 1
    assert "3 incidents and 2 events in 6 hours" in text
