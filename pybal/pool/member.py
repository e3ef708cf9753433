"""One server as the pooling policy knows it, and what it counts for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pybal.model import Decision, ServerSpec, status_text
from pybal.override import LaidOver


@dataclass(frozen=True, slots=True)
class Member:
    """One server as the policy knows it.

    `results` has an item for each monitor of the service: True, False, or None while that
    monitor has not reported.
    """

    spec: ServerSpec
    ready: bool
    up: bool
    pooled: bool
    results: Mapping[str, bool | None]
    decision: Decision | None = None
    refused: bool = False
    """By the kernel: it does not take its address."""
    over: LaidOver | None = None
    """What an operator wants of it; where that is in effect, `spec` is what it makes of the
    list's."""

    @property
    def eligible(self) -> bool:
        """May be pooled at all."""
        return self.spec.enabled and self.ready and not self.refused

    @property
    def drained(self) -> bool:
        """An operator has taken it out for a time."""
        return self.over is not None and self.over.drains

    @property
    def held(self) -> bool:
        """Pooled though down."""
        return self.pooled and not self.up

    @property
    def partially_up(self) -> bool:
        """Some of its monitors, though not all, say up."""
        return any(self.results.values())

    @property
    def status(self) -> str:
        """The contract's status string."""
        return status_text(
            enabled=self.spec.enabled,
            up=self.up,
            partially_up=self.partially_up,
            pooled=self.pooled,
        )


class Counts(NamedTuple):
    """How many members there are of a kind. Those that an operator drains count in `ready`,
    `pooled`, `drained`, `held` and `well` only. `weight_up` is the sum of weights of those that are
    `up`. The four kinds of spare servers, eligible and not pooled, are in the order in which they
    are to be pooled, if they must be: servers of weight 0 serve nobody and come last; of the
    others, those that some of their monitors call up come first."""

    enabled: int = 0
    ready: int = 0
    up: int = 0
    """Up and eligible."""
    confirmed: int = 0
    """The same, and all their monitors say so."""
    weight_up: int = 0
    pooled: int = 0
    drained: int = 0
    """Pooled and drained."""
    held: int = 0
    well: int = 0
    """Up, whatever else keeps them out."""
    spare: int = 0
    spare_down: int = 0
    spare_weightless: int = 0
    spare_weightless_down: int = 0


def counts_of(member: Member) -> tuple[int, ...]:
    """As Counts, of one member."""
    spec, ready, pooled, over = member.spec, member.ready, member.pooled, member.over
    drained = over is not None and over.drains
    eligible = spec.enabled and ready and not member.refused
    up = eligible and member.up and not drained
    spare = -1
    if eligible and not pooled and not drained:
        spare = 2 * (spec.weight == 0) + (not member.partially_up)
    return (
        spec.enabled and not drained,
        ready,
        up,
        up and all(member.results.values()),
        spec.weight if up else 0,
        pooled,
        pooled and drained,
        pooled and not member.up,
        member.up,
        spare == 0,
        spare == 1,
        spare == 2,
        spare == 3,
    )
