"""What `/metrics` and `/api/v1/bgp` say of BGP."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from pybal.bgp.snapshot import (
    AnnouncedPrefix,
    BGPConnectionSnapshot,
    BGPSnapshot,
    HeldAnnouncement,
    MaintenanceSnapshot,
    OthersRoute,
    OwnAddress,
)
from pybal.instrumentation.alerts import Situation, headline
from pybal.instrumentation.bgp_document import bgp_document
from pybal.instrumentation.bgp_metrics import bgp_families
from pybal.instrumentation.bgp_peer_text import peer_text
from pybal.model import Alert
from tests.fakes.view import CONFIG, DAEMON, NO_BGP, NOON, bgp, ipvs, peer, pending_alerts

AT = {"iso": "2023-11-14T22:13:20.000Z", "epoch": NOON}
OURS = BGPConnectionSnapshot("Established", "active", "192.0.2.9", "192.0.2.1")
THEIRS = BGPConnectionSnapshot("OpenSent", "passive", "192.0.2.9", "192.0.2.1")
BUSY = peer("192.0.2.1", "Established")._replace(
    asn=14907,
    since=NOON,
    last_error="Cease/Administrative Shutdown: bye",
    last_error_at=NOON,
    hold_time_s=30,
    capabilities_sent=("four-octet ASN 64600",),
    capabilities_received=("route refresh",),
    prefixes_told=2,
    sessions_lost=3,
    connections_refused=1,
    messages=(("keepalive", "received", 7), ("update", "sent", 5)),
    timers=(("hold_timer", 29.5),),
    bfd="UP",
    description="spine 1",
    not_told=(("ipv6-unicast was not negotiated", 2),),
    connections=(OURS, THEIRS, THEIRS),
)
PREFIX = AnnouncedPrefix(
    prefix="198.51.100.1/32",
    next_hop="192.0.2.9",
    med=100,
    communities=("64600:1",),
    large_communities=("64600:1:2",),
    services=("web_80",),
    peers=("192.0.2.1",),
    as_path=(64600,),
    local_pref=100,
    extended_communities=("rt:64600:1",),
)
SNAPSHOT = replace(
    bgp(("192.0.2.2", False)),
    peers=(BUSY, *bgp(("192.0.2.2", False)).peers),
    announced=(PREFIX, PREFIX._replace(prefix="198.51.100.2/32", peers=())),
    unknown_peers_total=4,
    maintenance=(MaintenanceSnapshot("web_80", NOON, withdrawn=False),),
)


_ORDER = (
    "local_asn", "state", "local_ip", "remote_ip", "side", "peer", "type", "direction", "error"
)  # fmt: skip


def labels(of: dict[str, str]) -> tuple[str, ...]:
    """Their values, those of a peer in one order."""
    first = tuple(of[name] for name in _ORDER if name in of)
    return first + tuple(value for name, value in of.items() if name not in _ORDER)


def values(snapshot: BGPSnapshot) -> dict[str, dict[tuple[str, ...], float]]:
    """Values by metric and the labels' values."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    families: list[Metric] = list(bgp_families(snapshot))
    text = b"".join(peer_text(snapshot, as_openmetrics=False)).decode()
    families += text_string_to_metric_families(text)
    for sample in (sample for family in families for sample in family.samples):
        found.setdefault(sample.name, {})[labels(sample.labels)] = sample.value
    return found


def test_every_number_has_its_series() -> None:
    first, second = ("64600", "192.0.2.1"), ("64600", "192.0.2.2")
    error = "Cease/Administrative Shutdown: bye"
    assert values(SNAPSHOT) == {
        "pybal_bgp_enabled": {(): 1},
        "pybal_bgp_session_state_count": {
            ("64600", "Established", "192.0.2.9", "192.0.2.1", "active"): 1,
            ("64600", "OpenSent", "192.0.2.9", "192.0.2.1", "passive"): 2,
            ("64600", "Active", "", "192.0.2.2", "active"): 1,
        },
        "pybal_bgp_maintenance": {(): 1},
        "pybal_bgp_prefixes": {(): 2},
        "pybal_bgp_unknown_peers_total": {(): 4},
        "pybal_bgp_session_established": {first: 1, second: 0},
        "pybal_bgp_prefixes_announced": {first: 2, second: 0},
        "pybal_bgp_messages_total": {
            (*first, "keepalive", "received"): 7,
            (*first, "update", "sent"): 5,
        },
        "pybal_bgp_sessions_lost_total": {first: 3, second: 0},
        "pybal_bgp_connections_refused_total": {first: 1, second: 0},
        "pybal_bgp_last_error_timestamp_seconds": {(*first, error): NOON},
        "pybal_bgp_bfd_up": {first: 1},
    }


