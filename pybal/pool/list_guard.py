"""What pool lists may take away: (guard, list or time) -> (guard, notices). Pure and total.

A list is put in force but for those changes that would leave too few servers. A *change* is all
that one list takes away: lines deleted, `enabled: False`, weights set to 0. It goes through whole
or not at all:
  - as long as enough servers that work are left: the floor, a share of those that were enabled when
    the window began;
  - one server alone in a window always, for restart scripts live by that. But if its line is
    deleted in favour of new servers, these must work first;
  - as long as servers that the list brings may still turn out to work, the change *waits* for them
    (make before break), no longer than ARRIVAL_S;
  - else it is *held*: its servers stay as they were until a later list, or servers that have come
    up, make room, an operator confirms it, or `hold_s` has passed.

Servers that a monitor found down are nobody's loss: they go at once. But if none works at all,
then nothing is known against any, and all count. Of a server that was down when the last run ended
nothing is known, neither way, until its monitors have spoken. While a change is kept the window
stands still, so that a slow drain does not go on in the next one. With a floor of 0 every list is
in force as it is, at once.

What looks at all servers of a list does so in pieces (pybal/runtime/pieces.py).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from types import MappingProxyType
from typing import NamedTuple, Union

from pybal.model import ServerSpec
from pybal.pool.arrivals import (
    Arrival,
    Evidence,
    EvidenceByHost,
    Use,
    noted,
    still_doubted,
    use,
)
from pybal.pool.list_changes import Specs, composed, counts, taken_away
from pybal.pool.list_window import ListWindow
from pybal.runtime.pieces import Pieces, between, in_one_go, piecewise

_Arrivals = Mapping[str, Arrival]


class GuardRules(NamedTuple):
    """A service's list-floor, list-window and list-hold (None: what is held stays held)."""

    floor: Fraction
    window_s: float = 900.0
    hold_s: float | None = None


@dataclass(frozen=True, slots=True)
class KeptChange:
    """Servers that a list which came `at` takes away, and that stay as they were: until others are
    ready or `waits_until`, or, if that is None, because they are held. Without them `left` would
    work, and `required` must."""

    hosts: tuple[str, ...]
    at: float
    waits_until: float | None = math.inf
    left: int = 0
    required: int = 0

    @property
    def held(self) -> bool:
        """Not just until others are ready."""
        return self.waits_until is None


class Release(enum.Enum):
    """Why a change is kept no longer."""

    ROOM = "enough servers work without them"
    CONFIRMED = "confirmed by an operator"
    HOLD_OVER = "list-hold is over"
    GONE = "nothing is left to be taken away: they are listed again, or down"


@dataclass(frozen=True, slots=True)
class ChangeWaits:
    """These servers stay until others, which the list brings, work; `most_s` seconds at most."""

    hosts: tuple[str, ...]
    arriving: tuple[str, ...]
    most_s: float


@dataclass(frozen=True, slots=True)
class ChangeHeld:
    """These servers stay: without them `left` would work, and `required` must. Lists had `taken`
    others away within the window."""

    hosts: tuple[str, ...]
    left: int
    required: int
    taken: tuple[str, ...]
    window_s: float


@dataclass(frozen=True, slots=True)
class ChangeReleased:
    """What was kept is kept no longer."""

    hosts: tuple[str, ...]
    why: Release


GuardNotice = Union[ChangeWaits, ChangeHeld, ChangeReleased]


