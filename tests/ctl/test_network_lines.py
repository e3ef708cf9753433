"""What pybalctl says of BGP, of the kernel's table and of alerts, and what of it stands out."""

from __future__ import annotations

from typing import Any

import pytest

from pybal.ctl.local_time import local_time
from pybal.ctl.render_network import (
    alerts_lines,
    bgp_lines,
    headline,
    ipvs_diff,
    ipvs_lines,
    peer_lines,
)
from pybal.ctl.table import Line, Style

NOW = 1_700_000_600.0
THEN = {"epoch": NOW - 300}


def words(lines: list[Line]) -> list[tuple[str, Style]]:
    return [(" ".join(line.text.split()), line.style) for line in lines]


def peer(address: str = "192.0.2.1", established: bool = True, **more: Any) -> dict[str, Any]:
    return {
        "address": address, "asn": 64601, "established": established,
        "state": "Established" if established else "Active", "last_error": None,
        "since": THEN if established else {"epoch": NOW - 1},
        "away_since": None if established else THEN,
        "messages": {"received": {"UPDATE": 2, "KEEPALIVE": 3}, "sent": {"KEEPALIVE": 4}},
        "prefixes": ["198.51.100.1/32"], "description": "", "hold_time_s": None, "bfd": None,
        "sessions_lost": 1, "heard": None, "capabilities": {"sent": [], "received": []},
        "not_told": [], **more,
    }  # fmt: skip


PREFIX: dict[str, Any] = {
    "prefix": "198.51.100.1/32", "next_hop": "192.0.2.9", "med": 10, "communities": ["64600:1"],
    "services": ["web", "dns"],
}  # fmt: skip


def bgp(*peers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "enabled": True, "director": {"router_id": "192.0.2.9"}, "local_asn": 64600,
        "prefixes": [PREFIX], "maintenance": [], "peers": list(peers), "addresses": [], **more,
    }  # fmt: skip


def test_bgp_that_is_off_says_why() -> None:
    off = {"enabled": False}
    assert bgp_lines(off, NOW, dry_run=False) == [Line("BGP is off: bgp = no")]
    text = "BGP is off: bgp = no, or a dry run without dry-run-bgp = yes"
    assert bgp_lines(off, NOW, dry_run=True) == [Line(text)]


def test_peers_without_a_session_come_first_and_stand_out() -> None:
    peers = (
        peer("192.0.2.2", description="the first"),
        peer("192.0.2.1"),
        peer("192.0.2.3", established=False, last_error={"text": "refused", "at": THEN}),
    )
    first, titles, *lines = words(bgp_lines(bgp(*peers), NOW, dry_run=False))
    assert first == ("Router 192.0.2.9, local AS 64600, 1 prefix", Style.PLAIN)
    assert titles == (
        "NEIGHBOR AS MSGRCVD MSGSENT UP/DOWN STATE/PFXSNT DESCRIPTION", Style.HEAD,
    )  # fmt: skip
    assert lines == [
        ("192.0.2.3 64601 5 4 5 min Active refused", Style.BAD),
        ("192.0.2.1 64601 5 4 5 min 1", Style.PLAIN),
        ("192.0.2.2 64601 5 4 5 min 1 the first", Style.PLAIN),
    ]


def test_maintenance_is_said() -> None:
    at = {"epoch": NOW + 23}
    one = {"service": "web", "since": THEN, "state": "withdrawn", "withdrawn_at": THEN}
    whole = {**one, "service": None, "state": "last choice", "withdrawn_at": at}
    never = {**whole, "service": "dns", "withdrawn_at": None}
    shown = bgp(maintenance=[one, whole, never], director={"router_id": None})
    first, *lines = bgp_lines(shown, NOW, dry_run=False)
    assert first == Line("Router -, local AS 64600, 1 prefix")
    assert lines[:3] == [
        Line("Maintenance of web for 5 min: withdrawn", Style.WORSE),
        Line(
            "Maintenance of this whole director for 5 min: last choice, withdrawn in 23 s",
            Style.WORSE,
        ),
        Line("Maintenance of dns for 5 min: last choice", Style.WORSE),
    ]


