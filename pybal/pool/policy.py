"""The pooling policy: (pool state, event) -> (pool state, notices). Pure and total.

Terms: a server is *eligible* if enabled and ready (its address is
known); *drained* if an operator has taken it out for a time with weight 0: it then counts for
nobody; *up* if monitoring says so, or nothing was said yet; *pooled* if it should stand in
IPVS; *held* if it is pooled though down, because the depool threshold forbids removing it.

After every event:
  - pooled implies eligible;
  - up and eligible implies pooled;
  - a held server is not drained, and implies that fewer than N x T others are up and eligible;
  - at least min(eligible, N x T) servers are pooled; those that are drained do not count;
  - none of weight 0 is held while one that is down and has weight is not.

"Held" is derived (pooled and not up), never remembered: there is no second memory that a
removed server could haunt.

A step costs what it changes, however large the pool is: members are counted as they change
(pybal/pool/members.py), and only those are decided anew that the event names, that are held, or
that must be pooled though they are down. Nothing else can come out otherwise than the last step
left it: who is up is pooled and who is down and not held is not, whatever the counts are. A report
that concerns its own server alone has a shorter way (pybal/pool/lone_report.py).
tests/pool/reference_policy.py walks over all of them after each event; both decide the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import islice, takewhile
from types import MappingProxyType

from pybal.model import Decision
from pybal.pool.events import (
    AddressChanged,
    AddressRefused,
    BecameUp,
    Candidate,
    CouldNotDepool,
    Event,
    LeftPooled,
    ListChanged,
    ListPart,
    MonitorReported,
    Notice,
    PooledChanged,
    ReportedDown,
    ReportRetracted,
    RetractedDown,
    ServerAdded,
    ServerMerged,
    ServerRemoved,
    SettingsChanged,
    TooFewEligible,
)
from pybal.pool.lone_report import take_alone
from pybal.pool.member import Member
from pybal.pool.pool_state import PoolState, is_up, report_cause, verdict_of, with_override


def step(state: PoolState, event: Event, at: float) -> tuple[PoolState, tuple[Notice, ...]]:
    """Apply one event that happened `at` (Unix seconds).

    Events about servers or monitors that the state does not know change nothing.
    """
    if isinstance(event, MonitorReported) and (alone := take_alone(state, event, at)) is not None:
        return alone
    match event:
        case ListChanged():
            changed, causes, notices = _apply_list(state, event)
        case ListPart():
            changed, causes, notices = _apply_part(state, event)
        case AddressChanged():
            changed, causes, notices = _apply_address(state, event)
        case AddressRefused():
            changed, causes, notices = _apply_refusal(state, event)
        case MonitorReported():
            changed, causes, notices = _apply_report(state, event)
        case ReportRetracted():
            changed, causes, notices = _retract(state, event)
        case SettingsChanged():
            changed, causes, notices = _apply_settings(state, event)
    if not causes and changed is state:
        return state, ()
    settled = _settle(state, changed)
    notices += _settlement_notices(state, settled, event)
    return _with_decisions(state, settled, causes, event, at), tuple(notices)


_Applied = tuple[PoolState, dict[str, str], list[Notice]]
"""The state before it is settled, the cause for each server that the event names, notices."""


def _apply_list(state: PoolState, event: ListChanged) -> _Applied:
    causes: dict[str, str] = {}
    notices: list[Notice] = []
    known = state.members.fast_to_look_up(len(event.to_look_at))
    others = {
        each.spec.host: _listed(each, known.get(each.spec.host), state.monitors, causes, notices)
        for each in event.to_look_at
    }
    listed = state.members.arranged([each.spec.host for each in event.candidates], others)
    if not listed.same_list(state.members):
        notices += (ServerRemoved(host) for host in state.members if host not in listed)
    return replace(state, members=listed), causes, notices


def _apply_part(state: PoolState, event: ListPart) -> _Applied:
    causes: dict[str, str] = {}
    notices: list[Notice] = []
    new: list[Member] = []
    others: list[Member] = []
    for each in event.candidates:
        known = state.members.get(each.spec.host)
        member = _listed(each, known, state.monitors, causes, notices)
        if member is not known:
            (new if known is None else others).append(member)
    if not causes:
        return state, {}, []
    members = state.members.grown(new).changed(others)
    return replace(state, members=members), causes, notices


def _listed(
    candidate: Candidate,
    known: Member | None,
    monitors: tuple[str, ...],
    causes: dict[str, str],
    notices: list[Notice],
) -> Member:
    """The server as the list has it; what that changes is added to the causes and notices."""
    spec = candidate.spec
    if known is None:
        causes[spec.host] = _arrival(candidate)
        notices.append(ServerAdded(spec))
        return _new_member(candidate, monitors)
    is_other = spec is not known.spec and spec != known.spec
    if is_other:
        notices.append(ServerMerged(spec))
    if not is_other and candidate.over == known.over:
        # Most servers of a changed list are as before: the later steps skip the same object.
        return known
    causes[spec.host] = _change(known, candidate)
    return replace(known, spec=spec, over=candidate.over)


def _change(known: Member, candidate: Candidate) -> str:
    if candidate.over == known.over:
        return "the pool list changed its weight or enabled"
    if candidate.over is not None:
        return candidate.over.text
    ended = "" if known.over is None else known.over.override.text
    return f"no longer {ended}"


def _arrival(candidate: Candidate) -> str:
    if candidate.over is not None:
        return f"new in the pool list; {candidate.over.text}"
    if candidate.objection:
        return f"new in the pool list; {candidate.objection}"
    match candidate.stood_pooled:
        case None:
            return "new in the pool list"
        case True:
            return "stood in the kernel's table when PyBal started"
        case False:
            return "was missing from the kernel's table when PyBal started"


def _new_member(candidate: Candidate, monitors: tuple[str, ...]) -> Member:
    # A new server is taken for up until a monitor speaks, except where the kernel's table
    # shows that it had been depooled before a restart, or there is an objection: then its monitors
    # must report first. Without monitors none ever would, so it is taken for up.
    up = not monitors or (candidate.stood_pooled is not False and not candidate.objection)
    return Member(
        spec=candidate.spec,
        ready=candidate.ready,
        up=up,
        pooled=False,
        results=MappingProxyType(dict.fromkeys(monitors)),
        over=candidate.over,
    )


def _apply_address(state: PoolState, event: AddressChanged) -> _Applied:
    member = state.members.get(event.host)
    if member is None:
        return state, {}, []
    said = True if event.proven else None
    changed = replace(
        member,
        ready=event.ready,
        up=event.proven or (member.up and not (event.objection and state.monitors)),
        results=MappingProxyType(dict.fromkeys(state.monitors, said)),
        refused=False,
    )
    cause = "its address was found" if event.ready else "its address is not known"
    cause = "it was found up at its new address" if event.proven else event.objection or cause
    return _with_member(state, changed), {event.host: cause}, []


def _apply_refusal(state: PoolState, event: AddressRefused) -> _Applied:
    member = state.members.get(event.host)
    if member is None or member.refused is event.refused:
        return state, {}, []
    cause = "the kernel refused its address" if event.refused else "the kernel is asked again"
    return _with_member(state, replace(member, refused=event.refused)), {event.host: cause}, []


def _apply_report(state: PoolState, event: MonitorReported) -> _Applied:
    member = state.members.get(event.host)
    if member is None or event.monitor not in member.results:
        return state, {}, []
    results = MappingProxyType({**member.results, event.monitor: event.up})
    changed = replace(member, results=results, up=is_up(results, member.up))
    notices: list[Notice] = []
    if not event.up:
        notices.append(ReportedDown(event.host, member.status, event.monitor, event.reason))
    elif changed.up and not member.up:
        notices.append(BecameUp(event.host, member.status))
    return _with_member(state, changed), {event.host: report_cause(event, results)}, notices


def _retract(state: PoolState, event: ReportRetracted) -> _Applied:
    member = state.members.get(event.host)
    if member is None or member.results.get(event.monitor) is not False:
        return state, {}, []
    results = MappingProxyType({**member.results, event.monitor: event.result})
    changed = replace(member, results=results, up=is_up(results, event.server_up))
    cause = f"what {event.monitor} reported was retracted: this director was cut off"
    notice = RetractedDown(event.host, member.status, event.monitor)
    return _with_member(state, changed), {event.host: cause}, [notice]


def _apply_settings(state: PoolState, event: SettingsChanged) -> _Applied:
    members = state.members
    if event.monitors != state.monitors:
        members = members.changed([_with_monitors(m, event.monitors) for m in members.in_order()])
    changed = replace(state, threshold=event.threshold, monitors=event.monitors, members=members)
    return changed, {}, []


def _with_monitors(member: Member, monitors: tuple[str, ...]) -> Member:
    results = MappingProxyType({name: member.results.get(name) for name in monitors})
    return replace(member, results=results, up=is_up(results, member.up))


def _with_member(state: PoolState, *members: Member) -> PoolState:
    if not members:
        return state
    return state.with_members(state.members.changed(members))


def _settle(before: PoolState, state: PoolState) -> PoolState:
    """Decide anew who is pooled; `before` was settled."""
    can_depool = state.can_depool
    concerned = list(state.members.differing(before.members))
    if can_depool and state.members.counts.held > sum(member.held for member in concerned):
        concerned += state.members.held()
    changes: list[Member] = []
    for member in concerned:
        kept = member.pooled and not can_depool and not member.drained
        pooled = member.eligible and (member.up or kept)
        if pooled != member.pooled:
            changes.append(replace(member, pooled=pooled))
    settled = _with_member(state, *changes)
    counts = settled.members.counts
    missing = settled.required - (counts.pooled - counts.drained)
    return _with_weight_first(_filled(settled, missing) if missing > 0 else settled)


def _filled(state: PoolState, missing: Fraction) -> PoolState:
    """Pool so many more eligible servers, though they are down."""
    chosen = islice(state.members.spare(), math.ceil(missing))
    return _with_member(state, *(replace(member, pooled=True) for member in chosen))


def _with_weight_first(state: PoolState) -> PoolState:
    """One of weight 0 serves nobody: if it is held, another that is down takes its place."""
    best = next(state.members.spare(), None)
    if best is None or not _has_weight(best):
        return state
    idle = [member for member in state.members.held() if not _has_weight(member)]
    others = takewhile(_has_weight, islice(state.members.spare(), len(idle)))
    pairs = list(zip(idle, others, strict=False))
    gone = (replace(each, pooled=False) for each, _ in pairs)
    return _with_member(state, *gone, *(replace(each, pooled=True) for _, each in pairs))


def _has_weight(member: Member) -> bool:
    return member.spec.weight > 0


def _settlement_notices(before: PoolState, after: PoolState, event: Event) -> list[Notice]:
    notices: list[Notice] = []
    for member in after.members.differing(before.members):
        host = member.spec.host
        earlier = before.members.get(host)
        if member.pooled != (earlier is not None and earlier.pooled):
            notices.append(PooledChanged(host, member.pooled, member.up))
    if isinstance(event, MonitorReported):
        if not event.up and after.members[event.host].held:
            notices.append(CouldNotDepool(event.host))
        return notices
    if isinstance(event, ReportRetracted):
        return notices
    if isinstance(event, ListChanged | SettingsChanged):
        held = (member.spec.host for member in before.members.held())
        notices += (LeftPooled(host) for host in held if _is_held(host, after))
    if after.pooled_count < after.required:
        notices.append(TooFewEligible(after.pooled_count, after.required))
    return notices


def _is_held(host: str, state: PoolState) -> bool:
    member = state.members.get(host)
    return member is not None and member.held


def _with_decisions(
    before: PoolState, after: PoolState, causes: Mapping[str, str], event: Event, at: float
) -> PoolState:
    """Note the reason at each server whose verdict the event changed.

    A second reason for the same verdict does not hide the first, since people ask what took the
    server out. Only a monitor that comes up notes anew what still keeps the server out, and an
    operator's word is named in any case.
    """
    recovered = event.host if isinstance(event, MonitorReported) and event.up else None
    size, up, pooled = len(after.members), after.up_count, after.pooled_count
    decided: list[Member] = []
    for member in after.members.differing(before.members):
        host, verdict = member.spec.host, verdict_of(member)
        changed = member.decision is None or member.decision.verdict is not verdict
        earlier = before.members.get(host)
        changed = changed or (earlier is not None and earlier.over != member.over)
        if changed or host == recovered:
            cause = with_override(causes.get(host) or _indirect_cause(event), member.over)
            decision = Decision(verdict, cause, at, size, up, pooled, after.required)
            decided.append(replace(member, decision=decision))
    return _with_member(after, *decided)


def _indirect_cause(event: Event) -> str:
    match event:
        case ListChanged() | ListPart():
            return "the pool list changed for other servers"
        case AddressChanged():
            return f"the address of {event.host} changed"
        case AddressRefused(refused=True):
            return f"the kernel refused the address of {event.host}"
        case AddressRefused():
            return f"the kernel is asked for {event.host} again"
        case MonitorReported():
            return f"{event.monitor} reported {event.host} {'up' if event.up else 'down'}"
        case SettingsChanged():
            return "the service's settings were changed"
        case ReportRetracted():
            return f"what {event.monitor} reported of {event.host} was retracted"