@dataclass(frozen=True, slots=True)
class ListGuard:
    """A service's pool list: as it is wanted, as it is in force, and what is kept.

    `in_force` and `wanted` are by host in the list's order; what is kept though its line is deleted
    comes last. `reference` is how many servers were enabled when the window began in which a change
    was first kept; None while none is. `arrivals` have not been seen to work yet; of one of them it
    will be known at `known_by` at the latest, if a change is kept meanwhile. From the last run:
    `doubted` were not seen to work then; `kept_before` stayed though a list had taken them away,
    and when that came.
    """

    rules: GuardRules
    in_force: Specs = field(default_factory=dict)
    wanted: Specs = field(default_factory=dict)
    kept: tuple[KeptChange, ...] = ()
    window: ListWindow = field(default_factory=lambda: ListWindow(0.0))
    reference: int | None = None
    arrivals: _Arrivals = field(default_factory=dict)
    known_by: float | None = None
    doubted: frozenset[str] = frozenset()
    kept_before: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def wakes_at(self) -> float | None:
        """When time alone may change what is kept; None: never."""
        hold_s = self.rules.hold_s
        times = [change.waits_until for change in self.kept if change.waits_until is not None]
        times += [] if self.known_by is None else [self.known_by]
        times += [] if hold_s is None else [change.at + hold_s for change in self.kept]
        return min(times, default=None)


def new_guard(rules: GuardRules) -> ListGuard:
    """The guard of a service that has no list yet; the first one will be its reference."""
    return ListGuard(rules, window=ListWindow(rules.window_s))


_Outcome = tuple[ListGuard, tuple[GuardNotice, ...]]


def take_list(
    guard: ListGuard, servers: Iterable[ServerSpec], evidence: EvidenceByHost, at: float
) -> Pieces[_Outcome]:
    """A list (hosts unique) came `at`. One without servers is no list."""
    wanted = {spec.host: spec for spec in servers}
    if not wanted:
        return guard, ()
    kept_hosts = {host for change in guard.kept for host in change.hosts}
    came: dict[str, Arrival] = {}
    first = not guard.in_force
    yield from piecewise(
        lambda part: came.update((h, Arrival(at, first)) for h in part if h not in guard.in_force),
        wanted,
    )
    taken = yield from taken_away(guard.in_force, wanted)
    new = _changes([host for host in taken if host not in kept_hosts], guard.kept_before, at)
    asked = replace(
        guard,
        wanted=wanted,
        kept=(*guard.kept, *new),
        arrivals={**guard.arrivals, **came},
        # A list that says nothing new may be that of the last run, which the disk had.
        kept_before=guard.kept_before
        if guard.kept_before and wanted == guard.in_force
        else MappingProxyType({}),
    )
    return (yield from _decided(asked, len(guard.kept), evidence, at))


def _changes(hosts: Iterable[str], came: Mapping[str, float], at: float) -> list[KeptChange]:
    """Those that take these servers away: with lists that came to the last run, or `at`."""
    by_list: dict[float, list[str]] = {}
    for host in hosts:
        by_list.setdefault(came.get(host, at), []).append(host)
    return [KeptChange(tuple(taken), when) for when, taken in sorted(by_list.items())]


def reconsider(guard: ListGuard, evidence: EvidenceByHost, at: float) -> Pieces[_Outcome]:
    """Servers came up or went down, or time has passed."""
    if not guard.kept:
        return guard, ()
    return (yield from _decided(guard, len(guard.kept), evidence, at))


def confirm(guard: ListGuard, evidence: EvidenceByHost, at: float) -> _Outcome:
    """An operator wants all that is kept to go through; with that a new window begins."""
    if not guard.kept:
        return guard, ()
    decision = _decided(guard, len(guard.kept), evidence, at, confirmed=True)
    applied, notices = in_one_go(decision)
    window = ListWindow(guard.rules.window_s).counted(at, _enabled(applied.in_force))
    return replace(applied, window=window), notices


def _enabled(specs: Specs) -> int:
    return sum(counts(spec) for spec in specs.values())