@pytest.mark.parametrize(
    ("preferred", "style"),
    [
        ("us", Style.GOOD),
        ("others", Style.PLAIN),
        ("both", Style.WORSE),
        ("alike", Style.WORSE),
        ("nobody", Style.BAD),
        (None, Style.PLAIN),
    ],
)
def test_who_else_announces_our_addresses(preferred: str | None, style: Style) -> None:
    route = {
        "peer": "192.0.2.1", "prefix": "198.51.100.0/24", "next_hop": "192.0.2.8", "med": 0,
        "as_path": [64601, 64602],
    }  # fmt: skip
    bare = {**route, "next_hop": None, "med": None, "as_path": []}
    own = {"address": "198.51.100.1", "preferred": preferred, "others": [route, bare]}
    alone: dict[str, Any] = {"address": "198.51.100.2", "preferred": preferred, "others": []}
    lines = words(bgp_lines(bgp(addresses=[own, alone]), NOW, dry_run=False))[2:]
    who = preferred or "-"
    assert lines == [
        ("ADDRESS PREFERRED PEER SAYS PREFIX NEXT HOP MED PATH", Style.HEAD),
        (f"198.51.100.1 {who} 192.0.2.1 198.51.100.0/24 192.0.2.8 0 64601 64602", style),
        (f"198.51.100.1 {who} 192.0.2.1 198.51.100.0/24 - - -", style),
        (f"198.51.100.2 {who} - - - - -", style),
    ]


def test_a_session_without_the_bfd_that_is_wanted_is_said() -> None:
    one = peer(bfd="DOWN", description="spine 1")
    said = "BFD is DOWN: is it on at the router?"
    assert bgp_lines(bgp(one), NOW, dry_run=False)[-1].text.endswith(f" 1  {said}")
    assert Line(f"  {said}", Style.WORSE) in peer_lines(bgp(one), one, NOW)
    away = peer(established=False, bfd="DOWN")
    assert Line("  BFD is DOWN", Style.PLAIN) in peer_lines(bgp(away), away, NOW)


def test_of_one_peer_all_is_said_that_there_is() -> None:
    one = peer()
    lines = words(peer_lines(bgp(one), one, NOW))
    assert lines == [
        ("BGP neighbor 192.0.2.1, AS 64601", Style.HEAD),
        ("state Established for 5 min", Style.PLAIN),
        ("messages: 5 received, 4 sent", Style.PLAIN),
        ("sessions lost: 1", Style.PLAIN),
        ("PREFIX NEXT HOP TOLD MED COMMUNITIES SERVICES", Style.HEAD),
        ("198.51.100.1/32 192.0.2.9 yes 10 64600:1 web dns", Style.PLAIN),
    ]
    capabilities = {"sent": ["as4", "refresh"], "received": ["refresh", "role"]}
    one = peer(
        established=False, description="left", last_error={"text": "refused", "at": THEN},
        hold_time_s=30, bfd="UP", heard=2, capabilities=capabilities, prefixes=[],
        not_told=[{"prefixes": 3, "reason": "no next hop"}],
    )  # fmt: skip
    assert words(peer_lines(bgp(one), one, NOW))[1:-2] == [
        ("left", Style.PLAIN),
        ("state Active, no session for 5 min", Style.BAD),
        ("last error: refused (5 min ago)", Style.WORSE),
        ("hold time 30 s", Style.PLAIN),
        ("BFD is UP", Style.PLAIN),
        ("messages: 5 received, 4 sent", Style.PLAIN),
        ("sessions lost: 1", Style.PLAIN),
        ("routes of others for our addresses: 2", Style.PLAIN),
        ("capability as4: sent", Style.PLAIN),
        ("capability refresh: sent and received", Style.PLAIN),
        ("capability role: received", Style.PLAIN),
        ("not told: 3 prefixes: no next hop", Style.WORSE),
    ]
    assert peer_lines(bgp(one), one, NOW)[-1].text.split()[2] == "no"
    heading = peer_lines(bgp(one), {**one, "asn": None}, NOW)[0].text
    assert heading == "BGP neighbor 192.0.2.1, AS not known yet"
    nothing = peer_lines(bgp(one, prefixes=[]), one, NOW)
    assert nothing[-1] == Line("  not told: 3 prefixes: no next hop", Style.WORSE)