def test_without_bgp_there_is_no_series_of_a_peer() -> None:
    found = values(NO_BGP)
    assert {name for name, series in found.items() if series} == {
        "pybal_bgp_enabled", "pybal_bgp_maintenance", "pybal_bgp_prefixes",
        "pybal_bgp_unknown_peers_total",
    }  # fmt: skip
    assert found["pybal_bgp_enabled"] == {(): 0}


def test_both_formats_take_whatever_a_peer_has_said() -> None:
    said = 'received Cease ("\udce4 "quoted"\\\n")'
    odd = replace(SNAPSHOT, peers=(BUSY._replace(last_error=said),))
    for as_openmetrics, parse, end in (
        (False, text_string_to_metric_families, ""),
        (True, openmetrics.text_string_to_metric_families, "# EOF\n"),
    ):
        text = b"".join(peer_text(odd, as_openmetrics=as_openmetrics)).decode() + end
        samples = [s for f in parse(text) for s in f.samples if "error" in s.labels]
        assert [s.labels["error"] for s in samples] == ['received Cease ("\\udce4 "quoted"\\\n")']


def test_hundreds_of_peers_come_in_pieces() -> None:
    many = replace(SNAPSHOT, peers=(BUSY,) * 200)
    assert sum(not piece for piece in peer_text(many, as_openmetrics=False)) == 4


def test_that_time_goes_on_is_no_change() -> None:
    later = replace(SNAPSHOT, clock_s=SNAPSHOT.clock_s + 10)
    assert later == SNAPSHOT
    assert bgp_document(later)["peers"][0]["timers_s"] == {"hold_timer": 19.5}


def test_the_document_of_a_peer_says_all_that_is_known() -> None:
    document = bgp_document(SNAPSHOT)
    busy, idle = document["peers"]
    assert busy == {
        "address": "192.0.2.1",
        "asn": 14907,
        "description": "spine 1",
        "state": "Established",
        "established": True,
        "since": AT,
        "away_since": None,
        "last_error": {"text": "Cease/Administrative Shutdown: bye", "at": AT},
        "capabilities": {"sent": ["four-octet ASN 64600"], "received": ["route refresh"]},
        "hold_time_s": 30,
        "timers_s": {"hold_timer": 29.5},
        "bfd": "UP",
        "prefixes": ["198.51.100.1/32"],
        "not_told": [{"reason": "ipv6-unicast was not negotiated", "prefixes": 2}],
        "heard": None,
        "not_kept": 0,
        "sessions_lost": 3,
        "connections_refused": 1,
        "messages": {"sent": {"update": 5}, "received": {"keepalive": 7}},
        "connections": [
            connection("Established", "active"),
            connection("OpenSent", "passive"),
            connection("OpenSent", "passive"),
        ],
    }
    assert (idle["since"], idle["last_error"], idle["bfd"]) == (None, None, None)


def connection(state: str, side: str) -> dict[str, Any]:
    return {"state": state, "side": side, "local_ip": "192.0.2.9", "remote_ip": "192.0.2.1"}


def test_the_document_of_a_prefix_says_its_attributes_and_who_was_told() -> None:
    first, second = bgp_document(SNAPSHOT)["prefixes"].elements
    assert first == {
        "prefix": "198.51.100.1/32",
        "next_hop": "192.0.2.9",
        "as_path": (64600,),
        "med": 100,
        "local_pref": 100,
        "communities": ("64600:1",),
        "large_communities": ("64600:1:2",),
        "extended_communities": ("rt:64600:1",),
        "services": ("web_80",),
        "peers": ("192.0.2.1",),
    }
    assert second["peers"] == ()


def test_what_is_in_maintenance_is_shown() -> None:
    assert bgp_document(SNAPSHOT)["maintenance"] == [
        {"service": "web_80", "since": AT, "state": "last choice", "withdrawn_at": None}
    ]
    both = (MaintenanceSnapshot(None, NOON, withdrawn=True), *SNAPSHOT.maintenance)
    shown = replace(SNAPSHOT, announced=(), maintenance=both)
    situation = Situation((), DAEMON, ipvs(), shown, CONFIG)
    alerts = [each.alert for each in pending_alerts(situation)]
    assert headline(alerts).as_text() == (
        "OK - All pools are healthy; This director is in maintenance: withdrawn in BGP; "
        "Pool web_80 is in maintenance: the last choice in BGP"
    )


ROUTE = OthersRoute(
    peer="192.0.2.1",
    prefix="198.51.100.1/32",
    next_hop="192.0.2.8",
    med=100,
    local_pref=None,
    as_path=(64600, 64512),
    path_length=2,
    communities=("64600:7",),
    preferred="alike",
)
ALIKE = OwnAddress("198.51.100.1", announced=True, preferred="alike", others=(ROUTE,))
ALONE = OwnAddress("198.51.100.2", announced=True, preferred="us")


