from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from pybal.instrumentation.pending_alert import Dated
from pybal.model import (
    Alert,
    Decision,
    ServerSnapshot,
    Severity,
    Verdict,
)
from pybal.override import Action, LaidOver, Override
from pybal.page.seen import since_alerts
from pybal.page.tally import Care, Standing, badness, care_of, in_trouble, standing, tally
from tests.fakes.view import NOON, monitor, server, service

DRAINED = LaidOver(
    Override("s", "a", Action.DRAIN, "alice", "why", NOON, NOON + 60), 10, listed_enabled=True
)
UNPROVEN = Decision(Verdict.POOLED_UNPROVEN, "new", NOON, 1, 1, 1, Fraction(1, 2))


@pytest.mark.parametrize(
    ("one", "care"),
    [
        (server("a"), Care.SERVES),
        (server("a", weight=0), Care.IDLE),
        (server("a", decision=UNPROVEN), Care.UNPROVEN),
        (server("a", up=False), Care.DOWN),
        (server("a", up=False, pooled=True), Care.HELD),
        (server("a", pooled=False), Care.WAITING),
        (server("a", enabled=False), Care.DISABLED),
        (server("a", enabled=False, up=False), Care.DISABLED),
        (server("a", up=False)._replace(over=DRAINED), Care.DRAINED),
        (server("a", enabled=False)._replace(over=replace(DRAINED, suspended="x")), Care.DISABLED),
    ],
)
def test_how_a_server_is(one: ServerSnapshot, care: Care) -> None:
    assert care_of(one) is care


def test_a_services_counts() -> None:
    servers = [server("a"), server("b", up=False), server("c", up=False, pooled=True)]
    counts, out = tally(service("s", [*servers, server("d", enabled=False)], threshold="3/4"))
    assert (counts.servers, counts.up, counts.pooled) == (4, 2, 2)
    assert counts.required == 3
    assert counts.out == ("b", "c") == tuple(each.host for each, _ in out)
    assert counts.count(Care.DOWN) == counts.count(Care.SERVES) == 1
    assert counts.count(Care.IDLE) == 0


def test_services_are_sorted_the_worst_first() -> None:
    def counts(down: int, up: int) -> tuple[int, float, int]:
        servers = [server(f"d{n}", up=False) for n in range(down)]
        servers += [server(f"u{n}") for n in range(up)]
        found, _ = tally(service("s", servers))
        return badness(standing(found, ()), found)

    in_order = [counts(1, 1), counts(2, 4), counts(1, 2), counts(1, 9), counts(0, 5), counts(0, 0)]
    assert sorted(in_order) == in_order
    assert in_order[0] < in_order[1] < in_order[2] < in_order[3] < in_order[4]


def test_a_service_stands_as_its_alerts_say() -> None:
    found, _ = tally(service("s", [server("a")]))
    alerts = {each: Alert("x", each, "s", "x") for each in Severity}
    assert standing(found, ()) is Standing.FINE
    assert standing(found, [alerts[Severity.OK]]) is Standing.FINE
    assert standing(found, [alerts[Severity.WARNING]]) is Standing.WARNING
    assert standing(found, [alerts[Severity.WARNING], alerts[Severity.CRITICAL]]) is (
        Standing.CRITICAL
    )
    assert [each.level for each in Standing] == ["critical", "warning", "degraded", "ok"]


def test_a_host_is_told_once_with_all_its_services_and_its_first_reason() -> None:
    down = server(
        "a", up=False, monitors=(monitor(), monitor("Ping", up=False, reason="silent"))
    )._replace(
        decision=UNPROVEN,
    )
    out = [("s1", [(down, Care.DOWN)]), ("s2", [(down, Care.HELD), (server("b"), Care.DOWN)])]
    first, second = in_trouble(out)
    assert (first.host, first.worst, first.reason) == ("a", Care.HELD, "Ping: silent")
    assert first.services == (("s2", Care.HELD), ("s1", Care.DOWN))
    assert first.since == NOON
    assert (second.host, second.reason, second.since) == ("b", "", None)


def test_a_host_without_an_address_is_told_with_that_as_its_reason() -> None:
    nameless = server("a", pooled=False)._replace(ready=False, address=None)
    (only,) = in_trouble([("s", [(nameless, Care.WAITING)])])
    assert only.reason == "its address is not known"


def test_an_alerts_age_says_since_when_it_is() -> None:
    alert = Alert("x", Severity.OK, None, "x")
    (since,) = since_alerts([Dated(alert, 60.2)], NOON)
    assert since.since == NOON - 60
