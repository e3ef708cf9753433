"""The metrics of IPVS: the care for the table, and what the kernel counts."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from prometheus_client.openmetrics import parser as openmetrics_parser

from pybal.ipvs.snapshot import (
    AuditSnapshot,
    DestinationStatistics,
    DrainSnapshot,
    DriftSnapshot,
    ServiceStatistics,
    Traffic,
)
from tests.fakes.view import NOON, FakeView, ipvs, server, service
from tests.instrumentation.exchange import Client
from tests.instrumentation.test_metrics import render, scrape, series

KEY = "tcp 198.51.100.1:443"
TRAFFIC = Traffic(1, 2, 3, 4, 2**60, 6, 7, 8, 9, 10)


def counted(address: str, active: int, traffic: Traffic = TRAFFIC) -> DestinationStatistics:
    return DestinationStatistics(f"{address}:443", ip_address(address), active, 2, 1, traffic, 9)


def view(name: str = "text_443") -> FakeView:
    """A service with a server of its list and another that only the kernel has."""
    statistics = ServiceStatistics(
        KEY, TRAFFIC, (counted("192.0.2.10", 5), counted("192.0.2.99", 7, Traffic()))
    )
    return FakeView(
        [service(name, [server("cp1"), server("cp1-too")])],
        ipvs_snapshot=ipvs()._replace(
            statistics=(statistics,), statistics_at=NOON, names=((KEY, name),)
        ),
    )


def values(found: dict[tuple[str, tuple[tuple[str, str], ...]], float], **labels: str) -> object:
    """The series with exactly these labels, by name."""
    wanted = tuple(sorted(labels.items()))
    return {name: value for (name, have), value in found.items() if have == wanted}


def test_a_servers_traffic_and_connections_are_shown_with_its_host() -> None:
    found = {key: value for key, value in scrape(view()).items() if "_ipvs_" in key[0]}
    cp1 = {"service": "text_443", "host": "cp1", "address": "192.0.2.10:443"}
    assert values(found, **cp1) == {
        "pybal_ipvs_server_connections_total": 1,
        "pybal_ipvs_server_connections_per_second": 6,
        "pybal_ipvs_server_connections_active": 5,
        "pybal_ipvs_server_connections_inactive": 2,
        "pybal_ipvs_server_connections_persistent": 1,
        "pybal_ipvs_server_weight": 9,
    }
    assert values(found, **cp1, direction="out") == {
        "pybal_ipvs_server_packets_total": 3,
        "pybal_ipvs_server_bytes_total": 2**60,
        "pybal_ipvs_server_packets_per_second": 8,
        "pybal_ipvs_server_bytes_per_second": 10,
    }
    server = {"service": "text_443", "host": "192.0.2.99:443", "address": "192.0.2.99:443"}
    assert values(found, **server)


def test_a_service_has_its_own_traffic_and_the_connections_of_its_servers() -> None:
    found = {key: value for key, value in scrape(view()).items() if "_ipvs_" in key[0]}
    shown = values(found, service="text_443")
    assert shown == {
        "pybal_ipvs_service_connections_total": 1,
        "pybal_ipvs_service_connections_per_second": 6,
        "pybal_ipvs_service_connections_active": 12,
        "pybal_ipvs_service_connections_inactive": 4,
        "pybal_ipvs_service_connections_persistent": 2,
    }


def test_without_statistics_there_are_no_series_of_servers() -> None:
    assert "pybal_ipvs_server" not in render(FakeView())
    assert "pybal_ipvs_service" not in render(FakeView())


@pytest.mark.parametrize("name", ["text_443", 'a"\n\\\ud800é'])
def test_it_is_good_openmetrics_and_the_same_series(name: str) -> None:
    shown = view(name)
    text = render(shown, as_openmetrics=True)
    parsed = series(openmetrics_parser.text_string_to_metric_families(text))  # type: ignore[no-untyped-call]
    plain = scrape(shown)
    assert parsed.keys() >= {key for key in plain if key[0].startswith("pybal_ipvs_server")}
    assert len([key for key in plain if key[0].startswith("pybal_ipvs_server")]) == 28


def test_the_care_for_the_table_is_shown() -> None:
    drift = DriftSnapshot(KEY, NOON, ("the service is gone",), repaired=False)
    shown = FakeView(
        ipvs_snapshot=ipvs()._replace(
            audit=AuditSnapshot(9, NOON, (drift,), (("service_missing", 4),), 3),
            unmanaged=("a", "b"),
            draining=(DrainSnapshot(KEY, "192.0.2.1:443", 1.0, None),),
            ownership_error="the disk is full",
        )
    )
    found = {name: value for (name, labels), value in scrape(shown).items() if not labels}
    assert {name: found[f"pybal_ipvs_{name}"] for name in (
        "audits_total", "last_audit_timestamp_seconds", "repairs_total", "drifted_services",
        "unmanaged_services", "draining_servers", "ownership_recorded",
    )} == {
        "audits_total": 9,
        "last_audit_timestamp_seconds": NOON,
        "repairs_total": 3,
        "drifted_services": 1,
        "unmanaged_services": 2,
        "draining_servers": 1,
        "ownership_recorded": 0,
    }  # fmt: skip
    assert 'pybal_ipvs_drift_total{kind="service_missing"} 4.0' in render(shown)


@pytest.mark.parametrize("path", ["/metrics?servers=1", "/api/v1/ipvs"])
def test_who_asks_has_the_statistics_read(path: str) -> None:
    shown = view()
    answer = Client(shown).get(path)
    assert answer.status == 200
    assert shown.refreshed == 1
    assert b"192.0.2.10:443" in answer.body


@pytest.mark.parametrize(
    ("path", "prepared"),
    [
        ("/metrics", [None]),
        ("/alerts", [None]),
        ("/api/v1/services", [None]),
        ("/pools/text_443", ["text_443"]),
        ("/pools/text_443/cp1.example", ["text_443"]),
        ("/pools", []),
        ("/status.css", []),
        ("/api/v1/events", []),
    ],
)
def test_what_is_shown_of_services_and_no_more_is_made_in_pieces_first(
    path: str, prepared: list[str | None]
) -> None:
    shown = view()
    Client(shown).get(path)
    assert shown.prepared == prepared


@pytest.mark.parametrize("query", ["", "?servers=0", "?x=1"])
def test_a_scrape_leaves_out_single_servers_unless_they_are_asked_for(query: str) -> None:
    text = Client(view()).get(f"/metrics{query}").text
    assert "pybal_ipvs_service_connections_total{" in text
    assert "pybal_ipvs_server_" not in text


def test_labels_are_sorted_by_name() -> None:
    text = render(view())
    assert (
        'pybal_ipvs_server_bytes_total{address="192.0.2.10:443",direction="out",host="cp1",'
        f'service="text_443"}} {2**60}\n' in text
    )
    assert f'pybal_ipvs_service_bytes_total{{direction="out",service="text_443"}} {2**60}\n' in text


def test_other_paths_have_nothing_read() -> None:
    shown = view()
    client = Client(shown)
    for path in ("/alerts", "/pools", "/api/v1/services", "/api/v1/daemon"):
        assert client.get(path).status == 200
    assert shown.refreshed == 0
