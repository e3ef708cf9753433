"""A monitor's report that concerns its own server alone, as nearly all do: what the general step of
the policy makes of it, without looking for what else it may change. Pure.

When a whole pool dies there are thousands of these. tests/pool/test_policy_reference.py compares
with the policy that walks over all servers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from pybal.model import Decision
from pybal.pool.events import (
    BecameUp,
    CouldNotDepool,
    MonitorReported,
    Notice,
    PooledChanged,
    ReportedDown,
)
from pybal.pool.member import Member
from pybal.pool.pool_state import PoolState, is_up, report_cause, verdict, with_override


def take_alone(
    state: PoolState, event: MonitorReported, at: float
) -> tuple[PoolState, tuple[Notice, ...]] | None:
    """The state after the report, and the notices. None if other servers have to go or to come for
    it: those that are held may go now, too few would be pooled, or it serves nobody and another one
    may be held in its place."""
    before = state.members.get(event.host)
    if before is None or event.monitor not in before.results:
        return state, ()
    results = _results(tuple(before.results.items()), event.monitor, event.up)
    up = is_up(results, before.up)
    eligible, drained, counts = before.eligible, before.drained, state.members.counts
    counts_up = eligible and not drained
    up_count = counts.up + (counts_up and up) - (counts_up and before.up)
    can_depool = up_count >= state.least_up
    if can_depool and counts.held > before.held:
        return None
    kept = before.pooled and not can_depool and not drained
    pooled = eligible and (up or kept)
    if pooled and not (up or before.spec.weight):
        return None
    pooled_count = counts.pooled + pooled - before.pooled
    drained_count = counts.drained + drained * (pooled - before.pooled)
    if pooled_count - drained_count < state.least_up:
        return None
    spec, over, decision = before.spec, before.over, before.decision
    decided = verdict(before, results, up=up, pooled=pooled)
    if event.up or decision is None or decision.verdict is not decided:
        cause = with_override(report_cause(event, results), over)
        size, required = len(state.members), state.required
        decision = Decision(decided, cause, at, size, up_count, pooled_count, required)
    member = Member(spec, before.ready, up, pooled, results, decision, before.refused, over)
    after = state.with_members(state.members.changed((member,)))
    return after, tuple(_notices(event, before, member))


@lru_cache(maxsize=256)
def _results(
    before: tuple[tuple[str, bool | None], ...], monitor: str, up: bool
) -> Mapping[str, bool | None]:
    """Shared: of thousands of servers they are the same few."""
    return MappingProxyType({**dict(before), monitor: up})


def _notices(event: MonitorReported, before: Member, member: Member) -> list[Notice]:
    notices: list[Notice] = []
    if not event.up:
        notices.append(ReportedDown(event.host, before.status, event.monitor, event.reason))
    elif member.up and not before.up:
        notices.append(BecameUp(event.host, before.status))
    if member.pooled != before.pooled:
        notices.append(PooledChanged(event.host, member.pooled, member.up))
    if not event.up and member.held:
        notices.append(CouldNotDepool(event.host))
    return notices
