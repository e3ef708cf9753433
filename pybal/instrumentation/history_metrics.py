"""The metrics of the history. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from pybal.history.snapshot import DiskSnapshot, HistorySnapshot


def history_families(history: HistorySnapshot) -> Iterator[Metric]:
    """What was noted and, if it is kept on the disk, what became of it."""
    yield CounterMetricFamily(
        "pybal_history_events_total", "Events noted since the start", history.events_total
    )
    if history.disk is not None:
        yield from _disk_families(history.disk)


def _disk_families(disk: DiskSnapshot) -> Iterator[Metric]:
    yield CounterMetricFamily(
        "pybal_history_events_written_total",
        "Events written to the disk since the start",
        disk.written_total,
    )
    lost = CounterMetricFamily(
        "pybal_history_events_lost_total",
        "Events that could not be written to the disk, by cause",
        labels=("cause",),
    )
    for cause, count in disk.lost:
        lost.add_metric((cause,), count)
    yield lost
    yield GaugeMetricFamily(
        "pybal_history_events_waiting", "Events that wait to be written to the disk", disk.waiting
    )
    yield CounterMetricFamily(
        "pybal_history_errors_total",
        "Failures to write the history, each of which is tried again",
        disk.errors_total,
    )
    yield GaugeMetricFamily(
        "pybal_history_size_bytes", "What the history takes on the disk", disk.size_bytes
    )
