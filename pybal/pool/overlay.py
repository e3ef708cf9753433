"""Operators' overrides, laid over the pool list that is in force. Pure.

The list itself does not change: neither its guard nor the copy on the disk sees an override. What
takes a server away needs so many others as the depool threshold wants, unless it is forced. That
is looked at when it begins and when the pool is another: a list that takes servers away suspends
the newest overrides until there are enough again. What monitors find suspends none: then the
threshold keeps servers that are down, as ever, and counts on none that an operator has taken out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

from pybal.model import ServerSpec
from pybal.override import Action, LaidOver, Override, Overrides
from pybal.pool.list_changes import Specs
from pybal.pool.pool_state import PoolState
from pybal.runtime.naming import counted
from pybal.runtime.pieces import Pieces, in_one_go, piecewise


class Laid(NamedTuple):
    """What counts of a server, and the override that makes it so, or would."""

    spec: ServerSpec
    over: LaidOver | None = None


LaidList = Mapping[str, Laid]


def lay_over(
    specs: Specs,
    overrides: Overrides,
    works: Callable[[str], bool],
    threshold: Fraction,
    steady: Collection[str] = (),
    slack: Fraction = Fraction(0),
) -> Pieces[LaidList]:
    """The list with the overrides in effect, in the order of the list.

    `works(host)`: whether a server would serve if it may. The overrides of the hosts in `steady`
    were in effect before; they stay so as long as `slack` (0 or less) servers are left beyond the
    threshold: then the pool is not shorter of servers than it was.
    """
    laid = yield from _plainly_laid(specs)
    required = len(specs) * threshold
    found = sorted(
        (each for host, each in overrides.items() if host in specs),
        key=lambda each: (each.host not in steady, each.since, each.host),
    )
    for override in found:
        if not override.takes_away or override.force:
            laid[override.host] = _in_effect(specs[override.host], override)
    left = yield from _serving(laid, works)
    for override in found:
        host = override.host
        if laid[host].over is not None:
            continue
        needed = required + slack if host in steady else required
        missed = _serves(specs[host], works)
        if missed and left - 1 < needed:
            laid[host] = _suspended(specs[host], override, left - 1, required)
        else:
            laid[host] = _in_effect(specs[host], override)
            left -= missed
    return laid


def slack_of(
    specs: Specs,
    overrides: Overrides,
    works: Callable[[str], bool],
    threshold: Fraction,
    steady: Collection[str],
) -> Pieces[Fraction]:
    """How many servers beyond the threshold are left of a list with what is forced and `steady`; 0
    if any are."""
    shown = yield from _plainly_laid(specs)
    for host, override in overrides.items():
        counts = host in steady or override.force or not override.takes_away
        if host in specs and counts:
            shown[host] = _in_effect(specs[host], override)
    left = yield from _serving(shown, works)
    return min(Fraction(0), left - len(specs) * threshold)


def _plainly_laid(specs: Specs) -> Pieces[dict[str, Laid]]:
    laid: dict[str, Laid] = {}
    yield from piecewise(
        lambda part: laid.update((host, Laid(spec)) for host, spec in part), specs.items()
    )
    return laid


def _serving(laid: LaidList, works: Callable[[str], bool]) -> Pieces[int]:
    found: list[Laid] = []
    yield from piecewise(
        lambda part: found.extend(each for each in part if _serves(each.spec, works)),
        laid.values(),
    )
    return len(found)


def _serves(spec: ServerSpec, works: Callable[[str], bool]) -> bool:
    return spec.enabled and spec.weight > 0 and works(spec.host)


def _in_effect(spec: ServerSpec, override: Override) -> Laid:
    match override.action:
        case Action.DRAIN:
            shown = replace(spec, weight=0)
        case Action.DISABLE:
            shown = replace(spec, enabled=False)
        case Action.ENABLE:
            shown = replace(spec, enabled=True)
    return Laid(shown, LaidOver(override, spec.weight, spec.enabled))


def _suspended(spec: ServerSpec, override: Override, left: int, required: Fraction) -> Laid:
    working = counted(left, "working server")
    why = f"{working} would be left, the depool threshold wants {float(required):g}"
    return Laid(spec, LaidOver(override, spec.weight, spec.enabled, why))


def _suspended_hosts(laid: LaidList) -> frozenset[str]:
    return frozenset(h for h, each in laid.items() if each.over and each.over.suspended)


def _taken_for_up(_: ServerSpec) -> bool:
    return True


class Overlay:
    """Which overrides of one service are in effect. `overrides(service)` are those that there
    are."""

    def __init__(self, service: str, overrides: Callable[[str], Overrides]) -> None:
        self._service = service
        self._overrides = overrides
        self._specs: Specs = {}
        self._laid: LaidList = {}
        self._suspended: frozenset[str] = frozenset()
        self.news: tuple[str, ...] = ()
        """Of the last list: which overrides were suspended, or are no longer, one line each."""

    def lay(
        self,
        specs: Specs,
        state: PoolState,
        new_works: Callable[[ServerSpec], bool] = _taken_for_up,
    ) -> Pieces[LaidList]:
        """What counts from now on of a list. `new_works` are those of it that are not in `state`
        yet and are taken for working: after a restart not all are."""
        overrides = self._overrides(self._service)
        self._laid = yield from self._with(overrides, specs, state, new_works=new_works)
        before, self._suspended = self._suspended, _suspended_hosts(self._laid)
        changed = ((host, self._laid.get(host)) for host in sorted(before ^ self._suspended))
        self.news = tuple(f"{host} is {e.over.text}" for host, e in changed if e and e.over)
        self._specs = dict(specs)
        return self._laid

    @property
    def suspends(self) -> bool:
        """Whether an override is not in effect now."""
        return bool(self._suspended)

    def may_change(self, specs: Specs, state: PoolState) -> bool:
        """Whether overrides that were suspended may be in effect now."""
        if not self._suspended:
            return False
        laid = in_one_go(self._with(self._overrides(self._service), specs, state))
        return _suspended_hosts(laid) != self._suspended

    def objection(self, override: Override, specs: Specs, state: PoolState) -> str:
        """Why an override cannot be in effect now; empty if it can, and for a host that is not in
        `specs`: a list is just taking it away."""
        overrides = {**self._overrides(self._service), override.host: override}
        laid = in_one_go(self._with(overrides, specs, state, but=override.host)).get(override.host)
        return "" if laid is None or laid.over is None else laid.over.suspended

    def _with(
        self,
        overrides: Overrides,
        specs: Specs,
        state: PoolState,
        but: str = "",
        new_works: Callable[[ServerSpec], bool] = _taken_for_up,
    ) -> Pieces[LaidList]:
        if not overrides:
            return (yield from _plainly_laid(specs))

        def works(host: str) -> bool:
            member = state.members.get(host)
            if member is None:
                return host not in specs or new_works(specs[host])
            return member.up and member.ready and not member.refused

        steady = {
            host
            for host, each in self._laid.items()
            if each.over is not None and not each.over.suspended and host != but
        }
        threshold = state.threshold
        slack = yield from slack_of(self._specs, overrides, works, threshold, steady)
        return (yield from lay_over(specs, overrides, works, threshold, steady, slack))
