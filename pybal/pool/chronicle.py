"""What the services' policies do, for the history: each event that a policy handles, and each
decision that comes of it, with that event as its cause."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from fractions import Fraction
from typing import Any

from pybal.history.event import Kind
from pybal.history.incidents import Concern, Subject
from pybal.history.ledger import Ledger, Moment, Note
from pybal.model import Decision
from pybal.pool.event_json import decision_document, event_document, share_text
from pybal.pool.events import (
    AddressChanged,
    AddressRefused,
    Event,
    ListChanged,
    ListPart,
    MonitorReported,
    PooledChanged,
    ReportRetracted,
    SettingsChanged,
)
from pybal.pool.member import Member
from pybal.pool.pool_state import PoolState
from pybal.pool.ports import PolicyStep
from pybal.runtime.naming import named

_NAMED = 5

_OfMany = ListChanged | ListPart | SettingsChanged
"""Events that may concern thousands of servers."""

Take = Callable[..., object]
"""Calls what it is given, with the arguments that follow, now or soon."""


def _now(note: Callable[..., object], *arguments: object) -> object:
    return note(*arguments)


class Chronicle:
    """Notes what the policies of all services do. `because` is the cause of all that happens now,
    an operator's word; `reload` that of other settings. A list may decide about thousands of
    servers: each of these notes is taken by `soon`."""

    def __init__(self, ledger: Ledger, soon: Take | None = None) -> None:
        self._ledger = ledger
        self._soon: Take = soon or _now
        self._latest: dict[str, int] = {}
        self.because: int | None = None
        self.reload: int | None = None
        self._found_down: dict[str, dict[str, set[str]]] = {}
        """By service and host: the monitors that find it down."""
        self.overridden: dict[str, int] = {}
        """By service: an override of which it is to be told."""

    @property
    def services(self) -> Collection[str]:
        """Those that are looked after."""
        return self._latest.keys()

    def latest(self, service: str) -> int | None:
        """The last event that may have changed what should stand for a service."""
        return self._latest.get(service)

    def goes_on(self, service: str, seq: int) -> None:
        """What follows for a service, follows from this event."""
        if service in self._latest:
            self._latest[service] = seq

    def begins(self, service: str, threshold: Fraction, monitors: tuple[str, ...]) -> None:
        """A service is looked after from now on."""
        self._none_is_down(service)
        inputs = {"threshold": share_text(threshold), "monitors": list(monitors)}
        checks = ", ".join(monitors) or "no monitors"
        text = f"{service} begins: {checks}, depool threshold {float(threshold):g}"
        self._latest[service] = self._ledger.note(
            Note(Kind.SERVICE, text, service, cause=self.reload, inputs=inputs)
        )

    def ends(self, service: str) -> None:
        """A service is no longer looked after."""
        text = f"{service} is no longer configured"
        self._ledger.note(Note(Kind.SERVICE, text, service, cause=self.reload))
        self._latest.pop(service, None)
        self.overridden.pop(service, None)
        self._none_is_down(service)

    def because_of(self, event: Event) -> int | None:
        """What has caused an event that a policy handles now, if it is one that is noted."""
        return self.reload if isinstance(event, SettingsChanged) else self.because

    def stepped(
        self, service: str, step: PolicyStep, because: int | None, moment: Moment | None = None
    ) -> None:
        """A policy has handled an event. `because`: see `because_of`."""
        event, before, after = step.event, step.before, step.after
        if after is before:
            return
        kind, text = _words(event, before, after)
        host = None if isinstance(event, _OfMany) else event.host
        inputs = event_document(event, before)
        # What comes late of a service that has ended begins no incident: nobody would end it.
        looked_after = service in self._latest
        concern = _concern(service, event, before, inputs) if looked_after else None
        if isinstance(event, ListChanged | ListPart) and because is None:
            because = self.overridden.get(service)
            if isinstance(event, ListChanged):
                # The portions that come before it are of the same.
                self.overridden.pop(service, None)
            if because is not None:
                # It is the operator who wants it so: the pool list is as it was.
                changes = _changes(before, after)
                what = "the pool list is as it was" if changes == _NO_CHANGES else changes
                concern, text = None, f"With the overrides now: {what}"
        note = Note(kind, text, service, host, because, inputs, concern)
        cause = self._ledger.note(note, moment)
        decided = False
        note_it = self._soon if isinstance(event, _OfMany) else _now
        for name, member, decision in _decided(step):
            decided = True
            note_it(self._decision, service, name, member, decision, step, cause, moment)
        if isinstance(event, ListChanged):
            for name in inputs["removed"]:
                decided = True
                self._removed(service, name, before, cause, moment)
        if decided or not isinstance(event, MonitorReported):
            self.goes_on(service, cause)
        if looked_after:
            self._keep_account(service, event, inputs)

    def _decision(
        self,
        service: str,
        host: str,
        member: Member,
        decision: Decision,
        step: PolicyStep,
        cause: int,
        moment: Moment | None,
    ) -> None:
        found = _decision_inputs(member, decision, step.before, step.after)
        text = f"{host} is {decision.verdict.value}: {decision.cause}"
        self._ledger.note(Note(Kind.DECISION, text, service, host, cause, found), moment)

    def _keep_account(self, service: str, event: Event, inputs: dict[str, Any]) -> None:
        """Of who finds whom down: an incident ends also with those who found it."""
        match event:
            case MonitorReported(host, monitor, up=False):
                found = self._found_down.setdefault(service, {})
                found.setdefault(host, set()).add(monitor)
            case MonitorReported(host, monitor) | ReportRetracted(host, monitor):
                self._is_up(service, host, monitor)
            case ListChanged():
                self._no_longer_down(service, inputs["removed"])
            case SettingsChanged(_, monitors):
                for host in tuple(self._found_down.get(service, ())):
                    self._no_longer_down(service, (host,), kept=monitors)
            case AddressChanged(host):
                self._no_longer_down(service, (host,))

    def _is_up(self, service: str, host: str, monitor: str) -> None:
        found = self._found_down.get(service, {})
        if host in found:
            found[host].discard(monitor)
            if not found[host]:
                del found[host]

    def _none_is_down(self, service: str) -> None:
        self._no_longer_down(service, tuple(self._found_down.get(service, ())))

    def _no_longer_down(
        self, service: str, hosts: Iterable[str], kept: Collection[str] = ()
    ) -> None:
        found = self._found_down.get(service, {})
        for host in hosts:
            for monitor in [each for each in found.get(host, ()) if each not in kept]:
                self._is_up(service, host, monitor)
                self._ledger.gone(Subject("host", host), f"{service} {monitor}")

    def _removed(
        self, service: str, host: str, before: PoolState, cause: int, moment: Moment | None
    ) -> None:
        member = before.members[host]
        inputs = {"verdict": "removed", "before": _before(member, before)}
        text = f"{host} left the pool list"
        self._ledger.note(Note(Kind.DECISION, text, service, host, cause, inputs), moment)


def _decision_inputs(
    member: Member, decision: Decision, before: PoolState, after: PoolState
) -> dict[str, Any]:
    return {
        **decision_document(decision),
        "threshold": share_text(after.threshold),
        "status": member.status,
        "weight": member.spec.weight,
        "before": _before(before.members.get(member.spec.host), before),
    }


def _before(member: Member | None, state: PoolState) -> dict[str, Any] | None:
    """What was decided before, and when: it held until now."""
    if member is None or member.decision is None:
        return None
    return {
        **decision_document(member.decision),
        "threshold": share_text(state.threshold),
        "at": member.decision.at,
    }


class _Excerpt:
    """Of a PoolState, what an event of few servers is told by."""

    __slots__ = ("_servers", "threshold")

    def __init__(self, state: PoolState, hosts: Iterable[str]) -> None:
        self.threshold = state.threshold
        self._servers = tuple(state.members.get(host) for host in hosts)

    @property
    def members(self) -> _Excerpt:
        """The servers."""
        return self

    def get(self, host: str) -> Member | None:
        """One of them."""
        return next((each for each in self._servers if each and each.spec.host == host), None)


def brief(step: PolicyStep) -> PolicyStep:
    """For `Chronicle.stepped`, without what it does not look at: thousands may wait for that in a
    storm, and a pool as it was after one report takes two kilobytes."""
    before, after = step.before, step.after
    if isinstance(step.event, _OfMany) or after is before:
        return step
    hosts = _concerned(step.event.host, step)
    excerpts: tuple[Any, Any] = (_Excerpt(before, hosts), _Excerpt(after, hosts))
    return PolicyStep(step.event, *excerpts, step.notices, step.at)


def _concerned(host: str, step: PolicyStep) -> Collection[str]:
    """By an event of one of hundreds: that one, and who comes or goes for it."""
    changed = (notice.host for notice in step.notices if isinstance(notice, PooledChanged))
    return dict.fromkeys((host, *changed))


def _decided(step: PolicyStep) -> Iterator[tuple[str, Member, Decision]]:
    """The servers of which something was decided anew."""
    event, before, after = step.event, step.before, step.after
    hosts: Iterable[str]
    if isinstance(event, _OfMany):
        hosts = (member.spec.host for member in after.members.differing(before.members))
    else:
        hosts = _concerned(event.host, step)
    for host in hosts:
        member, earlier = after.members.get(host), before.members.get(host)
        if member is None or member is earlier or member.decision is None:
            continue
        if earlier is None or earlier.decision is not member.decision:
            yield host, member, member.decision


def _concern(
    service: str, event: Event, before: PoolState, inputs: dict[str, Any]
) -> Concern | None:
    match event:
        case MonitorReported(host, monitor, up):
            return Concern(Subject("host", host), f"{service} {monitor}", begins=not up)
        case ReportRetracted(host, monitor):
            return Concern(Subject("host", host), f"{service} {monitor}", begins=False)
        case ListChanged() | ListPart() if before.members:
            # The services that share a list take the same from it.
            names = sorted(each["host"] for each in inputs["changed"])
            change = f"{named(names, _NAMED)}; {named(sorted(inputs['removed']), _NAMED)}"
            return Concern(Subject("list", change), service) if change != "; " else None
    return None


def _words(event: Event, before: PoolState, after: PoolState) -> tuple[Kind, str]:
    match event:
        case MonitorReported(host, monitor, up, reason):
            why = f": {reason}" if reason and not up else ""
            return Kind.REPORT, f"{monitor} reports {host} {'up' if up else 'down'}{why}"
        case ReportRetracted(host, monitor):
            return Kind.RETRACTION, f"What {monitor} reported of {host} is retracted"
        case ListChanged() | ListPart():
            return Kind.LIST, _list_words(before, after)
        case AddressChanged(host, ready, objection, proven):
            found = "was found up at its new address" if proven else "has an address"
            text = found if ready else "has no address"
            return Kind.ADDRESS, f"{host} {text}" + (f": {objection}" if objection else "")
        case AddressRefused(host, refused):
            text = "refuses the address of" if refused else "is asked again to take"
            return Kind.ADDRESS, f"The kernel {text} {host}"
        case SettingsChanged(threshold, monitors):
            checks = ", ".join(monitors) or "no monitors"
            return Kind.SETTINGS, f"Depool threshold {float(threshold):g}, {checks}"


def _list_words(before: PoolState, after: PoolState) -> str:
    return f"Pool list of {len(after.members)}: {_changes(before, after)}"


_NO_CHANGES = "in force as it was"


def _changes(before: PoolState, after: PoolState) -> str:
    differing = {each.spec.host: each for each in after.members.differing(before.members)}
    new = [host for host in differing if host not in before.members]
    are_all_there = len(after.members) - len(new) == len(before.members)
    gone = [] if are_all_there else [host for host in before.members if host not in after.members]
    other = [
        host
        for host, member in differing.items()
        if host in before.members and before.members[host].spec != member.spec
    ]
    parts = [
        f"{word} {named(hosts, _NAMED)}"
        for word, hosts in (("new", new), ("changed", other), ("removed", gone))
        if hosts
    ]
    return "; ".join(parts) or _NO_CHANGES
