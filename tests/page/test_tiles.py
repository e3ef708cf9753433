"""Each part of the director in two words, and how bad it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pybal.bgp.snapshot import AnnouncedPrefix, MaintenanceSnapshot
from pybal.config.snapshot import ReloadOutcome, ReloadSnapshot
from pybal.ipvs.snapshot import AuditSnapshot, DriftSnapshot, MissingSnapshot
from pybal.kept_change import KeptSnapshot
from pybal.model import (
    Alert,
    HealthSnapshot,
    IsolationSnapshot,
    ServiceSnapshot,
    Severity,
    SourceSnapshot,
)
from pybal.page.seen import Seen, SinceAlert, seen_service
from pybal.page.tiles import tiles
from tests.fakes.view import CONFIG, DAEMON, NO_BGP, NOON, bgp, ipvs, server, service

CALM = Seen((), (), DAEMON, ipvs(), NO_BGP, CONFIG, ())
OK, WARNING, CRITICAL = Severity


def tile(where: str, hosts_out: int = 0, **changes: Any) -> tuple[str, str]:
    """Words and level of a tile, of a calm director but for these changes."""
    (piece,) = [p for p in tiles(CALM._replace(**changes), hosts_out) if p.id == f"tile-{where}-h"]
    drawn = piece.render(piece.id, *piece.values)
    assert f'href="#{where}-h"' in drawn
    value = drawn.partition('class="value">')[2].partition("<")[0]
    return value, drawn.partition('" class="')[2].partition('"')[0]


def alerts(*severities: Severity) -> tuple[SinceAlert, ...]:
    return tuple(SinceAlert(Alert("x", each, None, "x"), NOON) for each in severities)


def test_the_tiles_are_in_the_order_of_the_page() -> None:
    names = [piece.values[0] for piece in tiles(CALM, 0)]
    assert names == [
        "Alerts", "Services", "Hosts out", "BGP", "Kernel", "Lists", "Configuration", "Director",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (alerts(), ("none", "ok")),
        (alerts(WARNING), ("1", "warning")),
        (alerts(WARNING, OK, CRITICAL), ("3", "critical")),
        (alerts(OK, WARNING), ("2", "warning")),
        (alerts(OK, OK), ("2 known", "off")),
        (alerts(*[WARNING] * 1200), ("1,200", "warning")),
    ],
)
def test_alerts(found: tuple[SinceAlert, ...], shown: tuple[str, str]) -> None:
    assert tile("alerts", alerts=found) == shown


def pool(up: int, down: int = 0, *, held: bool = False, bad: Severity | None = None) -> Any:
    servers = [server(f"u{n}") for n in range(up)]
    servers += [server(f"d{n}", up=False, pooled=held) for n in range(down)]
    found = () if bad is None else (Alert("x", bad, "s", "x"),)
    return seen_service(service("s", servers), found)


@pytest.mark.parametrize(
    ("pools", "shown"),
    [
        ([], ("0 ok", "ok")),
        ([pool(1), pool(2)], ("2 ok", "ok")),
        ([pool(1), pool(1, 1)], ("1/2 ok", "degraded")),
        ([pool(1, 1), pool(1, bad=WARNING), pool(3)], ("1/3 ok", "warning")),
        ([pool(1, bad=CRITICAL), pool(1, bad=WARNING)], ("0/2 ok", "critical")),
    ],
    ids=lambda value: "",
)
def test_services(pools: list[Any], shown: tuple[str, str]) -> None:
    assert tile("services", services=tuple(pools)) == shown


@pytest.mark.parametrize(
    ("pools", "hosts", "shown"),
    [
        ([pool(2)], 0, ("none", "ok")),
        ([pool(2), pool(1, 1)], 1, ("1", "warning")),
        ([pool(1, 1), pool(1, 1, held=True)], 1234, ("1,234", "critical")),
    ],
    ids=lambda value: "",
)
def test_hosts_that_are_out(pools: list[Any], hosts: int, shown: tuple[str, str]) -> None:
    assert tile("hosts", hosts, services=tuple(pools)) == shown


UP, DOWN = ("192.0.2.1", True), ("192.0.2.2", False)
MAINTENANCE = (MaintenanceSnapshot(None, NOON, withdrawn=False),)
ANNOUNCED = (AnnouncedPrefix("192.0.2.80/32", "192.0.2.9", None, (), (), ("s",), ()),)


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (NO_BGP, ("off", "off")),
        (replace(bgp(UP), announced=ANNOUNCED), ("1/1 up", "ok")),
        (bgp(UP), ("1/1 up", "ok")),
        (replace(bgp(UP, DOWN), announced=ANNOUNCED), ("1/2 up", "warning")),
        (replace(bgp(DOWN), announced=ANNOUNCED), ("0/1 up", "critical")),
        # Nothing is announced, so nothing is missed.
        (bgp(UP, DOWN), ("1/2 up", "degraded")),
        (replace(bgp(UP), maintenance=MAINTENANCE), ("maintenance", "warning")),
    ],
    ids=lambda value: "",
)
def test_bgp(found: Any, shown: tuple[str, str]) -> None:
    assert tile("bgp", bgp=found) == shown


DRIFT = AuditSnapshot(drift=(DriftSnapshot("s", NOON, ("x",), repaired=True),))
MISSING = (MissingSnapshot("s"),)


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, ("in sync", "ok")),
        ({"in_sync": False}, ("at work", "degraded")),
        ({"audit": DRIFT}, ("drift", "warning")),
        ({"audit": DRIFT, "missing": MISSING}, ("refuses", "critical")),
        ({"dry_run": True, "missing": MISSING}, ("dry run", "off")),
    ],
)
def test_the_kernel(changes: dict[str, Any], shown: tuple[str, str]) -> None:
    assert tile("kernel", ipvs=ipvs()._replace(**changes)) == shown


HELD = KeptSnapshot(("a",), NOON, False, 0, 1, (), 600)


def listed(*, stale: bool = False, damaged: bool = False, held: int = 0) -> ServiceSnapshot:
    source = SourceSnapshot("file:///x", stale, NOON, None, ("line 1",) if damaged else ())
    return service("s", [server("a")], source=source)._replace(held=(HELD,) * held)


@pytest.mark.parametrize(
    ("lists", "shown"),
    [
        ([], ("fresh", "ok")),
        ([listed()], ("fresh", "ok")),
        ([listed(), listed(stale=True)], ("1 old", "warning")),
        (
            [listed(damaged=True), listed(stale=True), listed(damaged=True)],
            ("2 damaged", "warning"),
        ),
        ([listed(held=2), listed(damaged=True)], ("1 held", "warning")),
    ],
    ids=lambda value: "",
)
def test_lists(lists: list[ServiceSnapshot], shown: tuple[str, str]) -> None:
    seen = tuple(seen_service(each, ()) for each in lists)
    assert tile("lists", services=seen) == shown


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, ("as on disk", "ok")),
        ({"needs_restart": ("ip",)}, ("needs restart", "degraded")),
        ({"differs_since": NOON, "needs_restart": ("ip",)}, ("differs", "degraded")),
        ({"differs_since": 0.0}, ("differs", "degraded")),
        (
            {"last_reload": ReloadSnapshot(NOON, ReloadOutcome.APPLIED, (), ())},
            ("as on disk", "ok"),
        ),
        (
            {
                "last_reload": ReloadSnapshot(NOON, ReloadOutcome.REFUSED, ("x",), ()),
                "differs_since": NOON,
            },
            ("refused", "warning"),
        ),
        (
            {"last_reload": ReloadSnapshot(NOON, ReloadOutcome.IN_PART, ("x",), ("add web",))},
            ("applied in part", "warning"),
        ),
        (
            {
                "in_part": ("x",),
                "is_last_good": True,
                "last_reload": ReloadSnapshot(NOON, ReloadOutcome.REFUSED, ("y",), ()),
            },
            ("applied in part", "warning"),
        ),
        (
            {
                "is_last_good": True,
                "last_reload": ReloadSnapshot(NOON, ReloadOutcome.REFUSED, ("x",), ()),
            },
            ("last good", "warning"),
        ),
    ],
)
def test_the_configuration(changes: dict[str, Any], shown: tuple[str, str]) -> None:
    assert tile("config", config=CONFIG._replace(**changes)) == shown


ISOLATED = HealthSnapshot(isolation=IsolationSnapshot("isolated", NOON), local_fault="x")


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, ("well", "ok")),
        ({"dry_run": True}, ("dry run", "off")),
        (
            {"health": HealthSnapshot(local_fault="no descriptors"), "dry_run": True},
            ("local fault", "warning"),
        ),
        ({"health": ISOLATED}, ("isolated", "critical")),
    ],
)
def test_the_director(changes: dict[str, Any], shown: tuple[str, str]) -> None:
    assert tile("daemon", daemon=DAEMON._replace(**changes)) == shown
