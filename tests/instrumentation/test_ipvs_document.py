"""Who is at an address of the kernel's table, as `/api/v1/ipvs` says it."""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import Any

from pybal.instrumentation.ipvs_document import ipvs_document
from pybal.ipvs.snapshot import (
    DestinationStatistics,
    DrainSnapshot,
    IPVSSnapshot,
    KernelErrorSnapshot,
    MissingSnapshot,
    ServiceStatistics,
    Traffic,
)
from pybal.model import ServiceSnapshot
from tests.fakes.view import NOON, ipvs, server, service
from tests.instrumentation.whole_json import json_bytes

WEB, WEB6, OTHER = "tcp 192.0.2.1:80", "tcp [2001:db8::1]:80", "tcp 192.0.2.9:80"
A, B = ip_address("198.51.100.1"), ip_address("198.51.100.2")
A6 = ip_address("2001:db8:1::1")
SERVICES = {
    "web": service(
        "web",
        [
            server("cp1")._replace(address=A),
            server("twin")._replace(address=A),
            server("nameless")._replace(address=None),
        ],
    ),
    "web6": service("web6", [server("cp6")._replace(address=A6)]),
}
TABLE = ipvs()._replace(names=((WEB, "web"), (WEB6, "web6"), ("tcp 192.0.2.8:80", "gone")))


def document(table: IPVSSnapshot) -> tuple[dict[str, Any], list[str]]:
    """The document, and which services were looked up for it."""
    asked: list[str] = []

    def find(name: str) -> ServiceSnapshot | None:
        asked.append(name)
        return SERVICES.get(name)

    return json.loads(json_bytes(ipvs_document(table, find))), asked


def test_a_table_of_which_nothing_is_counted() -> None:
    found, asked = document(TABLE)
    assert (found["statistics"], found["last_error"], found["ownership_error"]) == (None,) * 3
    assert (found["missing"], found["draining"], asked) == ([], [], [])
    failed = TABLE._replace(last_error=KernelErrorSnapshot(NOON, "no"), ownership_error="disk")
    found, _ = document(failed)
    assert (found["last_error"]["text"], found["ownership_error"]) == ("no", "disk")


def test_a_server_is_named_by_the_pool_list_where_it_is_known() -> None:
    drains = (
        DrainSnapshot(WEB, f"{A}:80", 9.0, 1),
        DrainSnapshot(WEB, f"{B}:80", 9.0, 1),
        DrainSnapshot(WEB6, f"[{A6}]:80", 9.0, None),
        DrainSnapshot(OTHER, f"{A}:80", 9.0, 1),
        DrainSnapshot("tcp 192.0.2.8:80", f"{A}:80", 9.0, 1),
    )
    found, asked = document(TABLE._replace(draining=drains))
    # Of those that share an address the first counts, as in the kernel.
    assert [(each["name"], each["host"]) for each in found["draining"]] == [
        ("web", "cp1"), ("web", None), ("web6", "cp6"), (None, None), ("gone", None),
    ]  # fmt: skip
    assert asked == ["web", "web6", "gone"]


def test_what_the_kernel_lacks_is_named_too() -> None:
    table = TABLE._replace(missing=(MissingSnapshot(WEB, (f"{A}:80", f"{B}:80"), 3),))
    found, _ = document(table)
    (one,) = found["missing"]
    assert (one["service"], one["servers"], one["others"]) == (WEB, [f"{A}:80", f"{B}:80"], 3)
    assert (one["name"], one["hosts"]) == ("web", ["cp1", None])


def test_what_is_counted() -> None:
    counted = DestinationStatistics(f"{A}:80", A, 1, 2, 3, Traffic(7), 5)
    table = TABLE._replace(
        statistics=(ServiceStatistics(WEB, Traffic(9), (counted,)),), statistics_at=NOON
    )
    found, _ = document(table)
    (one,) = found["statistics"]["services"]
    assert (one["name"], one["service"], one["traffic"]["connections"]) == ("web", WEB, 9)
    (shown,) = one["servers"]
    assert shown.pop("traffic")["connections"] == 7
    assert shown == {
        "server": f"{A}:80",
        "host": "cp1",
        "weight": 5,
        "active_connections": 1,
        "inactive_connections": 2,
        "persistent_connections": 3,
    }
    assert found["statistics"]["at"]["epoch"] == NOON
