"""A pool whose policy is told events one after another; histories at random."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

from hypothesis import strategies as st

from pybal.model import Decision, ServerSpec, Verdict
from pybal.override import Action, LaidOver, Override
from pybal.pool.events import (
    AddressChanged,
    AddressRefused,
    Candidate,
    Event,
    ListChanged,
    ListPart,
    MonitorReported,
    Notice,
    ReportRetracted,
    SettingsChanged,
)
from pybal.pool.member import Member
from pybal.pool.policy import step
from pybal.pool.pool_state import PoolState

HALF = Fraction(1, 2)


class Pool:
    """A state with its history, for tests that read as a story."""

    def __init__(
        self, hosts: str, threshold: Fraction = HALF, monitors: tuple[str, ...] = ("M",)
    ) -> None:
        self.state = PoolState(threshold, monitors)
        self.notices: tuple[Notice, ...] = ()
        if hosts:
            self.list(*hosts)

    def event(self, event: Event) -> None:
        self.state, self.notices = step(self.state, event, at=1000.0)

    def list(
        self,
        *hosts: str,
        disabled: str = "",
        unready: str = "",
        stood: str | None = None,
        zero: str = "",
        objection: str = "",
    ) -> None:
        self.event(
            ListChanged(
                tuple(
                    Candidate(
                        ServerSpec(host, 0 if host in zero else 10, host not in disabled),
                        ready=host not in unready,
                        stood_pooled=None if stood is None else host in stood,
                        objection="it is odd" if host in objection else "",
                    )
                    for host in hosts
                )
            )
        )

    def down(self, *hosts: str, monitor: str = "M") -> None:
        for host in hosts:
            self.event(MonitorReported(host, monitor, False, "refused"))

    def up(self, *hosts: str, monitor: str = "M") -> None:
        for host in hosts:
            self.event(MonitorReported(host, monitor, True, ""))

    def member(self, host: str) -> Member:
        return self.state.members[host]

    @property
    def pooled(self) -> str:
        return "".join(h for h, m in self.state.members.items() if m.pooled)

    def verdict(self, host: str) -> Verdict:
        return self.decision(host).verdict

    def cause(self, host: str) -> str:
        return self.decision(host).cause

    def decision(self, host: str) -> Decision:
        decision = self.member(host).decision
        assert decision is not None
        return decision


# -- random histories -----------------------------------------------------------------------

HOSTS = tuple("abcdefg")

DRAINED = LaidOver(Override("s", "a", Action.DRAIN, "alice", "why", 0.0, 60.0), 10, True)

SUSPENDED = replace(DRAINED, suspended="too few")

hosts = st.sampled_from(HOSTS)


def candidates(names: Iterable[str]) -> st.SearchStrategy[tuple[Candidate, ...]]:
    return st.tuples(
        *(
            st.builds(
                Candidate,
                st.builds(
                    ServerSpec, st.just(name), weight=st.integers(0, 20), enabled=st.booleans()
                ),
                ready=st.booleans(),
                stood_pooled=st.sampled_from([None, None, True, False]),
                objection=st.sampled_from(["", "it is odd"]),
                over=st.sampled_from([None, None, DRAINED, SUSPENDED]),
            )
            for name in names
        )
    )


@st.composite
def histories(draw: st.DrawFn) -> tuple[PoolState, list[Event]]:
    monitors = draw(st.sampled_from([("M",), ("M", "N"), ()]))
    threshold = draw(st.sampled_from([Fraction(n, 100) for n in (0, 7, 33, 50, 66, 100)]))
    listed = st.sets(hosts).flatmap(candidates)
    lists = st.one_of(listed.map(ListChanged), listed.map(ListPart))
    reports = st.builds(
        MonitorReported, hosts, st.sampled_from(["M", "N"]), st.booleans(), st.just("why")
    )
    addresses = st.one_of(
        st.builds(AddressChanged, hosts, st.booleans(), st.sampled_from(["", "", "it is odd"])),
        st.builds(AddressChanged, hosts, st.just(True), proven=st.just(True)),
        st.builds(AddressRefused, hosts, st.booleans()),
    )
    retracted = st.builds(
        ReportRetracted,
        hosts,
        st.sampled_from(["M", "N"]),
        st.sampled_from([None, True]),
        st.booleans(),
    )
    settings = st.builds(
        SettingsChanged,
        st.sampled_from([Fraction(n, 100) for n in (0, 50, 100)]),
        st.sampled_from([("M",), ("N", "M"), ("N",)] if monitors else [()]),
    )
    kinds = st.one_of(lists, reports, reports, reports, addresses, retracted, settings)
    events = draw(st.lists(kinds, max_size=30))
    return PoolState(threshold, monitors), events