def table(**more: Any) -> dict[str, Any]:
    audit = {"finished": THEN, "repairs_total": 1, "drift": []}
    return {
        "services": 1, "destinations": 2, "in_sync": True, "dry_run": False, "audit": audit,
        "changes_total": 3, "errors_total": 0, "last_error": None, "missing": [], "unmanaged": [],
        "ownership_error": "", "draining": [], "statistics": None, **more,
    }  # fmt: skip


GOOD = Line("1 service, 2 destinations: as it should be", Style.GOOD)
CARE = Line("3 changes, 0 errors; last audit 5 min ago, 1 repair")


def test_a_table_that_is_as_it_should_be_is_green() -> None:
    assert ipvs_lines(table(), NOW) == [GOOD, CARE]
    late = Line("1 service, 2 destinations: not yet as it should be (a dry run)", Style.WORSE)
    assert ipvs_lines(table(in_sync=False, dry_run=True), NOW) == [late, CARE]
    audit: dict[str, Any] = {"finished": None, "repairs_total": 0, "drift": []}
    never = Line("3 changes, 0 errors; no audit yet (ipvs-audit-interval), 0 repairs")
    assert ipvs_lines(table(audit=audit), NOW) == [GOOD, never]


DRIFT = [
    {"service": "web", "repaired": True, "differences": ["a", "b"]},
    {"service": "dns", "repaired": False, "differences": ["c"]},
]
CHANGED = [
    Line("changed by others (repaired): web: a; b", Style.BAD),
    Line("changed by others (not repaired): dns: c", Style.BAD),
]
LEFT_ALONE = Line("not configured, left alone: tcp 192.0.2.7:80, tcp 192.0.2.8:80", Style.WORSE)


def test_what_is_not_as_it_should_be_is_said() -> None:
    shown = table(
        last_error={"at": THEN, "text": "no such device"},
        audit={"finished": THEN, "repairs_total": 1, "drift": DRIFT},
        unmanaged=["tcp 192.0.2.7:80", "tcp 192.0.2.8:80"],
        ownership_error="the record cannot be written",
        draining=[
            {"server": "192.0.2.10:80", "service": "s", "connections": 3, "seconds_left": 90},
            {"server": "192.0.2.11:80", "host": "cp1", "service": "s", "name": "web",
             "connections": None, "seconds_left": 120},
        ],
    )  # fmt: skip
    assert ipvs_lines(shown, NOW) == [
        GOOD,
        CARE,
        Line("last error, 5 min ago: no such device"),
        *CHANGED,
        LEFT_ALONE,
        Line("the record cannot be written", Style.BAD),
        Line("draining: 192.0.2.10:80 of s: 3 connections, 90 s left"),
        Line("draining: cp1 (192.0.2.11:80) of web: ? connections, 2 min left"),
    ]


