"""Makes docs/metrics.md from what a scrape says: python3 -m tests.instrumentation.metrics_doc

The metrics are those of a daemon that has something of everything (`rich_view`): who adds one that
is not always there gives it a series there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from pybal.history.snapshot import DiskSnapshot, HistorySnapshot
from pybal.instrumentation.metrics import exposition, process_metrics
from pybal.instrumentation.monitor_text import MonitorText
from pybal.model import HealthSnapshot
from tests.fakes.view import MONITOR_FAMILIES, FakeView
from tests.instrumentation import test_metrics, test_openapi

PATH = Path(__file__).parents[2] / "docs/metrics.md"

_HEAD = """# Metrics

`/metrics` answers in Prometheus' text format, or in OpenMetrics if the scraper accepts that. What
the kernel counts of single servers, `pybal_ipvs_server_…`, is most of it and comes with
`/metrics?servers=1` alone; it, and `pybal_ipvs_service_…`, is there unless `ipvs-statistics = no`.

These names, their labels and their meaning stay; metrics and label values may come. Series of a
server that has left its pool, or of a service that has left pybal.conf, are gone. A monitor's
series come with its first result.

- Rules for alerts, and the recordings that the dashboard uses: `etc/prometheus/pybal.rules.yml`.
- node_exporter's names, `node_ipvs_…`, for dashboards of old: `etc/prometheus/node_ipvs.rules.yml`.
- A dashboard for Grafana: `etc/grafana/pybal.json`.

In the package they are in `/usr/share/doc/pybal/examples`. This document is made from a scrape:
`python3 -m tests.instrumentation.metrics_doc`.
"""

_SECTIONS = (
    ("Services and servers", r"pybal_service_"),
    ("Pool lists", r"pybal_source_"),
    ("Monitors", r"pybal_monitor_"),
    ("BGP", r"pybal_bgp_"),
    ("The kernel's table: its care", r"pybal_ipvs_(?!service_|server_)"),
    ("The kernel's counts of services", r"pybal_ipvs_service_"),
    ("The kernel's counts of servers", r"pybal_ipvs_server_"),
    ("Configuration", r"pybal_config"),
    ("History", r"pybal_history_"),
    ("The daemon and its health", r"pybal_"),
    ("The process", r"process_"),
)


@dataclass
class Described:
    """A metric: its type, its help, and the labels of all its series."""

    kind: str
    help: str
    labels: set[str] = field(default_factory=set)


def described(text: str) -> dict[str, Described]:
    """All metrics of a scrape, by the names that samples have (a histogram's without its ends)."""
    found: dict[str, Described] = {}
    for family in text_string_to_metric_families(text):
        # The parser takes the end of a counter away.
        ended = family.name + ("_total" if family.type == "counter" else "")
        one = found.setdefault(ended, Described(family.type, family.documentation))
        for sample in family.samples:
            one.labels |= sample.labels.keys() - {"le"}
    return found


def rich_view() -> FakeView:
    """A daemon whose scrape has a series of every metric."""
    view, other = test_metrics.full_view(), test_openapi.full_view()
    health = HealthSnapshot(stalls=(1,) * 10, local_faults=(("EMFILE", 1),))
    peers = tuple(peer._replace(bfd="UP") for peer in other.bgp_snapshot.peers)
    return replace(
        view,
        bgp_snapshot=replace(other.bgp_snapshot, peers=peers),
        ipvs_snapshot=other.ipvs_snapshot,
        daemon_snapshot=view.daemon_snapshot._replace(health=health),
    )


def everything() -> dict[str, Described]:
    """The metrics that there may be."""
    disk = DiskSnapshot("/var/lib/pybal/history.sqlite", lost=(("queue full", 1),))
    pieces = exposition(
        replace(test_metrics.snapshot_of(rich_view()), history=HistorySnapshot(disk=disk)),
        process_metrics()(),
        monitors=MonitorText(MONITOR_FAMILIES),
        as_openmetrics=False,
        with_servers=True,
    )
    return described(b"".join(pieces).decode("utf-8"))


def document() -> str:
    """The text of docs/metrics.md."""
    left = everything()
    parts = [_HEAD]
    for title, pattern in _SECTIONS:
        names = [name for name in left if re.match(pattern, name)]
        rows = [_row(name, left.pop(name)) for name in names]
        parts.append(
            f"## {title}\n\n| name | type | labels | |\n|---|---|---|---|\n" + "".join(rows)
        )
    if left:
        raise AssertionError(f"no section for {sorted(left)}")
    return "\n".join(parts)


def _row(name: str, one: Described) -> str:
    labels = ", ".join(f"`{label}`" for label in sorted(one.labels))
    return f"| `{name}` | {one.kind} | {labels} | {one.help.replace('|', '/')} |\n"


if __name__ == "__main__":
    PATH.write_text(document(), "utf-8")
