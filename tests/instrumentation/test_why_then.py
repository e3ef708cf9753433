"""Why a server was or was not pooled at some moment, from a history that says this and that."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, cast

import pytest

from pybal.history.event import Kind, LedgerEvent
from pybal.history.query import EventPage, EventQuery, page
from pybal.instrumentation.view import StatusView
from pybal.instrumentation.why_then import WhyThen
from pybal.model import Decision, Verdict
from tests.fakes.view import NOON, FakeView, decision_inputs, server, service


class FakeHistory:
    """All that happened, in memory."""

    def __init__(self) -> None:
        self.events: list[LedgerEvent] = []
        self.time = NOON + 1000

    async def find(self, query: EventQuery) -> EventPage:
        return page(query, filter(query.matches, self.events))

    def now(self) -> float:
        return self.time


class Bench:
    """Times are seconds after NOON."""

    def __init__(self) -> None:
        self.history = FakeHistory()
        self.view = FakeView([service("web", [server("cp1"), server("cp2")])])
        self.view.history = lambda: self.history  # type: ignore[method-assign,assignment,return-value]
        self.why = WhyThen(cast(StatusView, self.view))

    def note(self, at_s: float, kind: Kind = Kind.REPORT, **more: Any) -> int:
        seq = len(self.history.events) + 1
        fields = {"run": 1, "service": "web", "host": "cp1", **more}
        run = fields.pop("run")
        event = LedgerEvent(seq, NOON + at_s, 0.0, run, kind, f"event {seq}", **fields)
        self.history.events.append(event)
        return seq

    def decide(
        self, at_s: float, verdict: str, before: Mapping[str, Any] | None = None, **more: Any
    ) -> int:
        inputs = decision_inputs(verdict, before)
        return self.note(at_s, Kind.DECISION, inputs=inputs, **more)

    def ask(
        self, at_s: float | None, name: str = "web", host: str = "cp1"
    ) -> dict[str, Any] | None:
        at = None if at_s is None else NOON + at_s
        return asyncio.run(self.why.of_server(name, host, at))

    def verdict(self, at_s: float) -> str | None:
        found = self.ask(at_s)
        assert found is not None
        return None if found["why"] is None else str(found["why"]["verdict"])

    def everywhere(self, at_s: float) -> list[str]:
        found = asyncio.run(self.why.of_host("cp1", NOON + at_s, frozenset()))
        return [each["service"] for each in found["servers"]]


def test_a_decision_holds_from_its_moment_on() -> None:
    bench = Bench()
    bench.decide(10, "pooled")
    bench.decide(20, "depooled")
    assert [bench.verdict(at_s) for at_s in (10, 19.9, 20, 99)] == [
        "pooled", "pooled", "depooled", "depooled",
    ]  # fmt: skip
    found = bench.ask(None)
    assert found is not None
    assert (found["at"]["epoch"], found["why"]["verdict"]) == (NOON + 1000, "depooled")


def test_where_the_history_begins() -> None:
    bench = Bench()
    bench.decide(10, "pooled", {**decision_inputs("held"), "at": NOON})
    before, then = bench.ask(9), bench.ask(10)
    assert before is not None and then is not None
    assert (before["before_history"], then["before_history"]) == (True, False)
    assert before["history_since"]["epoch"] == NOON + 10


def test_without_any_history_every_moment_lies_before_it() -> None:
    found = asyncio.run(Bench().why.of_host("cp1", NOON, frozenset({"web"})))
    assert (found["before_history"], found["history_since"], found["running"]) == (
        True, None, None,
    )  # fmt: skip
    assert found["servers"] == []


def test_what_a_decision_replaced_held_before_it() -> None:
    bench = Bench()
    bench.decide(100, "depooled", {**decision_inputs("held"), "at": NOON + 50})
    assert [bench.verdict(at_s) for at_s in (49, 50, 99)] == [None, "held", "held"]


def test_before_a_server_came_nothing_was_decided_of_it() -> None:
    bench = Bench()
    bench.decide(100, "pooled", None)
    found = bench.ask(50)
    assert found is not None
    assert (found["why"], found["cause"], found["status"]) == (None, None, None)


def test_who_had_left_the_pool_list_is_said_so() -> None:
    bench = Bench()
    bench.note(10, Kind.DECISION, inputs={"verdict": "removed"})
    found = bench.ask(20)
    assert found is not None
    assert found["why"] == {
        "text": "cp1 was not in the pool list, which it had left at 2023-11-14T22:13:30.000Z.",
        "verdict": "removed",
        "cause": "the pool list",
        "at": {"iso": "2023-11-14T22:13:30.000Z", "epoch": NOON + 10},
    }


# -- nothing but the policy itself knows ---------------------------------------------------------

DECISION = Decision(Verdict.DEPOOLED, "Ping reported down", NOON + 50, 2, 1, 1, Fraction(1))


def of_policy(decision: Decision | None) -> Bench:
    bench = Bench()
    bench.view.service_list = [service("web", [server("cp1", decision=decision)])]
    return bench


def test_what_the_history_does_not_say_the_policy_does() -> None:
    bench = of_policy(DECISION)
    assert [bench.verdict(at_s) for at_s in (49, 50, 60)] == [None, "depooled", "depooled"]


@pytest.mark.parametrize(
    ("bench", "name", "host"),
    [
        (of_policy(DECISION), "dns", "cp1"),
        (of_policy(DECISION), "web", "cp2"),
        (of_policy(None), "web", "cp1"),
    ],
    ids=["no such service", "no such server", "nothing is decided yet"],
)
def test_of_whom_nothing_is_known(bench: Bench, name: str, host: str) -> None:
    assert bench.ask(60, name, host) is None


# -- what else is told --------------------------------------------------------------------------


def test_the_last_ten_events_are_told_up_to_the_moment() -> None:
    bench = Bench()
    bench.decide(0, "pooled")
    for number in range(1, 20):
        bench.note(number)
    bench.note(5, host="cp2")
    found = bench.ask(15)
    assert found is not None
    assert [each["seq"] for each in found["events"]] == list(range(7, 17))


def test_the_cause_of_a_decision_is_told() -> None:
    bench = Bench()
    bench.note(0)
    cause = bench.note(1)
    bench.note(2)
    bench.decide(3, "depooled", cause=cause)
    found = bench.ask(3)
    assert found is not None
    assert found["cause"]["seq"] == cause
    bench.decide(4, "pooled")
    found = bench.ask(4)
    assert found is not None
    assert found["cause"] is None


@pytest.mark.parametrize(
    ("at_s", "running", "former"),
    [(5, None, False), (15, True, False), (25, False, False), (35, True, True), (45, True, False)],
)
def test_whether_pybal_ran_and_whether_the_decision_is_of_a_former_run(
    at_s: float, running: bool | None, former: bool
) -> None:
    bench = Bench()
    bench.decide(1, "pooled")
    bench.note(10, Kind.START, service=None, host=None)
    bench.decide(11, "pooled")
    bench.note(20, Kind.STOP, service=None, host=None)
    bench.note(30, Kind.START, service=None, host=None, run=2)
    bench.decide(40, "depooled", run=2)
    found = bench.ask(at_s)
    assert found is not None
    assert (found["running"], found["of_former_run"]) == (running, former)


def test_a_server_is_told_of_in_every_service_that_has_or_had_it() -> None:
    bench = Bench()
    bench.decide(10, "pooled", service="mail")
    bench.decide(20, "pooled", service="dns")
    bench.decide(30, "pooled")
    bench.note(31, Kind.DECISION, service=None, inputs=decision_inputs("held"))
    assert bench.everywhere(40) == ["web", "dns", "mail"]
    assert bench.everywhere(15) == ["web", "mail", "dns"]
