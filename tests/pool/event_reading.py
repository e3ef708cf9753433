"""Events of the policy, read from the documents in which the history keeps them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, get_args

from pybal.model import ServerSpec
from pybal.override import Action, LaidOver, Override
from pybal.pool.event_json import usual_order
from pybal.pool.events import (
    Candidate,
    Event,
    ListChanged,
    ListPart,
    SettingsChanged,
)
from pybal.pool.member import Member
from pybal.pool.pool_state import PoolState

Document = Mapping[str, Any]


def event_of(document: Document, before: PoolState) -> Event:
    """The event of an `event_document`. KeyError, TypeError or ValueError if it is no such one."""
    fields = dict(document)
    name = fields.pop("event")
    if name == "ListChanged":
        return _list_of(fields, before)
    if name == "ListPart":
        return ListPart(tuple(map(_candidate_of, fields["changed"])))
    if name == "SettingsChanged":
        return SettingsChanged(Fraction(fields["threshold"]), tuple(fields["monitors"]))
    return _PLAIN[name](**fields)


_PLAIN: dict[str, Callable[..., Event]] = {
    each.__name__: each
    for each in get_args(Event)
    if each not in (ListChanged, ListPart, SettingsChanged)
}
"""Events whose fields JSON can hold as they are."""


def _over_of(document: Document) -> LaidOver:
    override = {**document["override"], "action": Action(document["override"]["action"])}
    return LaidOver(**{**document, "override": Override(**override)})


def _list_of(fields: Document, before: PoolState) -> ListChanged:
    changed, removed = fields["changed"], fields["removed"]
    order = fields.get("order") or usual_order(changed, removed, before)
    new = {each["host"]: _candidate_of(each) for each in changed}
    # Of a server that is as it was the policy takes nothing but that it is there.
    return ListChanged(
        tuple(new[host] if host in new else _as_before(before.members[host]) for host in order)
    )


def _candidate_of(document: Document) -> Candidate:
    return Candidate(
        ServerSpec(document["host"], document["weight"], document["enabled"]),
        document["ready"],
        document["stood_pooled"],
        document["objection"],
        None if document["over"] is None else _over_of(document["over"]),
    )


def _as_before(member: Member) -> Candidate:
    return Candidate(member.spec, member.ready, over=member.over)
