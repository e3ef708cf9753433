"""The head of a metric in the text of `/metrics`. Pure."""

from __future__ import annotations


def is_counter(name: str) -> bool:
    """Counters are known by their names; all others are gauges."""
    return name.endswith("_total")


def metric_head(name: str, help_: str, *, as_openmetrics: bool) -> bytes:
    """The HELP and TYPE lines. OpenMetrics names a counter without the end of its samples."""
    kind = "counter" if is_counter(name) else "gauge"
    shown = name.removesuffix("_total") if as_openmetrics else name
    return f"# HELP {shown} {help_}\n# TYPE {shown} {kind}\n".encode()
