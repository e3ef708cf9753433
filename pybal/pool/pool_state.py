"""The state of one service's pool, and what follows from a server's own state alone. Pure.

The terms are those of pybal/pool/policy.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

from pybal.model import Verdict
from pybal.override import LaidOver
from pybal.pool.events import MonitorReported
from pybal.pool.member import Member
from pybal.pool.members import Members


@dataclass(frozen=True)
class PoolState:
    """All servers of one service, by host, in the order of the pool list."""

    threshold: Fraction
    monitors: tuple[str, ...]
    members: Members = field(default_factory=Members)

    @cached_property
    def required(self) -> Fraction:
        """N x T: so many servers must stay pooled, as far as there are eligible ones."""
        return len(self.members) * self.threshold

    @cached_property
    def least_up(self) -> int:
        """`required` as a number of servers. To compare fractions takes ten times as long."""
        return math.ceil(self.required)

    @property
    def up_count(self) -> int:
        """How many servers are up, enabled and ready, those that are drained aside."""
        return self.members.counts.up

    @property
    def pooled_count(self) -> int:
        """How many servers are pooled, held ones included."""
        return self.members.counts.pooled

    def with_members(self, members: Members) -> PoolState:
        """With others, that are the same servers."""
        state = PoolState(self.threshold, self.monitors, members)
        state.__dict__.update(required=self.required, least_up=self.least_up)
        return state

    @property
    def can_depool(self) -> bool:
        """Whether the threshold lets one more server go."""
        return self.up_count >= self.least_up


def with_override(cause: str, over: LaidOver | None) -> str:
    """The cause of a decision, with the operator's word if there is one."""
    if over is None or over.text in cause:
        return cause
    return f"{cause}; {over.text}"


def verdict_of(member: Member) -> Verdict:
    """What is decided of a server, once the state is settled."""
    return verdict(member, member.results, up=member.up, pooled=member.pooled)


def verdict(
    member: Member, results: Mapping[str, bool | None], *, up: bool, pooled: bool
) -> Verdict:
    """The same, once its monitors say this, and it is up and pooled, or not."""
    if pooled:
        if not up:
            return Verdict.HELD
        if member.spec.weight == 0:
            return Verdict.DRAINING
        return Verdict.POOLED if None not in results.values() else Verdict.POOLED_UNPROVEN
    if not member.spec.enabled:
        return Verdict.DISABLED
    if not member.ready:
        return Verdict.NOT_READY
    if member.refused:
        return Verdict.REFUSED
    return Verdict.DEPOOLED if False in results.values() else Verdict.WAITING


def report_cause(event: MonitorReported, results: Mapping[str, bool | None]) -> str:
    """A report as the cause of a decision; `results` are those after it."""
    if not event.up:
        return f"{event.monitor} reported down" + (f": {event.reason}" if event.reason else "")
    down = [monitor for monitor, up in results.items() if up is False]
    still = f", {' and '.join(down)} still down" if down else ""
    return f"{event.monitor} reported up{still}"


def is_up(results: Mapping[str, bool | None], before: bool) -> bool:
    """Down if any monitor says so, up if all do; else as before."""
    values = results.values()
    if False in values:
        return False
    return True if all(values) else before