def _decided(
    guard: ListGuard, former: int, evidence: EvidenceByHost, at: float, *, confirmed: bool = False
) -> Pieces[_Outcome]:
    """Decide of each change whether it goes through; the first `former` ones were kept before."""
    assessment = _Assessment(guard, evidence, at)
    yield from assessment.look()
    stays: list[tuple[KeptChange | None, KeptChange]] = []
    notices: list[GuardNotice] = []
    for number, change in enumerate(guard.kept):
        before = change if number < former else None
        asked = replace(change, hosts=assessment.still_taken(change))
        why = assessment.why_released(asked, confirmed=confirmed)
        if why is None:
            stays.append((before, asked))
            continue
        assessment.let_go(asked.hosts)
        if before is not None:
            notices.append(ChangeReleased(asked.hosts or before.hosts, why))
    # How many are left is known only when all that goes has gone.
    kept = [(before, assessment.kept(change)) for before, change in stays]
    for before, after in kept:
        notices += _kept_notices(assessment, before, after)
    settled = yield from assessment.settled(tuple(after for _, after in kept))
    return settled, tuple(notices)


def _kept_notices(
    assessment: _Assessment, before: KeptChange | None, after: KeptChange
) -> list[GuardNotice]:
    if after.waits_until is not None:
        most_s = after.waits_until - assessment.at
        return [] if before else [ChangeWaits(after.hosts, assessment.pending, most_s)]
    if before is not None and before.held:
        return []
    taken, window_s = tuple(assessment.taken), assessment.guard.rules.window_s
    return [ChangeHeld(after.hosts, after.left, after.required, taken, window_s)]


