"""The history's inputs, replayed through the policy, give its decisions."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from twisted.internet.defer import Deferred

from pybal.history.event import Kind, LedgerEvent
from pybal.history.ledger import Note
from pybal.history.query import EventQuery
from pybal.model import ServerSpec
from pybal.pool.chronicle import Chronicle, brief
from pybal.pool.event_json import event_document
from pybal.pool.events import (
    AddressChanged,
    Candidate,
    Event,
    ListChanged,
    MonitorReported,
    SettingsChanged,
)
from pybal.pool.policy import step
from pybal.pool.pool_state import PoolState
from pybal.pool.ports import PolicyStep
from tests.fakes.deferreds import result_of
from tests.fakes.view import ledger
from tests.pool.event_reading import event_of
from tests.pool.policy_case import histories
from tests.pool.replaying import recorded, replayed


def same(step: PolicyStep) -> PolicyStep:
    return step


class Story:
    """A service's policy, of which the ledger is told."""

    def __init__(self, state: PoolState, keep: Callable[[PolicyStep], PolicyStep] = same) -> None:
        self._keep = keep
        self.ledger = ledger()
        self.chronicle = Chronicle(self.ledger)
        self.state = state
        self.chronicle.begins("web", state.threshold, state.monitors)

    def take(self, event: Event) -> None:
        before = self.state
        at = self.ledger.now()
        self.state, notices = step(before, event, at)
        because = self.chronicle.because_of(event)
        taken = self._keep(PolicyStep(event, before, self.state, notices, at))
        self.chronicle.stepped("web", taken, because)

    def listed(self, *hosts: str) -> None:
        self.take(ListChanged(tuple(Candidate(ServerSpec(host), True) for host in hosts)))

    def events(self) -> list[LedgerEvent]:
        """As they come back from a disk."""
        found = result_of(Deferred.fromCoroutine(self.ledger.find(EventQuery(limit=1000))))
        return [replace(e, inputs=json.loads(json.dumps(e.inputs))) for e in found.events]


@given(histories())
def test_an_event_comes_back_from_json_for_the_policy_as_it_was(
    history: tuple[PoolState, list[Event]],
) -> None:
    state, events = history
    for event in events:
        document = json.loads(json.dumps(event_document(event, state)))
        found = event_of(document, state)
        assert step(state, found, 5.0) == step(state, event, 5.0)
        if not isinstance(event, ListChanged):
            assert found == event
        state, _ = step(state, event, 5.0)


@given(histories())
def test_what_is_kept_of_a_step_while_it_waits_is_told_as_the_whole(
    history: tuple[PoolState, list[Event]],
) -> None:
    state, events = history
    first = PoolState(state.threshold, state.monitors)
    whole, kept = Story(first), Story(first, brief)
    for event in events:
        whole.take(event)
        kept.take(event)
    assert kept.events() == whole.events()


def test_what_is_kept_of_a_step_has_those_who_go_or_come_for_it() -> None:
    first = PoolState(Fraction(1, 2), ("Check",))
    whole, kept = Story(first), Story(first, brief)
    for story in (whole, kept):
        story.listed("a", "b")
        for host, up in (("a", True), ("b", True), ("a", False), ("b", False), ("a", True)):
            story.take(MonitorReported(host, "Check", up, ""))
    assert whole.events()[-1].host == "b", "held until the other one came up"
    assert kept.events() == whole.events()


@given(histories())
def test_replaying_a_ledgers_inputs_gives_exactly_its_decisions(
    history: tuple[PoolState, list[Event]],
) -> None:
    state, events = history
    story = Story(PoolState(state.threshold, state.monitors))
    for event in events:
        story.take(event)
    kept = story.events()
    assert sorted(replayed(kept), key=repr) == sorted(recorded(kept), key=repr)


@given(histories())
def test_each_decision_is_found_and_names_the_one_before(
    history: tuple[PoolState, list[Event]],
) -> None:
    state, events = history
    story = Story(PoolState(state.threshold, state.monitors))
    last: dict[str | None, object] = {}
    for event in events:
        story.take(event)
    for each in story.events():
        if each.kind is Kind.DECISION:
            before = each.inputs["before"]
            assert (before or {}).get("verdict") == last.get(each.host)
            removed = each.inputs["verdict"] == "removed"
            last[each.host] = None if removed else each.inputs["verdict"]
    decided = {
        host: member.decision.verdict.name.lower()
        for host, member in story.state.members.items()
        if member.decision is not None
    }
    assert {host: verdict for host, verdict in last.items() if verdict} == decided


