"""The pooling policy as a plain walk over all members: the reference for pybal/pool/policy.py,
which must decide the same. It is slow, and that is all that it has against it.

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
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from types import MappingProxyType

from pybal.model import Decision, Verdict
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
from pybal.pool.member import Member


@dataclass(frozen=True)
class PoolState:
    """All servers of one service, by host, in the order of the pool list."""

    threshold: Fraction
    monitors: tuple[str, ...]
    members: Mapping[str, Member] = field(default_factory=dict)

    @cached_property
    def required(self) -> Fraction:
        """N x T: so many servers must stay pooled, as far as there are eligible ones."""
        return len(self.members) * self.threshold

    @cached_property
    def up_count(self) -> int:
        """How many servers are up, enabled and ready, those that are drained aside."""
        return sum(m.up and m.eligible and not m.drained for m in self.members.values())

    @cached_property
    def pooled_count(self) -> int:
        """How many servers are pooled, held ones included."""
        return sum(m.pooled for m in self.members.values())

    @property
    def can_depool(self) -> bool:
        """Whether the threshold lets one more server go."""
        return self.up_count >= self.required


def step(state: PoolState, event: Event, at: float) -> tuple[PoolState, tuple[Notice, ...]]:
    """Apply one event that happened `at` (Unix seconds).

    Events about servers or monitors that the state does not know change nothing.
    """
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
    settled = _settle(changed)
    notices += _settlement_notices(state, settled, event)
    return _with_decisions(state, settled, causes, event, at), tuple(notices)


_Applied = tuple[PoolState, dict[str, str], list[Notice]]
"""The state before it is settled, the cause for each server that the event names, notices."""


def _apply_list(state: PoolState, event: ListChanged) -> _Applied:
    listed, causes, notices = _listed(state, event.candidates)
    notices += [ServerRemoved(host) for host in state.members if host not in listed]
    return replace(state, members=listed), causes, notices


def _listed(
    state: PoolState, candidates: tuple[Candidate, ...]
) -> tuple[dict[str, Member], dict[str, str], list[Notice]]:
    members: dict[str, Member] = {}
    causes: dict[str, str] = {}
    notices: list[Notice] = []
    for candidate in candidates:
        spec = candidate.spec
        known = state.members.get(spec.host)
        if known is None:
            members[spec.host] = _new_member(candidate, state.monitors)
            causes[spec.host] = _arrival(candidate)
            notices.append(ServerAdded(spec))
            continue
        # Most servers of a changed list are as before: the later steps skip the same object.
        members[spec.host] = known
        if spec != known.spec or candidate.over != known.over:
            members[spec.host] = replace(known, spec=spec, over=candidate.over)
            causes[spec.host] = _change(known, candidate)
        if spec != known.spec:
            notices.append(ServerMerged(spec))
    return members, causes, notices


def _apply_part(state: PoolState, event: ListPart) -> _Applied:
    part, causes, notices = _listed(state, event.candidates)
    if not causes:
        return state, {}, []
    return replace(state, members={**state.members, **part}), causes, notices


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
    changed = replace(member, results=results, up=_is_up(results, member.up))
    notices: list[Notice] = []
    if not event.up:
        notices.append(ReportedDown(event.host, member.status, event.monitor, event.reason))
    elif changed.up and not member.up:
        notices.append(BecameUp(event.host, member.status))
    return _with_member(state, changed), {event.host: _report_cause(event, results)}, notices


def _retract(state: PoolState, event: ReportRetracted) -> _Applied:
    member = state.members.get(event.host)
    if member is None or member.results.get(event.monitor) is not False:
        return state, {}, []
    results = MappingProxyType({**member.results, event.monitor: event.result})
    changed = replace(member, results=results, up=_is_up(results, event.server_up))
    cause = f"what {event.monitor} reported was retracted: this director was cut off"
    notice = RetractedDown(event.host, member.status, event.monitor)
    return _with_member(state, changed), {event.host: cause}, [notice]


def _apply_settings(state: PoolState, event: SettingsChanged) -> _Applied:
    members = state.members
    if event.monitors != state.monitors:
        members = {host: _with_monitors(m, event.monitors) for host, m in members.items()}
    changed = replace(state, threshold=event.threshold, monitors=event.monitors, members=members)
    return changed, {}, []


def _with_monitors(member: Member, monitors: tuple[str, ...]) -> Member:
    results = MappingProxyType({name: member.results.get(name) for name in monitors})
    return replace(member, results=results, up=_is_up(results, member.up))


def _report_cause(event: MonitorReported, results: Mapping[str, bool | None]) -> str:
    if not event.up:
        return f"{event.monitor} reported down" + (f": {event.reason}" if event.reason else "")
    down = [monitor for monitor, up in results.items() if up is False]
    still = f", {' and '.join(down)} still down" if down else ""
    return f"{event.monitor} reported up{still}"


def _is_up(results: Mapping[str, bool | None], before: bool) -> bool:
    """Down if any monitor says so, up if all do; else as before."""
    values = results.values()
    if any(value is False for value in values):
        return False
    if all(values):
        return True
    return before


def _with_member(state: PoolState, member: Member) -> PoolState:
    return replace(state, members={**state.members, member.spec.host: member})


def _settle(state: PoolState) -> PoolState:
    """Decide anew who is pooled."""
    # A pool has hundreds of members and most events change one: the others are not copied.
    can_depool = state.can_depool
    changes: dict[str, Member] = {}
    for host, member in state.members.items():
        kept = member.pooled and not can_depool and not member.drained
        pooled = member.eligible and (member.up or kept)
        if pooled != member.pooled:
            changes[host] = replace(member, pooled=pooled)
    settled = replace(state, members={**state.members, **changes})
    drained = sum(m.pooled and m.drained for m in settled.members.values())
    missing = settled.required - (settled.pooled_count - drained)
    return _with_weight_first(_filled(settled, missing) if missing > 0 else settled)


def _filled(state: PoolState, missing: Fraction) -> PoolState:
    """Pool so many more eligible servers, though they are down."""
    chosen = _spare(state)[: math.ceil(missing)]
    changes = {member.spec.host: replace(member, pooled=True) for member in chosen}
    return replace(state, members={**state.members, **changes})


def _spare(state: PoolState) -> list[Member]:
    """Those that may be pooled and are not. Servers of weight 0 serve nobody and come last. Of the
    others, those that some of their monitors call up come first."""
    spare = [m for m in state.members.values() if m.eligible and not m.pooled and not m.drained]
    return sorted(spare, key=lambda member: (member.spec.weight == 0, not member.partially_up))


def _with_weight_first(state: PoolState) -> PoolState:
    """None of weight 0 is held while one that is down and has weight is not."""
    members = dict(state.members)
    idle = [m for m in members.values() if m.held and not m.spec.weight]
    others = [m for m in _spare(state) if m.spec.weight]
    for gone, come in zip(idle, others, strict=False):
        members[gone.spec.host] = replace(gone, pooled=False)
        members[come.spec.host] = replace(come, pooled=True)
    return replace(state, members=members)


def _changed(before: PoolState, after: PoolState) -> list[tuple[str, Member]]:
    """The members that are not the very same objects in both states."""
    earlier = before.members
    return [(host, m) for host, m in after.members.items() if earlier.get(host) is not m]


def _settlement_notices(before: PoolState, after: PoolState, event: Event) -> list[Notice]:
    notices: list[Notice] = []
    for host, member in _changed(before, after):
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
        notices += (LeftPooled(h) for h, m in before.members.items() if _still_held(m, after))
    if after.pooled_count < after.required:
        notices.append(TooFewEligible(after.pooled_count, after.required))
    return notices


def _still_held(member: Member, after: PoolState) -> bool:
    later = after.members.get(member.spec.host)
    return member.held and later is not None and later.held


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
    decided: dict[str, Member] = {}
    for host, member in _changed(before, after):
        verdict = _verdict(member)
        changed = member.decision is None or member.decision.verdict is not verdict
        earlier = before.members.get(host)
        changed = changed or (earlier is not None and earlier.over != member.over)
        if changed or host == recovered:
            cause = _with_override(causes.get(host) or _indirect_cause(event), member)
            decision = Decision(verdict, cause, at, size, up, pooled, after.required)
            decided[host] = replace(member, decision=decision)
    return replace(after, members={**after.members, **decided})


def _with_override(cause: str, member: Member) -> str:
    if member.over is None or member.over.text in cause:
        return cause
    return f"{cause}; {member.over.text}"


def _verdict(member: Member) -> Verdict:
    if member.pooled:
        if not member.up:
            return Verdict.HELD
        if member.spec.weight == 0:
            return Verdict.DRAINING
        proven = None not in member.results.values()
        return Verdict.POOLED if proven else Verdict.POOLED_UNPROVEN
    if not member.spec.enabled:
        return Verdict.DISABLED
    if not member.ready:
        return Verdict.NOT_READY
    if member.refused:
        return Verdict.REFUSED
    return Verdict.DEPOOLED if False in member.results.values() else Verdict.WAITING


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
