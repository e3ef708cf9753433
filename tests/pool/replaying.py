"""Replays the inputs of a history through the policy: what it gives must be what was decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

from pybal.history.event import Kind, LedgerEvent
from pybal.pool.event_json import decision_document
from pybal.pool.policy import step
from pybal.pool.pool_state import PoolState
from tests.pool.event_reading import event_of

POLICY_KINDS = frozenset(
    {Kind.REPORT, Kind.RETRACTION, Kind.LIST, Kind.ADDRESS, Kind.SETTINGS, Kind.OVERRIDE}
)


def replayed(events: Iterable[LedgerEvent]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Goes through the events of one service, in their order, from the one that it begins with.
    Gives the number of the cause, the host and the decision, of each decision that the policy
    takes. Raises what event_of() does for a damaged event."""
    state: PoolState | None = None
    for event in events:
        inputs = event.inputs
        if event.kind is Kind.SERVICE and "threshold" in inputs:
            state = PoolState(Fraction(inputs["threshold"]), tuple(inputs["monitors"]))
        elif event.kind in POLICY_KINDS and "event" in inputs and state is not None:
            before = state
            state, _ = step(before, event_of(inputs, before), event.at)
            for host, member in state.members.items():
                known = before.members.get(host)
                if member.decision is not None and (
                    known is None or known.decision is not member.decision
                ):
                    yield event.seq, host, decision_document(member.decision)


def recorded(events: Iterable[LedgerEvent]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """The decisions that the history has, in the same form."""
    for event in events:
        if event.kind is Kind.DECISION and "required" in event.inputs:
            decision = {name: event.inputs[name] for name in _FIELDS}
            yield event.cause or 0, event.host or "", decision


_FIELDS = ("verdict", "cause", "configured", "up", "pooled", "required")
