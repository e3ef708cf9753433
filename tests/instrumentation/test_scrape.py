from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from twisted.internet.defer import Deferred, fail

from pybal.instrumentation.metrics import (
    Snapshot,
    SnapshotCollector,
    exposition,
    process_metrics,
)
from pybal.instrumentation.monitor_text import MonitorText
from pybal.runtime.threads import NoThreadError
from tests.fakes.view import FakeView, server, service
from tests.instrumentation.exchange import Client

SCRAPE = b"GET /metrics HTTP/1.1\r\nHost: lvs\r\n\r\n"


def test_metrics_from_elsewhere_are_waited_for_by_the_scrape_alone() -> None:
    waiting: list[Deferred[list[Metric]]] = []

    def get() -> Deferred[list[Metric]]:
        waiting.append(Deferred())
        return waiting[-1]

    view = FakeView([service("text_443", [server("cp1", weight=1)])])
    client = Client(view, get_metrics=get)
    scrape = client.connect()
    scrape.send(SCRAPE)
    assert scrape.transport.value() == b""
    assert client.get("/alerts").text.startswith("OK")
    waiting.pop().callback([GaugeMetricFamily("far_away", "From far away", 7.0)])
    assert "\nfar_away 7.0\n" in scrape.answer().text
    assert waiting == []


def test_where_no_thread_can_read_the_others_a_scrape_has_our_own() -> None:
    view = FakeView([service("text_443", [server("cp1", weight=1)])])
    client = Client(view, get_metrics=lambda: fail(NoThreadError("none is left")))
    text = client.get("/metrics").text
    assert "text_443" in text
    assert "process_open_fds" not in text


def test_those_of_the_process_are_its_own_in_another_thread_too() -> None:
    get = process_metrics()
    found: list[tuple[Metric, ...]] = []
    thread = threading.Thread(target=lambda: found.append(get()))
    thread.start()
    thread.join()
    (there,), here = found, get()
    assert {each.name for each in there} == {each.name for each in here}
    assert {each.name for each in there} >= {"process_cpu_seconds", "process_open_fds"}
    assert _start(there) == _start(here)


def _start(metrics: tuple[Metric, ...]) -> list[float]:
    (found,) = [each for each in metrics if each.name == "process_start_time_seconds"]
    return [sample.value for sample in found.samples]


@dataclass(frozen=True, slots=True)
class Families:
    """In place of a registry."""

    families: list[Metric]

    def collect(self) -> list[Metric]:
        return self.families


def test_the_plain_format_is_what_prometheus_client_writes() -> None:
    view = FakeView([service("text_443", [server("cp1", weight=1), server("cp2", up=False)])])
    snapshot = Snapshot(
        tuple(view.services()), view.bgp(), view.ipvs(), view.daemon(), view.config(), 7
    )
    odd = GaugeMetricFamily("odd", 'A \\ "help"\nof\rtwo lines', labels=["a"])
    for label in ('"', "\\", "\n# HELP", "\r# EOF", "\u2028#", ""):
        odd.add_metric([label], 1e21)
    others = [*process_metrics()(), odd]
    pieces = exposition(snapshot, others, monitors=MonitorText(()), as_openmetrics=False)
    registry: Any = Families([*SnapshotCollector(snapshot).collect(), *others])
    assert b"".join(pieces).startswith(generate_latest(registry))
