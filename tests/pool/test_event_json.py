"""The documents in which the history keeps the inputs of the policy, and their decisions."""

from __future__ import annotations

import json
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import pytest

from pybal.model import Decision, ServerSpec, Verdict
from pybal.override import Action, LaidOver, Override
from pybal.pool.event_json import decision_document, event_document
from pybal.pool.events import (
    AddressChanged,
    AddressRefused,
    Candidate,
    Event,
    ListChanged,
    ListPart,
    MonitorReported,
    ReportRetracted,
    SettingsChanged,
)
from pybal.pool.member import Member
from pybal.pool.members import Members
from pybal.pool.pool_state import PoolState
from tests.pool.event_reading import event_of

OVER = LaidOver(Override("web", "b", Action.DRAIN, "alice", "disk", 1.0, 2.0), 10, True)


def member(host: str, over: LaidOver | None = None) -> Member:
    spec = ServerSpec(host, 0 if over else 10)
    return Member(spec, True, True, True, MappingProxyType({"m": True}), over=over)


BEFORE = PoolState(
    Fraction(1, 2), ("m",), Members([member("a"), member("b", OVER), member("c"), member("d")])
)


def there_and_back(event: Event) -> tuple[dict[str, Any], Event]:
    document = json.loads(json.dumps(event_document(event, BEFORE)))
    return document, event_of(document, BEFORE)


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        (
            AddressChanged("a", True, "is the VIP", proven=True),
            {"host": "a", "ready": True, "objection": "is the VIP", "proven": True},
        ),
        (AddressRefused("a", True), {"host": "a", "refused": True}),
        (
            MonitorReported("a", "m", False, "refused"),
            {"host": "a", "monitor": "m", "up": False, "reason": "refused"},
        ),
        (
            ReportRetracted("a", "m", None, True),
            {"host": "a", "monitor": "m", "result": None, "server_up": True},
        ),
        (SettingsChanged(Fraction(2, 3), ("m", "n")), {"threshold": "2/3", "monitors": ["m", "n"]}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_event_is_its_name_and_its_fields(event: Event, fields: dict[str, Any]) -> None:
    document, again = there_and_back(event)
    assert document == {"event": type(event).__name__, **fields}
    assert again == event


def as_it_is(host: str) -> Candidate:
    found = BEFORE.members[host]
    return Candidate(found.spec, found.ready, over=found.over)


A, B, C, D = map(as_it_is, "abcd")
NEW = Candidate(ServerSpec("n", 5, enabled=False), False, True, "is the VIP")
NEW_DOCUMENT = {
    "host": "n",
    "weight": 5,
    "enabled": False,
    "ready": False,
    "stood_pooled": True,
    "objection": "is the VIP",
    "over": None,
}


@pytest.mark.parametrize(
    ("candidates", "changed", "removed", "order"),
    [
        ([A, B, C, D], [], [], None),
        ([A, B, D], [], ["c"], None),
        ([A, B, C, D, NEW], ["n"], [], None),
        ([A, NEW, B, C, D], ["n"], [], ["a", "n", "b", "c", "d"]),
        ([D, C, B, A], [], [], ["d", "c", "b", "a"]),
        ([NEW, A], ["n"], ["b", "c", "d"], ["n", "a"]),
        ([A, Candidate(ServerSpec("b", 7), True, over=OVER), C, D], ["b"], [], None),
        ([A, Candidate(B.spec, True), C, D], ["b"], [], None),
        ([Candidate(A.spec, True, over=OVER), B, C, D], ["a"], [], None),
    ],
)
def test_of_a_list_what_differs_is_kept(
    candidates: list[Candidate], changed: list[str], removed: list[str], order: list[str] | None
) -> None:
    event = ListChanged(tuple(candidates))
    document, again = there_and_back(event)
    assert again == event
    assert document.pop("event") == "ListChanged"
    assert [each["host"] for each in document.pop("changed")] == changed
    assert document == {"removed": removed, **({} if order is None else {"order": order})}


def test_a_part_of_a_list_is_kept_as_it_is() -> None:
    document, again = there_and_back(ListPart((NEW,)))
    assert document == {"event": "ListPart", "changed": [NEW_DOCUMENT], "removed": []}
    assert again == ListPart((NEW,))


def test_a_candidate_has_all_its_fields() -> None:
    document, _ = there_and_back(ListChanged((A, B, C, D, NEW)))
    assert document["changed"] == [NEW_DOCUMENT]
    overridden = Candidate(ServerSpec("c", 0), True, over=OVER)
    document, again = there_and_back(ListChanged((A, B, overridden, D)))
    assert again == ListChanged((A, B, overridden, D))
    assert document["changed"][0]["over"] == {
        "override": {
            "service": "web",
            "host": "b",
            "action": "drain",
            "by": "alice",
            "reason": "disk",
            "since": 1.0,
            "until": 2.0,
            "force": False,
        },
        "listed_weight": 10,
        "listed_enabled": True,
        "suspended": "",
    }


def test_a_decision_is_kept_with_its_counts() -> None:
    decision = Decision(Verdict.HELD, "Ping reported down", 5.0, 4, 3, 2, Fraction(5, 2))
    assert decision_document(decision) == {
        "verdict": "held",
        "cause": "Ping reported down",
        "configured": 4,
        "up": 3,
        "pooled": 2,
        "required": "5/2",
    }


def test_the_words_of_thousands_of_decisions_are_kept_once() -> None:
    one, other = (
        decision_document(Decision(Verdict.HELD, "", 5.0, 4, 3, 2, Fraction(5, 2)))
        for _ in range(2)
    )
    assert one["verdict"] is other["verdict"]
    assert one["required"] is other["required"]


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"event": "NoSuch"},
        {"event": "AddressRefused", "host": "a"},
        {"event": "SettingsChanged", "threshold": "x", "monitors": []},
        {"event": "ListChanged", "changed": [], "removed": [], "order": ["nobody"]},
    ],
)
def test_what_is_no_such_document_is_an_error(document: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        event_of(document, BEFORE)
