"""What holds for the policy after any history."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from pybal.model import Verdict
from pybal.pool.events import (
    Candidate,
    Event,
    ListChanged,
    ListPart,
    MonitorReported,
    ReportRetracted,
    SettingsChanged,
)
from pybal.pool.policy import step
from pybal.pool.pool_state import PoolState
from tests.pool.policy_case import histories, hosts


@given(histories())
def test_the_invariants_hold_after_every_event_of_any_history(
    history: tuple[PoolState, list[Event]],
) -> None:
    state, events = history
    for event in events:
        before = state
        state, _ = step(state, event, at=1.0)
        check_invariants(state)
        check_nothing_is_invented(before, event, state)


def check_invariants(state: PoolState) -> None:
    eligible = 0
    for member in state.members.values():
        eligible += member.eligible and not member.drained
        assert member.eligible or not member.pooled
        assert not (member.up and member.eligible) or member.pooled
        if member.held:
            assert not member.drained
            assert state.up_count < state.required
        if False in member.results.values():
            assert not member.up
        if member.results and all(member.results.values()):
            assert member.up
        assert member.decision is not None
        assert (member.decision.verdict in POOLED_VERDICTS) == member.pooled
    serving = state.pooled_count - sum(m.pooled and m.drained for m in state.members.values())
    assert serving >= min(eligible, math.ceil(state.required))
    if any(member.held and member.spec.weight == 0 for member in state.members.values()):
        assert not any(member.spec.weight for member in state.members.spare())


POOLED_VERDICTS = {Verdict.POOLED, Verdict.POOLED_UNPROVEN, Verdict.DRAINING, Verdict.HELD}


def check_nothing_is_invented(before: PoolState, event: Event, after: PoolState) -> None:
    """A report changes what is said of one server; only a list changes who there is."""
    if isinstance(event, ListChanged):
        assert list(after.members) == [c.spec.host for c in event.candidates]
        return
    if isinstance(event, ListPart):
        new = [c.spec.host for c in event.candidates if c.spec.host not in before.members]
        assert list(after.members) == [*before.members, *new]
        named = {c.spec.host: (c.spec, c.over) for c in event.candidates}
        for host, earlier in before.members.items():
            now = after.members[host]
            assert now.up == earlier.up
            assert (now.spec, now.over) == named.get(host, (earlier.spec, earlier.over))
        return
    assert list(after.members) == list(before.members)
    for host, member in after.members.items():
        if isinstance(event, SettingsChanged):
            earlier = before.members[host]
            assert (member.spec, member.ready) == (earlier.spec, earlier.ready)
            said = {name: earlier.results.get(name) for name in event.monitors}
            assert dict(member.results) == said
        elif host != event.host:
            assert member.up == before.members[host].up
            assert member.results == before.members[host].results


@given(histories())
def test_a_pool_that_all_monitors_find_up_is_pooled_whole(
    history: tuple[PoolState, list[Event]],
) -> None:
    state, events = history
    for event in events:
        state, _ = step(state, event, at=1.0)
    for host in state.members:
        for monitor in state.monitors:
            state, _ = step(state, MonitorReported(host, monitor, True, ""), at=2.0)
    for member in state.members.values():
        if state.monitors or member.up:
            assert member.pooled == member.eligible


@given(histories())
def test_the_same_list_twice_changes_nothing_the_second_time(
    history: tuple[PoolState, list[Event]],
) -> None:
    state, events = history
    for event in events:
        state, _ = step(state, event, at=1.0)
    again = ListChanged(
        tuple(Candidate(m.spec, m.ready, over=m.over) for m in state.members.values())
    )
    repeated, _ = step(state, again, at=2.0)
    assert repeated.members == state.members


@given(histories(), st.lists(st.tuples(hosts, st.sampled_from(["M", "N"])), unique=True))
def test_downs_that_are_retracted_from_the_last_to_the_first_were_never_there(
    history: tuple[PoolState, list[Event]], downs: list[tuple[str, str]]
) -> None:
    state, events = history
    for event in events:
        state, _ = step(state, event, at=1.0)
    before = state
    undo: list[ReportRetracted] = []
    for host, monitor in downs:
        member = state.members.get(host)
        if member is None or member.results.get(monitor, False) is False:
            continue
        undo.append(ReportRetracted(host, monitor, member.results[monitor], member.up))
        state, _ = step(state, MonitorReported(host, monitor, False, ""), at=2.0)
    for event in reversed(undo):
        state, _ = step(state, event, at=3.0)
    for host, member in state.members.items():
        assert (member.up, member.results) == (
            before.members[host].up,
            before.members[host].results,
        )
        assert member.pooled or not (member.up and member.eligible)