def test_a_list_that_changes_one_of_hundreds_is_a_short_event() -> None:
    story = Story(PoolState(Fraction(1, 2), ("Ping",)))
    hosts = [f"cp{number}" for number in range(240)]
    story.listed(*hosts)
    story.listed(*hosts[1:], "new")
    (*_, event) = (e for e in story.events() if e.kind is Kind.LIST)
    assert event.text == "Pool list of 240: new new; removed cp0"
    assert len(json.dumps(event.inputs)) < 250


def test_a_report_and_its_decision_are_told_with_the_cause() -> None:
    story = Story(PoolState(Fraction(1, 2), ("Ping",)))
    story.listed("cp1", "cp2")
    story.take(MonitorReported("cp1", "Ping", False, "silent"))
    *_, report, decision = story.events()
    assert (report.kind, report.text) == (Kind.REPORT, "Ping reports cp1 down: silent")
    assert decision.cause == report.seq
    assert decision.incident == report.incident == report.seq
    assert decision.text == "cp1 is depooled: Ping reported down: silent"
    assert decision.inputs["before"]["verdict"] == "pooled_unproven"
    assert decision.inputs["status"] == "enabled/down/not pooled"
    assert story.chronicle.latest("web") == report.seq


def test_a_removed_server_is_told_of_and_its_incident_ends() -> None:
    story = Story(PoolState(Fraction(1, 2), ("Ping",)))
    story.listed("cp1", "cp2")
    story.take(MonitorReported("cp1", "Ping", False, "silent"))
    story.listed("cp2")
    removed = story.events()[-1]
    assert (removed.host, removed.inputs["verdict"]) == ("cp1", "removed")
    assert removed.inputs["before"]["verdict"] == "depooled"
    found = result_of(Deferred.fromCoroutine(story.ledger.find_incidents(EventQuery())))
    assert [(i.subject.kind, i.ended_at is None) for i in found[0]] == [
        ("host", False),
        ("list", False),
    ]


@pytest.mark.parametrize("damaged", [{}, {"event": "X"}, {"event": "MonitorReported", "x": 1}])
def test_a_damaged_event_is_an_error(damaged: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        event_of(damaged, PoolState(Fraction(1, 2), ()))


def test_an_incident_ends_with_the_monitor_or_the_service_that_found_it() -> None:
    def open_incidents(story: Story) -> int:
        found = result_of(Deferred.fromCoroutine(story.ledger.find_incidents(EventQuery())))
        return sum(incident.ended_at is None for incident in found[0])

    def failing() -> Story:
        story = Story(PoolState(Fraction(1, 2), ("Ping",)))
        story.listed("cp1", "cp2")
        story.take(MonitorReported("cp1", "Ping", False, "silent"))
        assert open_incidents(story) == 1
        return story

    ended, without, anew, moved = failing(), failing(), failing(), failing()
    ended.chronicle.overridden["web"] = 1
    ended.chronicle.ends("web")
    assert ended.chronicle.overridden == {}
    # In a storm a note may come when its service has ended.
    ended.take(MonitorReported("cp2", "Ping", False, "silent"))
    assert any(event.text == "Ping reports cp2 down: silent" for event in ended.events())
    without.take(SettingsChanged(Fraction(1, 2), ("TCPCheck",)))
    anew.chronicle.begins("web", Fraction(1, 2), ("Ping",))
    moved.take(AddressChanged("cp1", ready=True))
    assert [open_incidents(story) for story in (ended, without, anew, moved)] == [0, 0, 0, 0]


def test_an_operators_override_is_no_change_of_the_pool_list() -> None:
    story = Story(PoolState(Fraction(1, 2), ()))
    story.listed("a", "b", "c")
    asked = story.ledger.note(Note(Kind.OVERRIDE, "root drains a", "web", "a"))
    story.chronicle.overridden["web"] = asked
    story.take(ListChanged(tuple(Candidate(ServerSpec(h, enabled=h != "a"), True) for h in "abc")))
    [event] = [e for e in story.events() if e.kind is Kind.LIST and e.cause == asked]
    assert event.text == "With the overrides now: changed a"
    assert event.incident is None
    story.take(ListChanged((Candidate(ServerSpec("a"), True), Candidate(ServerSpec("b"), True))))
    latest = [e for e in story.events() if e.kind is Kind.LIST][-1]
    assert latest.text.startswith("Pool list of 2: ")
    assert latest.incident is not None