class _Assessment:
    """What one decision rests on. `working` counts down as changes go through."""

    def __init__(self, guard: ListGuard, evidence: EvidenceByHost, at: float) -> None:
        self.guard = guard
        self.at = at
        self._evidence = evidence
        self._takes: dict[str, None] = {}
        self._arrivals: dict[str, Arrival] = {}
        self._works: set[str] = set()
        self._useless: set[str] = set()
        self._nothing_known = False
        self.pending: tuple[str, ...] = ()
        self.working = 0
        self._window = guard.window if guard.reference is not None else guard.window.without_old(at)
        taken, back = self._window.taken, guard.wanted
        self.taken = {h: t for h, t in taken.items() if not counts(back.get(h))}
        start = self._window.enabled_at_start(at)
        self._reference = start if guard.reference is None else guard.reference
        self.required = math.ceil(self._reference * guard.rules.floor)

    def look(self) -> Pieces[None]:
        """What each server is good for; before anything is asked."""
        guard = self.guard
        self._takes = yield from taken_away(guard.in_force, guard.wanted)
        present = yield from composed(guard.wanted, guard.in_force, self._takes)
        arrivals: dict[str, Arrival] = {}
        known: dict[str, Use] = {}
        counted: list[str] = []
        pending: list[str] = []

        def judge(part: list[tuple[str, ServerSpec]]) -> None:
            known.update((h, use(self._evidence_of(h), arrivals.get(h), self.at)) for h, _ in part)
            counted.extend(h for h, spec in part if counts(spec))

        def sort(part: list[str]) -> None:
            self._works.update(h for h in part if self._nothing_known or known[h] is Use.WORKS)
            pending.extend(h for h in part if known[h] is Use.PENDING and h not in self._takes)

        came, at, evidence_of = guard.arrivals, self.at, self._evidence_of
        yield from piecewise(
            lambda part: arrivals.update((h, noted(evidence_of(h), came[h], at)) for h in part),
            came,
        )
        yield from piecewise(judge, present.items())
        works = Use.WORKS
        yield from piecewise(
            lambda part: self._arrivals.update(
                (h, each) for h, each in part if known.get(h, works) is not works
            ),
            arrivals.items(),
        )
        yield from between(counted)
        self._nothing_known = all(known[host] is Use.NONE for host in counted)
        yield from piecewise(sort, counted)
        self.pending = tuple(pending)
        yield from between(self._takes)
        self._useless = {h for h in self._takes if self._is_useless(h, known[h])}
        self.working = len(self._works) - len(self._works & self._useless)
        self._forget_replaced()

    def _is_useless(self, host: str, known: Use) -> bool:
        """Nobody's loss: found down, or brought by a list and never seen to work."""
        if self._nothing_known or self._evidence_of(host) is Evidence.DOUBTED:
            return False
        arrival = self._arrivals.get(host)
        return known is Use.NONE or (arrival is not None and not arrival.first)

    def still_taken(self, change: KeptChange) -> tuple[str, ...]:
        """Those of a change's servers that are still to be taken away, and would be missed."""
        return tuple(h for h in change.hosts if h in self._takes and h not in self._useless)

    def left_without(self, hosts: Iterable[str]) -> int:
        return self.working - sum(host in self._works for host in hosts)

    def why_released(self, change: KeptChange, *, confirmed: bool) -> Release | None:
        """Why the change goes through; None: it does not."""
        hold_s = self.guard.rules.hold_s
        if not change.hosts:
            return Release.GONE
        if confirmed:
            return Release.CONFIRMED
        if self.left_without(change.hosts) >= self.required or self._is_lone(change):
            return Release.ROOM
        if hold_s is not None and self.at >= change.at + hold_s:
            return Release.HOLD_OVER
        return None

    def _is_lone(self, change: KeptChange) -> bool:
        (host, *others) = change.hosts
        if others or len(self.taken) > (host in self.taken):
            return False
        return host in self.guard.wanted or not self._is_replaced(change)

    def _is_replaced(self, change: KeptChange) -> bool:
        """Whether servers that have not been seen to work are to stand in for it. A change that
        the last run kept is older than the first list of this one: that has those servers, too."""
        return any(
            counts(self.guard.wanted.get(host))
            and (not arrival.first or change.at < arrival.at)
            and (arrival.known_by >= change.at or arrival.addressed_at is None)
            for host, arrival in self._arrivals.items()
        )

    def _evidence_of(self, host: str) -> Evidence:
        known = self._evidence.get(host, Evidence.NO_ADDRESS)
        doubted = known is Evidence.TAKEN_FOR_UP and host in self.guard.doubted
        return Evidence.DOUBTED if doubted else known

    def kept(self, change: KeptChange) -> KeptChange:
        """The change as it stays."""
        until, left = self._waits_until(change), self.left_without(change.hosts)
        return replace(change, waits_until=until, left=left, required=self.required)

    def _waits_until(self, change: KeptChange) -> float | None:
        """How long a kept change may wait for servers that are not ready yet; None: it is held."""
        if change.waits_until is None or not self.pending:
            return None
        enough = self.left_without(change.hosts) + len(self.pending) >= self.required
        known_by = max(self._arrivals[host].known_by for host in self.pending)
        # Lists that bring others again and again do not prolong it.
        until = min(change.waits_until, known_by)
        return until if until > self.at and (enough or len(change.hosts) == 1) else None

    def let_go(self, hosts: Iterable[str]) -> None:
        """The change goes through."""
        self.working = self.left_without(hosts)
        self.taken |= dict.fromkeys(hosts, self.at)
        self._forget_replaced()

    def _forget_replaced(self) -> None:
        """As many work as were enabled: others have come for whatever lists took away."""
        if self.working >= self._reference:
            self.taken = {}

    def settled(self, kept: tuple[KeptChange, ...]) -> Pieces[ListGuard]:
        """The guard with these changes kept, and all others through."""
        guard = self.guard
        stays = {host for change in kept for host in change.hosts}
        in_force = yield from composed(guard.wanted, guard.in_force, stays)
        back: set[str] = set()
        yield from piecewise(
            lambda part: back.update(host for host, spec in part if counts(spec)), in_force.items()
        )
        arrivals: dict[str, Arrival] = {}
        yield from piecewise(
            lambda part: arrivals.update((h, each) for h, each in part if h in in_force),
            self._arrivals.items(),
        )
        known_by = (self._arrivals[host].known_by for host in self.pending)
        window = self._window.changed(self.taken, back).counted(self.at, len(back))
        return replace(
            guard,
            in_force=in_force,
            kept=kept,
            window=window,
            reference=self._reference if kept or guard.kept_before else None,
            known_by=min(known_by, default=None) if kept else None,
            arrivals=arrivals,
            doubted=still_doubted(guard.doubted, self._evidence) & in_force.keys(),
        )
