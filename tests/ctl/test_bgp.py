"""`pybalctl bgp`: peers, who else announces, and where there is no BGP."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pybal.bgp.snapshot import AnnouncedPrefix, MaintenanceSnapshot, OthersRoute, OwnAddress
from tests.ctl.served import ServedSite
from tests.ctl.test_commands import lines
from tests.fakes.view import NOON, FakeView, bgp, server, service


def test_bgp_shows_who_else_announces_our_addresses(tmp_path: Path) -> None:
    route = OthersRoute(
        "192.0.2.1", "198.51.100.1/32", "192.0.2.8", 0, None, (64600, 64512), 2, (), "others"
    )
    own = (
        OwnAddress("198.51.100.1", announced=True, preferred="others", others=(route,)),
        OwnAddress("198.51.100.2", announced=True, preferred="us"),
    )
    shown = replace(bgp(("192.0.2.1", True)), imports=True, own=own)
    with ServedSite(tmp_path / "s", FakeView(bgp_snapshot=shown)) as site:
        rows = lines(site.ctl("bgp"))[-3:]
    assert rows[0][:3] == ["ADDRESS", "PREFERRED", "PEER"]
    path = ["0", "64600", "64512"]
    assert rows[1] == [
        "198.51.100.1", "others", "192.0.2.1", "198.51.100.1/32", "192.0.2.8", *path
    ]  # fmt: skip
    assert rows[2][:2] == ["198.51.100.2", "us"]


def test_an_error_that_is_over_is_not_in_the_summary_of_bgp(tmp_path: Path) -> None:
    both = bgp(("192.0.2.1", True), ("192.0.2.2", False))
    failed = [each._replace(last_error="it hung up", last_error_at=NOON) for each in both.peers]
    shown = replace(both, peers=tuple(failed))
    with ServedSite(tmp_path / "s", FakeView(bgp_snapshot=shown)) as site:
        down, up = site.ctl("bgp")[1].splitlines()[-2:]
        assert "last error: it hung up" in site.ctl("bgp", "192.0.2.1")[1]
    assert down.startswith("192.0.2.2")
    assert down.endswith("it hung up")
    assert "it hung up" not in up


def test_bgp_that_is_off_is_said(tmp_path: Path) -> None:
    with ServedSite(tmp_path / "s", FakeView()) as site:
        assert site.ctl("bgp") == (0, "BGP is off: bgp = no\n", "")
        daemon = site.view.daemon_snapshot
        site.view.daemon_snapshot = daemon._replace(dry_run=True)
        assert "BGP is off: bgp = no, or a dry run without dry-run-bgp = yes" in site.ctl("bgp")[1]
        assert "no audit yet" in site.ctl("ipvs")[1]


def test_a_peer_is_none_while_bgp_is_off(tmp_path: Path) -> None:
    with ServedSite(tmp_path / "s", FakeView()) as site:
        said = "pybalctl: BGP is off, so that there are no peers. `pybalctl bgp` says why\n"
        assert site.ctl("bgp", "192.0.2.1") == (1, "", said)


def test_who_begins_a_maintenance_is_told_that_the_address_is_shared(tmp_path: Path) -> None:
    def prefix(text: str) -> AnnouncedPrefix:
        services = ("api_80", "text_443", "text_80")
        return AnnouncedPrefix(text, "192.0.2.9", 10, (), (), services, ())

    announced = (prefix("198.51.100.0/24"), prefix("198.51.100.1/32"))
    shown = replace(bgp(("192.0.2.1", True)), announced=announced)
    view = FakeView([service("text_443", [server("cp1")])], bgp_snapshot=shown)
    with ServedSite(tmp_path / "s", view) as site:

        def said(*moved: str | None) -> list[str]:
            going = tuple(MaintenanceSnapshot(one, NOON, withdrawn=False) for one in moved)
            site.view.bgp_snapshot = replace(shown, maintenance=going)
            return site.ctl("maintenance", "begin", "text_443")[1].splitlines()[1:]

        address = "198.51.100.1/32 does not move before its other services are, too: "
        assert said("text_443") == [f"{address}api_80, text_80"]
        assert said("text_443", "text_80") == [f"{address}api_80"]
        assert said("text_443", "text_80", "api_80") == []
        assert said(None, "text_443") == []