def test_without_import_nothing_is_said_of_others() -> None:
    document = bgp_document(SNAPSHOT)
    assert (document["import"], list(document["addresses"].elements)) == (False, [])


def test_who_else_announces_an_address_is_in_the_document_and_in_the_metrics() -> None:
    shown = replace(SNAPSHOT, imports=True, own=(ALIKE, ALONE))
    first, second = bgp_document(shown)["addresses"].elements
    assert first["others"] == [
        {
            "peer": "192.0.2.1", "prefix": "198.51.100.1/32", "next_hop": "192.0.2.8", "med": 100,
            "local_pref": None, "as_path": (64600, 64512), "path_length": 2,
            "communities": ("64600:7",), "preferred": "alike",
        }
    ]  # fmt: skip
    assert (second["address"], second["preferred"]) == ("198.51.100.2", "us")
    found = values(shown)
    counts = found["pybal_bgp_addresses"]
    assert {key[0]: count for key, count in counts.items() if count} == {"us": 1, "alike": 1}
    name = ("64600", "192.0.2.1", "198.51.100.1", "198.51.100.1/32")
    assert found["pybal_bgp_others_med"] == {name: 100}
    assert found["pybal_bgp_others_path_length"] == {name: 2}
    others = found["pybal_bgp_address_others"]
    assert others == {("198.51.100.1",): 1, ("198.51.100.2",): 0}
    assert ("198.51.100.1", "alike") in found["pybal_bgp_address_preferred"]


def test_only_who_announces_the_very_address_counts_as_another() -> None:
    around = [
        ROUTE._replace(peer="192.0.2.2", prefix="198.51.100.0/24"),
        ROUTE._replace(peer="192.0.2.3", prefix="198.51.100.1/31"),
        ROUTE._replace(peer="192.0.2.4", prefix="198.51.100.2/32"),
    ]
    v6 = OwnAddress("2001:db8::1", True, None, (ROUTE._replace(prefix="2001:db8::1/128"),))
    own = (ALIKE._replace(others=(ROUTE, *around)), v6)
    found = values(replace(SNAPSHOT, imports=True, own=own))
    assert found["pybal_bgp_address_others"] == {("198.51.100.1",): 1, ("2001:db8::1",): 1}
    assert found["pybal_bgp_address_preferred"] == {
        ("198.51.100.1", "alike"): 1, ("2001:db8::1", "unknown"): 1,
    }  # fmt: skip


def test_of_thousands_of_addresses_five_hundred_are_shown_and_all_counted() -> None:
    own = tuple(ALONE._replace(address=f"2001:db8::{number:x}") for number in range(501))
    found = values(replace(SNAPSHOT, imports=True, own=own))
    assert len(found["pybal_bgp_address_preferred"]) == 500
    assert found["pybal_bgp_addresses"][("us",)] == 501


def test_what_is_announced_alike_is_an_alert_unless_that_is_meant() -> None:
    shown = replace(SNAPSHOT, maintenance=(), imports=True, own=(ALIKE, ALONE))
    assert [alert.id for alert in bgp_alerts(shown)] == ["bgp-alike"]
    [alert] = bgp_alerts(shown)
    assert "198.51.100.1 is announced alike by another" in alert.text
    assert "MED 100, by 192.0.2.1" in alert.text
    assert bgp_alerts(replace(shown, own=(ALIKE._replace(shared=True),))) == []


def bgp_alerts(shown: BGPSnapshot) -> list[Alert]:
    shown = replace(shown, peers=shown.peers[:1])
    situation = Situation((), DAEMON, ipvs(), shown, CONFIG)
    return [each.alert for each in pending_alerts(situation)]


def test_what_flaps_and_is_not_announced_yet_is_shown() -> None:
    assert bgp_document(SNAPSHOT)["held"] == []
    shown = replace(SNAPSHOT, held=(HeldAnnouncement("web_80", 3, 12.3456),))
    assert bgp_document(shown)["held"] == [
        {"service": "web_80", "withdrawals": 3, "wait_s": 12.346}
    ]


def test_timers_are_told_to_a_tenth_of_a_second() -> None:
    one = BUSY._replace(timers=(("hold", 112.345), ("connect", 100.04)))
    document = bgp_document(BGPSnapshot(True, 64600, (one,), clock_s=100.0))
    assert document["peers"][0]["timers_s"] == {"hold": 12.3, "connect": 0.0}


def test_an_error_without_a_date_has_no_series() -> None:
    for one in (BUSY._replace(last_error_at=None), BUSY._replace(last_error=None)):
        text = b"".join(peer_text(BGPSnapshot(True, 64600, (one,)), as_openmetrics=False))
        assert b"pybal_bgp_last_error_timestamp_seconds{" not in text
