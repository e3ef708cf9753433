"""Each alert of one pool: in which words, how bad, after how long, and what it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from pybal.instrumentation.pending_alert import PendingAlert
from pybal.kept_change import KeptSnapshot
from pybal.model import Alert, ServerSnapshot, ServiceSnapshot, Severity, SourceSnapshot
from pybal.override import Action, LaidOver, Override
from tests.fakes.view import NOON, alerts_of, server, service

OK, WARNING, CRITICAL = Severity
FINE = SourceSnapshot("file:///x", False, NOON, None)
OLD = FINE._replace(stale=True, last_error="refused")
GOOD = [server("a"), server("b"), server("c"), server("d")]
DAY_S = 86_400.0


def pool(
    servers: Sequence[ServerSnapshot] = GOOD, source: SourceSnapshot = FINE, **more: Any
) -> ServiceSnapshot:
    return service("web", servers, source=source)._replace(**more)


def alert(id_: str, text: str, severity: Severity = WARNING) -> Alert:
    return Alert(id_, severity, "web", text)


def named(host: str, **more: Any) -> ServerSnapshot:
    return server(host)._replace(**more)


def test_a_pool_that_is_well_has_none() -> None:
    assert alerts_of(pool()) == ()


def test_servers_that_are_held() -> None:
    held = [server(host, up=False, pooled=True) for host in "xy"]
    assert alerts_of(pool([*GOOD, *held])) == (
        PendingAlert(
            alert("down-but-pooled", "web: Servers x, y are marked down but pooled", CRITICAL),
            details=("x", "y"),
        ),
    )


def test_an_old_list_is_one_that_cannot_be_read_for_half_a_minute() -> None:
    assert alerts_of(pool(source=OLD)) == (
        PendingAlert(
            alert("list-stale", "Pool web has an old list, a new one cannot be had: refused"),
            after_s=30.0,
        ),
    )
    assert alerts_of(pool(source=OLD._replace(stale=False))) == ()
    assert alerts_of(pool(source=OLD._replace(last_error=None))) == ()
    (long,) = alerts_of(pool(source=OLD._replace(last_error="x" * 1000)))
    shown = "x" * 199 + "… (all of it: pybalctl pool web)"
    assert long.alert.text.endswith(f"had: {shown}")


def test_a_damaged_list() -> None:
    assert alerts_of(pool(source=FINE._replace(damage=("line 1", "line 2")))) == (
        PendingAlert(
            alert("list-damaged", "Pool web has a damaged list: line 1; line 2"),
            details=("line 1", "line 2"),
        ),
    )


def test_servers_without_an_address_are_told_after_ten_seconds() -> None:
    some = [named("x", address=None), named("y", address=None, enabled=False)]
    assert alerts_of(pool([*GOOD, *some]))[-1] == PendingAlert(
        alert("no-address", "Pool web has servers without an address: x"),
        after_s=10.0,
        details=("x",),
    )


def test_a_server_of_the_other_ip_version_is_said_to_be() -> None:
    text = "Pool web has servers without an address: x, 2001:db8::1"
    some = [named("x", address=None), named("2001:db8::1", address=None)]
    assert alerts_of(pool([*GOOD, *some]))[-1].alert == alert(
        "no-address", f"{text}; not of the service's IP version: 2001:db8::1"
    )


HELD = KeptSnapshot(("a", "b"), NOON, False, 1, 2, (), 900.0)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            HELD,
            "Pool web holds a, b, which its list takes away: 1 working server would be left,"
            " list-floor wants 2",
        ),
        (
            HELD._replace(left=0, taken=(("c", NOON), ("d", NOON))),
            "Pool web holds a, b, which its list takes away, after c, d went within 15 minutes:"
            " 0 working servers would be left, list-floor wants 2",
        ),
        (
            HELD._replace(waiting=True),
            "Pool web keeps a, b until servers of its new list work",
        ),
    ],
)
def test_what_a_list_takes_away_and_stays(change: KeptSnapshot, text: str) -> None:
    assert alerts_of(pool(held=(change,))) == (PendingAlert(alert("list-held", text), str(NOON)),)


# -- nobody is served ---------------------------------------------------------------------------


def nobody(severity: Severity, text: str) -> PendingAlert:
    """It may settle within two seconds, and may be the start."""
    return PendingAlert(
        alert("nobody-served", f"Pool web {text}", severity), after_s=2.0, may_be_start=True
    )


OUT = [server("x", up=False), server("y", up=False)]
DRAINED = LaidOver(
    Override("web", "x", Action.DRAIN, "alice", "disk", NOON, NOON + 60), 10, listed_enabled=True
)
ABSENT = [named("x", address=None, up=False, pooled=False), named("y", address=None, pooled=False)]


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        ([], nobody(CRITICAL, "has no servers: its list has not come yet")),
        (OUT, nobody(CRITICAL, "serves nobody: none of its servers is up (x, y)")),
        (
            [named("x", pooled=False), OUT[1]],
            nobody(CRITICAL, "serves nobody: not pooled: x, y"),
        ),
        (
            [server("x", enabled=False), server("y", enabled=False)],
            nobody(WARNING, "serves nobody: all its servers are disabled"),
        ),
        (
            [named("x", enabled=False, pooled=False, over=DRAINED)],
            nobody(
                WARNING,
                "serves nobody: all its servers are disabled"
                " (operators have taken out x: pybalctl overrides)",
            ),
        ),
        (
            [server("x", weight=0), server("y", enabled=False)],
            nobody(WARNING, "serves nobody: the weights of all its servers are 0"),
        ),
        (
            [server("x", weight=0), OUT[1]],
            nobody(
                CRITICAL,
                "serves nobody: none of its servers is up (y), and the weight of x is 0",
            ),
        ),
    ],
    ids=lambda value: "",
)
def test_a_pool_that_serves_nobody(servers: list[ServerSnapshot], expected: PendingAlert) -> None:
    found = [each for each in alerts_of(pool(servers)) if each.alert.id == "nobody-served"]
    assert found == [expected]


def test_a_pool_whose_servers_have_no_addresses() -> None:
    assert alerts_of(pool(ABSENT))[0] == nobody(
        CRITICAL, "serves nobody: no address is known of x, y"
    )
    one = [ABSENT[0], OUT[1]]
    assert alerts_of(pool(one))[0] == nobody(
        CRITICAL, "serves nobody: none of its servers is up (x, y)"
    )


def test_a_list_that_cannot_be_had_is_critical_once_the_start_is_over() -> None:
    assert alerts_of(pool([], FINE._replace(last_error="refused"))) == (
        PendingAlert(
            alert("nobody-served", "Pool web has no servers, its list cannot be had: refused"),
            critical_after_s=15.0,
        ),
    )


def test_one_that_serves_is_enough() -> None:
    assert [each.alert.id for each in alerts_of(pool([server("a"), *OUT, OUT[0]]))] == []
    assert alerts_of(pool([server("a", weight=0), server("b", weight=1)])) == ()


def test_what_stood_in_the_kernel_serves_though_no_server_does() -> None:
    (standing,) = alerts_of(pool(ABSENT, standing=("192.0.2.1:80",)))[:1]
    assert (standing.alert.id, standing.after_s) == ("standing", 10.0)
    assert standing.details == ("192.0.2.1:80",)
    assert "192.0.2.1:80" in standing.alert.text


# -- what may have been forgotten ---------------------------------------------------------------


def test_an_override_that_lasts_for_more_than_a_day() -> None:
    text = f"x of pool web is {DRAINED.override.text}, for more than a day"
    elsewhere = ip_address("192.0.2.99")
    drained = named("x", weight=0, over=DRAINED, address=elsewhere)
    found = alerts_of(pool([*GOOD, drained]))
    assert found == (PendingAlert(alert("overridden-long", text), "x", from_at=NOON + DAY_S),)


def test_an_override_that_is_suspended() -> None:
    over = replace(DRAINED, suspended="1 would be left")
    found = alerts_of(pool([*GOOD, named("x", over=over)]))
    assert [each.alert.id for each in found] == ["overridden-long", "override-suspended"]
    assert found[1] == PendingAlert(
        alert("override-suspended", f"x of pool web is {over.text}"), "x"
    )


@pytest.mark.parametrize(
    ("one", "long"),
    [
        (server("x", enabled=False), True),
        (named("x", enabled=False, pooled=False, over=DRAINED), False),
        (named("x", over=replace(DRAINED, listed_enabled=False)), True),
    ],
    ids=["by its list", "by an operator", "by its list, under an override"],
)
def test_a_server_that_its_list_disables_for_more_than_a_day(
    one: ServerSnapshot, long: bool
) -> None:
    expected = PendingAlert(
        alert("disabled-long", "x of pool web is disabled by its list, for more than a day"),
        "x",
        after_s=DAY_S,
    )
    found = [each for each in alerts_of(pool([*GOOD, one])) if each.after_s == DAY_S]
    assert found == ([expected] if long else [])


@pytest.mark.parametrize(
    ("size", "threshold", "too_small"),
    [(1, "1", False), (2, "1/2", False), (2, "0.51", True), (3, "2/3", False), (3, "0.67", True)],
)
def test_a_pool_that_can_never_spare_one(size: int, threshold: str, too_small: bool) -> None:
    one = service("web", [server(f"h{n}") for n in range(size)], threshold=threshold)
    expected = PendingAlert(alert("too-small", "Pool web is too small to allow depooling"))
    assert alerts_of(one) == ((expected,) if too_small else ())
