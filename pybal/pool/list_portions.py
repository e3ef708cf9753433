"""What a long list brings and changes comes in portions, one a turn: all of it in one step would
hold up the reactor. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from operator import ne
from types import MappingProxyType

from pybal.model import ServerSpec
from pybal.override import LaidOver
from pybal.pool.list_changes import counts, differs
from pybal.pool.member import Member
from pybal.runtime.pieces import PIECE

PORTION = 75
"""So many new servers are some milliseconds' work."""


NO_OVERRIDES: Mapping[str, LaidOver] = MappingProxyType({})


class Portions:
    """Those of one list: new servers in its order, then those that it lists otherwise than they are
    there, in its order, too, but those last that it takes out of service. To give all of them costs
    what the list is long, however many they are."""

    def __init__(self) -> None:
        self._in_force: Mapping[str, ServerSpec] | None = None
        self._waiting: deque[str] = deque()

    def next(
        self,
        in_force: Mapping[str, ServerSpec],
        known: Mapping[str, Member],
        over: Mapping[str, LaidOver] = NO_OVERRIDES,
    ) -> tuple[ServerSpec, ...]:
        """The next servers, as what is laid `over` the list makes them; `known` are those that
        there are. Empty if there are no more than a portion, unless a long list is in another order
        or shorter, too; and once all have come: what is done for the whole list has a turn to
        itself. Who is no longer listed goes with that."""
        if in_force is not self._in_force:
            begun, self._in_force = self._in_force is not None, in_force
            waiting = _in_turn(in_force, known, over)
            many = len(waiting) > PORTION or (
                len(in_force) > PIECE and _rearranges(in_force, known)
            )
            self._waiting = deque(waiting if begun or many else ())
        portion: list[ServerSpec] = []
        while self._waiting and len(portion) < PORTION:
            spec = in_force[self._waiting.popleft()]
            if differs(spec, over.get(spec.host), known.get(spec.host)):
                portion.append(spec)
        return tuple(portion)


def _rearranges(in_force: Mapping[str, ServerSpec], known: Mapping[str, Member]) -> bool:
    return len(in_force) < len(known) or any(map(ne, in_force, known))


def _in_turn(
    in_force: Mapping[str, ServerSpec], known: Mapping[str, Member], over: Mapping[str, LaidOver]
) -> list[str]:
    former = dict(known.items())
    new: list[str] = []
    others: list[str] = []
    taken_out: list[str] = []
    for host, spec in in_force.items():
        before = former.get(host)
        if before is None:
            new.append(host)
        elif differs(spec, over.get(host), before):
            (others if counts(spec) or not counts(before.spec) else taken_out).append(host)
    return new + others + taken_out
