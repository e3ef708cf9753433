"""A guard of a pool list, told of lists and servers one after another."""

from __future__ import annotations

from fractions import Fraction

from pybal.model import ServerSpec
from pybal.pool.arrivals import Evidence
from pybal.pool.list_changes import counts
from pybal.pool.list_guard import (
    GuardNotice,
    GuardRules,
    ListGuard,
    confirm,
    new_guard,
    reconsider,
    take_list,
)
from pybal.runtime.pieces import in_one_go

HALF = Fraction(1, 2)

WINDOW_S = 900.0

TEN = "abcdefghij"

UP, DOWN, NO_ADDRESS = Evidence.UP, Evidence.DOWN, Evidence.NO_ADDRESS


class Story:
    """A guard with its history. Servers are letters; all work unless the test says otherwise."""

    def __init__(
        self, hosts: str = "", floor: Fraction = HALF, hold_s: float | None = None
    ) -> None:
        self.guard = new_guard(GuardRules(floor, WINDOW_S, hold_s))
        self.known: dict[str, Evidence] = {}
        self.at = 0.0
        self.notices: tuple[GuardNotice, ...] = ()
        if hosts:
            self.list(hosts)
        self.at = 10_000.0

    def list(self, hosts: str, *, off: str = "", zero: str = "", new: str = "") -> None:
        """A list of these; `new` ones have no address yet."""
        for host in hosts:
            self.known.setdefault(host, NO_ADDRESS if host in new else UP)
        specs = [
            ServerSpec(host, 0 if host in zero else 10, enabled=host not in off) for host in hosts
        ]
        self._outcome(in_one_go(take_list(self.guard, specs, self.known, self.at)))

    def learn(self, hosts: str, evidence: Evidence) -> None:
        self.known |= dict.fromkeys(hosts, evidence)
        self._outcome(in_one_go(reconsider(self.guard, self.known, self.at)))

    def wait(self, seconds: float) -> None:
        self.at += seconds
        self._outcome(in_one_go(reconsider(self.guard, self.known, self.at)))

    def confirm(self) -> None:
        self._outcome(confirm(self.guard, self.known, self.at))

    def _outcome(self, outcome: tuple[ListGuard, tuple[GuardNotice, ...]]) -> None:
        self.guard, self.notices = outcome

    def said(self) -> tuple[GuardNotice, ...]:
        """What the last step said. (A method: mypy takes an attribute for what it was before.)"""
        return self.notices

    @property
    def serving(self) -> str:
        """Who is to get connections, in the order of the list."""
        return "".join(host for host, spec in self.guard.in_force.items() if counts(spec))

    @property
    def held(self) -> str:
        return "".join(h for change in self.guard.kept for h in change.hosts if change.held)
