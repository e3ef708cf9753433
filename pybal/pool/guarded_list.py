"""The pool list of one service as it is in force: the owner of its guard, and of its timer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from twisted.logger import Logger, LogLevel

from pybal.config.settings import ServiceSettings
from pybal.kept_change import KeptSnapshot, ListPast
from pybal.model import ServerSpec, SourceList
from pybal.pool.arrivals import Evidence, EvidenceByHost, evidence_of
from pybal.pool.list_guard import (
    ChangeHeld,
    GuardNotice,
    GuardRules,
    KeptChange,
    ListGuard,
    confirm,
    new_guard,
    reconsider,
    take_list,
)
from pybal.pool.list_restart import UnprovenServers, begun, left_behind
from pybal.pool.log_lines import guard_line
from pybal.pool.member import Member
from pybal.pool.pool_state import PoolState
from pybal.runtime.clock import Clock, DelayedCall, cancel
from pybal.runtime.pieces import Pieces, in_one_go, piecewise

_Outcome = tuple[ListGuard, tuple[GuardNotice, ...]]
_Decision = Callable[[ListGuard, EvidenceByHost, float], Pieces[_Outcome]]

_TRIES = 3


class GuardedList:
    """Says which servers are in force, and logs, and tells, what is kept. `wake` is called when
    time alone may have changed that; `now()` is Unix seconds."""

    def __init__(
        self,
        settings: ServiceSettings,
        clock: Clock,
        now: Callable[[], float],
        wake: Callable[[], None],
        log: Logger,
        told: Callable[[str, GuardNotice], None],
    ) -> None:
        self.name = settings.name
        self._clock = clock
        self._now = now
        self._wake = wake
        self._log = log
        self._told = told
        self._guard = new_guard(_rules(settings))
        self._unproven = UnprovenServers(_evidence_of)
        self._timer: DelayedCall | None = None
        self._stopped = False
        self.held_total = 0

    @property
    def in_force(self) -> Mapping[str, ServerSpec]:
        """By host, in the order of the list. The same object until it changes."""
        return self._guard.in_force

    @property
    def keeps(self) -> bool:
        """Whether servers stay that the list takes away."""
        return bool(self._guard.kept)

    @property
    def kept_hosts(self) -> frozenset[str]:
        """The servers that stay though the list takes them away."""
        return frozenset(host for change in self._guard.kept for host in change.hosts)

    def begin_with(self, found: SourceList, state: PoolState) -> None:
        """The first list is held against the one that was in force when the last run ended. Its
        guard goes on, so that a restart gives nobody a fresh window."""
        if not found.last_run or self._guard.wanted:
            return
        at = self._clock.seconds()
        self._become(begun(self._guard, found, _all_evidence(state), at), ())

    def learning(self, state: PoolState) -> Pieces[None]:
        """In pieces, what `learn` would have to do after many have come up or gone down. Between
        two, and before that is called, anything may happen."""
        return self._unproven.look_ahead(state.members, self._guard, self._clock.seconds())

    def learn(self, state: PoolState) -> bool:
        """Servers may have come up or gone down. Returns whether the unproven servers differ from
        those in the last `past`."""
        changed = self._unproven.look(state.members, self._guard, self._clock.seconds())
        if self._unproven.doubted is not self._guard.doubted:
            self._guard = replace(self._guard, doubted=self._unproven.doubted)
        return changed

    def past(self, state: PoolState) -> ListPast:
        """What the next run is to know."""
        self.learn(state)
        return left_behind(self._guard, self._unproven.all(), self._clock.seconds())

    def take(self, servers: tuple[ServerSpec, ...], state: Callable[[], PoolState]) -> Pieces[None]:
        """A new list (hosts unique), in pieces."""
        same = yield from _as_it_was(servers, self._guard.in_force)
        yield from self._decide(
            lambda guard, evidence, at: take_list(guard, same, evidence, at), state
        )

    def reconsider(self, state: Callable[[], PoolState]) -> Pieces[None]:
        """Servers came up or went down, or time has passed; in pieces."""
        if self._guard.kept:
            yield from self._decide(reconsider, state)

    def _decide(self, decision: _Decision, state: Callable[[], PoolState]) -> Pieces[None]:
        """It rests on what is known when it begins. What is decided meanwhile by others, as by an
        operator, makes it begin anew, in one piece if that happens again and again."""
        for _ in range(_TRIES):
            guard, at = self._guard, self._clock.seconds()
            evidence = yield from _evidence_in_pieces(state())
            outcome = yield from decision(guard, evidence, at)
            if self._guard is guard:
                break
        else:
            outcome = in_one_go(
                decision(self._guard, _all_evidence(state()), self._clock.seconds())
            )
        self._become(*outcome)

    def confirm(self, state: PoolState) -> tuple[str, ...]:
        """An operator wants all that is kept to go through; gives the servers that were kept."""
        hosts = tuple(host for change in self._guard.kept for host in change.hosts)
        self._become(*confirm(self._guard, _all_evidence(state), self._clock.seconds()))
        return hosts

    def reconfigure(self, settings: ServiceSettings) -> None:
        """Other rules, which count from the next decision on."""
        rules = _rules(settings)
        window = replace(self._guard.window, length_s=rules.window_s)
        self._become(replace(self._guard, rules=rules, window=window), ())

    def stop(self) -> None:
        """Wake nobody any more. Idempotent."""
        self._stopped = True
        cancel(self._timer)

    def kept(self) -> tuple[KeptSnapshot, ...]:
        """The changes that are kept, held or waiting."""
        unix = self._now() - self._clock.seconds()
        window = self._guard.window
        taken = tuple((host, unix + at) for host, at in window.taken.items())
        return tuple(_shown(change, unix, taken, window.length_s) for change in self._guard.kept)

    def _become(self, guard: ListGuard, notices: tuple[GuardNotice, ...]) -> None:
        self._guard = guard
        for notice in notices:
            self.held_total += isinstance(notice, ChangeHeld)
            level, text = guard_line(notice, self.name, guard.rules.hold_s)
            self._log.emit(LogLevel.levelWithName(level), "{text}", text=text)
            self._told(self.name, notice)
        cancel(self._timer)
        wakes_at = guard.wakes_at
        if wakes_at is not None and not self._stopped:
            delay_s = max(0.0, wakes_at - self._clock.seconds())
            self._timer = self._clock.callLater(delay_s, self._wake)


def _rules(settings: ServiceSettings) -> GuardRules:
    guard = settings.list_guard
    return GuardRules(settings.list_floor, guard.window_s, guard.hold_s)


def _as_it_was(
    servers: tuple[ServerSpec, ...], before: Mapping[str, ServerSpec]
) -> Pieces[list[ServerSpec]]:
    """The same, and what has not changed is the same object: later it is found out more cheaply."""
    found: list[ServerSpec] = []

    def look(part: list[ServerSpec]) -> None:
        for spec in part:
            former = before.get(spec.host)
            found.append(spec if former is None or former != spec else former)

    yield from piecewise(look, servers)
    return found


def _all_evidence(state: PoolState) -> dict[str, Evidence]:
    return in_one_go(_evidence_in_pieces(state))


def _evidence_in_pieces(state: PoolState) -> Pieces[dict[str, Evidence]]:
    evidence: dict[str, Evidence] = {}
    yield from piecewise(
        lambda part: evidence.update((host, _evidence_of(member)) for host, member in part),
        state.members.items(),
    )
    return evidence


def _evidence_of(member: Member) -> Evidence:
    """A server that an operator has taken out stands in for nobody."""
    out = member.over is not None and member.over.takes_out
    return Evidence.DOWN if out else evidence_of(member)


def _shown(
    change: KeptChange, unix: float, taken: tuple[tuple[str, float], ...], window_s: float
) -> KeptSnapshot:
    return KeptSnapshot(
        servers=change.hosts,
        since=unix + change.at,
        waiting=not change.held,
        left=change.left,
        required=change.required,
        taken=taken,
        window_s=window_s,
    )
