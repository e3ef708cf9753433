"""Who has not been seen to work is found by what has changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from pybal.model import ServerSpec
from pybal.pool.arrivals import ARRIVAL_S, Arrival, Evidence, Use, evidence_of, still_doubted, use
from pybal.pool.list_guard import GuardRules, new_guard
from pybal.pool.list_restart import UnprovenServers
from pybal.pool.member import Member
from pybal.pool.members import Members


def test_what_is_looked_for_again_is_what_has_changed() -> None:
    """A list brings 3,000 servers, and they come up one by one."""
    asked: list[str] = []

    def noting_evidence_of(member: Member) -> Evidence:
        asked.append(member.spec.host)
        return evidence_of(member)

    members = Members(
        Member(ServerSpec(f"h{number}"), True, True, False, {"m": None}) for number in range(3000)
    )
    guard = replace(
        new_guard(GuardRules(Fraction(1, 2))),
        arrivals={host: Arrival(0.0, first=False) for host in members},
    )
    unproven = UnprovenServers(noting_evidence_of)
    assert unproven.look(members, guard, 1.0)
    assert len(unproven.all()) == 3000
    asked.clear()
    assert not unproven.look(members, guard, 2.0)
    assert asked == []
    members = members.changed([replace(members["h7"], results={"m": True})])
    assert unproven.look(members, guard, 3.0)
    assert asked == ["h7"]
    assert len(unproven.all()) == 2999
    assert unproven.look(members, guard, ARRIVAL_S), "they are believed by then"
    assert unproven.all() == ()


results = st.fixed_dictionaries({"m": st.sampled_from([None, True, False])})
found = st.builds(
    Member,
    st.sampled_from("abcdef").map(ServerSpec),
    ready=st.booleans(),
    up=st.booleans(),
    pooled=st.just(False),
    results=results,
    refused=st.booleans(),
)
arrived = st.builds(
    Arrival,
    st.sampled_from([0.0, 10.0, 40.0]),
    st.booleans(),
    st.sampled_from([None, 20.0, 60.0]),
)
looks = st.tuples(
    st.lists(found, max_size=6, unique_by=lambda each: each.spec.host),
    st.none() | st.dictionaries(st.sampled_from("abcdef"), arrived),
    st.none() | st.frozensets(st.sampled_from("abcdef")),
    st.sampled_from([0.0, 1.0, 15.0, 40.0]),
    st.lists(st.integers(0, 12), max_size=3),
)


@given(st.lists(looks, max_size=12))
def test_those_that_were_not_seen_to_work_are_found_by_what_has_changed(
    history: list[
        tuple[list[Member], dict[str, Arrival] | None, frozenset[str] | None, float, list[int]]
    ],
) -> None:
    """Some of it ahead, which may go on at any time, or never; the last number says which of those
    that have begun goes on, or that another one begins."""
    unproven, members = UnprovenServers(evidence_of), Members()
    guard = new_guard(GuardRules(Fraction(1, 2)))
    at, last = 0.0, unproven.all()
    doubted: frozenset[str] = frozenset()
    ahead: list[Iterator[None]] = []
    for changed, arrivals, doubts, seconds, pieces in history:
        at += seconds
        if {each.spec.host for each in changed} <= set(members):
            members = members.changed(changed)
        else:
            members = Members(changed)
        if arrivals is not None:
            guard = replace(guard, arrivals=arrivals)
        if doubts is not None:
            doubted = doubts
        guard = replace(guard, doubted=doubted)
        for number in pieces:
            if number >= len(ahead):
                ahead.append(unproven.look_ahead(members, guard, at, piece=1))
                number = -1
            next(ahead[number], None)
        known = {host: evidence_of(member) for host, member in members.items()}
        doubted = still_doubted(doubted, known)
        wanted = {host for host, member in members.items() if not member.up} | doubted
        for host, arrival in guard.arrivals.items():
            seen = use(known.get(host, Evidence.NO_ADDRESS), arrival, at)
            if not arrival.first and seen is not Use.WORKS:
                wanted.add(host)
        news = unproven.look(members, guard, at)
        assert news is (tuple(sorted(wanted)) != last)
        assert unproven.doubted == doubted
        last = unproven.all()
        assert set(last) == wanted