def test_what_passes_through_it_is_counted() -> None:
    servers = [
        {"active_connections": 1, "inactive_connections": 10},
        {"active_connections": 2, "inactive_connections": 20},
    ]
    traffic = {"connections_per_s": 5, "bytes_in_per_s": 6, "bytes_out_per_s": 7}
    named = {"name": "web", "service": "tcp 192.0.2.1:80", "servers": servers, "traffic": traffic}
    unnamed = {**named, "name": None, "servers": []}
    lines = words(ipvs_lines(table(statistics={"services": [named, unnamed]}), NOW))[2:]
    assert lines == [
        ("SERVICE SERVERS ACTIVE INACTIVE CONN/S BYTES-IN/S BYTES-OUT/S", Style.HEAD),
        ("web 2 3 30 5 6 7", Style.PLAIN),
        ("tcp 192.0.2.1:80 0 0 0 5 6 7", Style.PLAIN),
    ]
    assert ipvs_lines(table(statistics={"services": []}), NOW) == [GOOD, CARE]


AUDIT = Line("last audit 5 min ago")
FINE = Line("The kernel's table is as it should be", Style.GOOD)
MISSING = [
    {"service": "web", "servers": ["cp1", "cp2"], "otherwise": False},
    {"service": "dns", "servers": [], "otherwise": False},
]


@pytest.mark.parametrize(
    ("more", "lines", "differs"),
    [
        ({}, [FINE], False),
        (
            {"audit": {"finished": THEN, "drift": DRIFT[:1]}},
            [CHANGED[0], FINE],
            False,
        ),
        ({"audit": {"finished": THEN, "drift": DRIFT}}, CHANGED, True),
        (
            {"missing": MISSING},
            [
                Line("not taken by the kernel: cp1, cp2 of web", Style.BAD),
                Line("not taken by the kernel: the service of dns", Style.BAD),
            ],
            True,
        ),
        ({"unmanaged": ["tcp 192.0.2.7:80", "tcp 192.0.2.8:80"]}, [LEFT_ALONE], True),
        ({"in_sync": False}, [Line("the table is not yet as it should be", Style.WORSE)], True),
    ],
)
def test_the_difference_to_the_kernel(
    more: dict[str, Any], lines: list[Line], differs: bool
) -> None:
    assert ipvs_diff(table(**more), NOW) == ([*lines, AUDIT], differs)


def test_the_difference_of_a_dry_run_is_said_to_be_one() -> None:
    dry = Line("last audit 5 min ago, a dry run")
    assert ipvs_diff(table(dry_run=True), NOW) == ([FINE, dry], False)


@pytest.mark.parametrize(
    ("severity", "style"),
    [("critical", Style.BAD), ("warning", Style.WORSE), ("ok", Style.GOOD), ("new", Style.PLAIN)],
)
def test_an_alert_looks_as_severe_as_it_is(severity: str, style: Style) -> None:
    alert = {"severity": severity, "id": "held", "text": "web is held", "age_s": 300.0}
    document = {"status": severity, "msg": "all", "alerts": [alert]}
    assert headline(document) == Line(f"{severity.upper()} - all", style)
    since = local_time({"epoch": NOW - 300})
    one = Line(f"{severity.upper()} held: web is held (since {since})", style)
    assert alerts_lines(document, NOW)[:-1] == [headline(document), one]


def test_an_alert_that_names_a_thousand_servers_leaves_room_for_others() -> None:
    text = f"web: Servers {', '.join(f'cp{n}' for n in range(1000))} are marked down but pooled"
    alert = {"severity": "critical", "id": "held", "text": text, "age_s": 300.0}
    head, one, _ = alerts_lines({"status": "critical", "msg": text, "alerts": [alert]}, NOW)
    for line in (head, one):
        assert "… (all of it: pybalctl --json alerts) …" in line.text
        assert "cp999 are marked down but pooled" in line.text
        assert len(line.text) < 1200


def test_where_there_is_nothing_to_do_nothing_is_said_of_it() -> None:
    document = {"status": "ok", "msg": "All pools are healthy", "alerts": []}
    assert alerts_lines(document, NOW) == [headline(document)]


def test_the_blank_at_the_end_of_the_contract_s_line_is_not_shown() -> None:
    assert headline({"status": "warning", "msg": "a. "}).text == "WARNING - a."
