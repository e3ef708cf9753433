"""The policy looks at what an event concerns, and decides as the plain one, which looks at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.model import ServerSpec
from pybal.pool import policy
from pybal.pool.events import (
    AddressChanged,
    AddressRefused,
    Candidate,
    Event,
    ListChanged,
    ListPart,
    MonitorReported,
    ReportRetracted,
    SettingsChanged,
)
from pybal.pool.list_changes import differs
from pybal.pool.member import Member
from pybal.pool.members import Members
from pybal.pool.pool_state import PoolState
from pybal.pool.withdrawal import Health, health
from pybal.runtime.pieces import in_one_go
from tests.pool import reference_policy
from tests.pool.policy_case import DRAINED, SUSPENDED

THRESHOLDS = [Fraction(n, 100) for n in (0, 7, 33, 50, 66, 100)]
MONITORS = [("M",), ("M", "N"), ()]


class Both:
    """The policy and its reference, through the same history."""

    def __init__(self, threshold: Fraction, monitors: tuple[str, ...]) -> None:
        self.state = PoolState(threshold, monitors)
        self.reference = reference_policy.PoolState(threshold, monitors)
        self.events = 0

    def take(self, event: Event) -> None:
        self.events += 1
        self.state, notices = policy.step(self.state, self._helped(event), self.events)
        self.reference, expected = reference_policy.step(self.reference, event, self.events)
        assert notices == expected

    def _helped(self, event: Event) -> Event:
        """As whoever puts a long list in force prepares it, of every other list."""
        if not isinstance(event, ListChanged) or self.events % 2:
            return event
        members = self.state.members
        hosts = [each.spec.host for each in event.candidates]
        if all(host in members for host in hosts):
            in_one_go(members.foresee(hosts))
        others = (
            each
            for each in event.candidates
            if differs(each.spec, each.over, members.get(each.spec.host))
        )
        return replace(event, others=tuple(others))

    def compare(self) -> None:
        """Members, with their decisions, in order; and whatever is counted of them."""
        state, expected = self.state, self.reference
        assert list(state.members.items()) == list(expected.members.items())
        assert (state.required, state.can_depool) == (expected.required, expected.can_depool)
        assert (state.up_count, state.pooled_count) == (expected.up_count, expected.pooled_count)
        assert health(state) == plain_health(list(expected.members.values()))
        assert state.members.counts == Members(state.members.values()).counts
        assert list(state.members.held()) == [m for m in expected.members.values() if m.held]


def plain_health(members: list[Member]) -> Health:
    counted = [m for m in members if not m.drained]
    up = [m for m in counted if m.up and m.eligible]
    return Health(
        enabled=sum(m.spec.enabled for m in counted),
        up=len(up),
        confirmed=sum(all(m.results.values()) for m in up),
        weight_up=sum(m.spec.weight for m in up),
    )


def random_list(random: Random, hosts: list[str]) -> ListChanged:
    chosen = random.sample(hosts, random.randint(0, len(hosts)))
    if random.random() < 0.5:
        chosen = [host for host in hosts if random.random() < 0.9]
    candidates = (
        Candidate(
            ServerSpec(host, random.choice([0, 1, 10, 10, 10]), random.random() < 0.9),
            ready=random.random() < 0.9,
            stood_pooled=random.choice([None, None, None, True, False]),
            objection=random.choice(["", "", "", "it is odd"]),
            over=random.choice([None, None, None, None, DRAINED, SUSPENDED]),
        )
        for host in chosen
    )
    return ListChanged(tuple(candidates))


def random_part(random: Random, hosts: list[str]) -> ListPart:
    """Some of them may be there already, and be listed otherwise now."""
    listed = random_list(random, hosts).candidates
    return ListPart(listed[: random.randint(0, len(listed))])


def random_report(random: Random, hosts: list[str]) -> Event:
    return MonitorReported(
        random.choice(hosts), random.choice("MMN"), random.random() < 0.4, random.choice(["", "no"])
    )


def random_address(random: Random, hosts: list[str]) -> Event:
    ready, objection = random.random() < 0.7, random.choice(["", "", "it is odd"])
    return AddressChanged(random.choice(hosts), ready, objection, ready and random.random() < 0.2)


def random_refusal(random: Random, hosts: list[str]) -> Event:
    return AddressRefused(random.choice(hosts), random.random() < 0.6)


def random_retraction(random: Random, hosts: list[str]) -> Event:
    return ReportRetracted(
        random.choice(hosts), random.choice("MMN"), random.choice([None, True]), random.random() < 1
    )


def random_settings(random: Random, hosts: list[str]) -> Event:
    monitors = [("M",), ("N", "M"), ("N",)]
    return SettingsChanged(random.choice(THRESHOLDS), random.choice(monitors))


KINDS: list[tuple[int, Callable[[Random, list[str]], Event]]] = [
    (2, random_list),
    (2, random_part),
    (40, random_report),
    (8, random_address),
    (6, random_refusal),
    (6, random_retraction),
    (1, random_settings),
]


def play(seed: int, size: int, events: int, every: int) -> Both:
    """A random history; all members are compared after `every` so many events."""
    random = Random(seed)
    hosts = [f"h{number}" for number in range(size)]
    both = Both(random.choice(THRESHOLDS), random.choice(MONITORS))
    both.take(random_list(random, hosts))
    for number in range(events):
        (make,) = random.choices([make for _, make in KINDS], [weight for weight, _ in KINDS])
        both.take(make(random, hosts))
        if number % every == 0:
            both.compare()
    both.compare()
    return both


@given(st.integers(0, 2**32), st.sampled_from([1, 2, 3, 5, 9, 33, 40]))
def test_both_decide_alike_in_any_history(seed: int, size: int) -> None:
    play(seed, size, events=40, every=1)


@pytest.mark.parametrize("seed", range(6))
def test_both_decide_alike_in_pools_of_many_servers(seed: int) -> None:
    both = play(seed, size=1100, events=60, every=20)
    assert both.events == 61


@pytest.mark.parametrize("threshold", [Fraction(0), Fraction(1, 2), Fraction(1)])
def test_both_decide_alike_while_a_whole_pool_dies_and_comes_back(threshold: Fraction) -> None:
    hosts = [f"h{number}" for number in range(150)]
    both = Both(threshold, ("M",))
    both.take(ListChanged(tuple(Candidate(ServerSpec(host), ready=True) for host in hosts)))
    for up in (True, False, True, False):
        for host in Random(1).sample(hosts, len(hosts)):
            both.take(MonitorReported(host, "M", up, "" if up else "refused"))
        both.compare()
    assert both.state.pooled_count == len(hosts) * threshold
