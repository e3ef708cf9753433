"""Events of the pooling policy as JSON, the inputs of the history; its decisions as JSON. Pure.

Of a pool list only what differs from the servers that the policy knows is written, since a list of
hundreds may come every minute for the sake of one. To read an event, the state that it meets is
needed, as for the step itself (`tests/pool/event_reading.py`).
"""

from __future__ import annotations

from dataclasses import asdict
from fractions import Fraction
from sys import intern
from typing import Any

from pybal.model import Decision
from pybal.override import LaidOver
from pybal.pool.events import (
    Candidate,
    Event,
    ListChanged,
    ListPart,
    SettingsChanged,
)
from pybal.pool.list_changes import differs
from pybal.pool.pool_state import PoolState


def event_document(event: Event, before: PoolState) -> dict[str, Any]:
    """What JSON can hold of an event that meets the state `before`."""
    match event:
        case ListChanged():
            return {"event": "ListChanged", **_list_document(event, before)}
        case ListPart(candidates):
            new = [_candidate_document(each) for each in candidates]
            return {"event": "ListPart", "changed": new, "removed": []}
        case SettingsChanged(threshold, monitors):
            return {
                "event": "SettingsChanged",
                "threshold": share_text(threshold),
                "monitors": list(monitors),
            }
    fields = {name: getattr(event, name) for name in event.__slots__}
    return {"event": type(event).__name__, **fields}


def _list_document(event: ListChanged, before: PoolState) -> dict[str, Any]:
    known = before.members.fast_to_look_up(len(event.to_look_at))
    changed = [
        _candidate_document(each)
        for each in event.to_look_at
        if differs(each.spec, each.over, known.get(each.spec.host))
    ]
    listed = [each.spec.host for each in event.candidates]
    new = sum(each["host"] not in known for each in changed)
    removed: list[str] = []
    if len(listed) - new < len(known):
        present = frozenset(listed)
        removed = [host for host in known if host not in present]
    document: dict[str, Any] = {"changed": changed, "removed": removed}
    if listed != usual_order(changed, removed, before):
        document["order"] = listed
    return document


def usual_order(changed: list[dict[str, Any]], removed: list[str], before: PoolState) -> list[str]:
    """The hosts of a list that says no `order`: those that were there as they stood, new ones after
    them."""
    gone = set(removed)
    stay = [host for host in before.members if host not in gone]
    return [*stay, *(each["host"] for each in changed if each["host"] not in before.members)]


def _candidate_document(candidate: Candidate) -> dict[str, Any]:
    spec = candidate.spec
    return {
        "host": spec.host,
        "weight": spec.weight,
        "enabled": spec.enabled,
        "ready": candidate.ready,
        "stood_pooled": candidate.stood_pooled,
        "objection": candidate.objection,
        "over": None if candidate.over is None else _over_document(candidate.over),
    }


def _over_document(over: LaidOver) -> dict[str, Any]:
    found = asdict(over)
    found["override"]["action"] = over.override.action.value
    return found


def decision_document(decision: Decision) -> dict[str, Any]:
    """What JSON can hold of a decision."""
    return {
        "verdict": intern(decision.verdict.name.lower()),
        "cause": decision.cause,
        "configured": decision.configured,
        "up": decision.up,
        "pooled": decision.pooled,
        "required": share_text(decision.required),
    }


def share_text(share: Fraction) -> str:
    """A share, such as a threshold, as JSON has it. All that are equal are one object: thousands of
    events are kept in memory, and these words were a sixth of them."""
    return intern(str(share))
