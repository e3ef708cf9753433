"""Metrics of how the IPVS table is looked after. What the kernel counts is in ipvs_text. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from pybal.ipvs.snapshot import IPVSSnapshot


def ipvs_families(ipvs: IPVSSnapshot) -> Iterator[Metric]:
    """All that is about the table as a whole."""
    audit = ipvs.audit
    yield GaugeMetricFamily(
        "pybal_ipvs_in_sync", "Whether the kernel's table is the wanted one", ipvs.in_sync
    )
    yield CounterMetricFamily(
        "pybal_ipvs_changes_total", "Changes made to the kernel's table", ipvs.changes_total
    )
    yield CounterMetricFamily(
        "pybal_ipvs_errors_total", "Operations that the kernel refused", ipvs.errors_total
    )
    yield CounterMetricFamily(
        "pybal_ipvs_audits_total", "Times that the whole table was compared", audit.audits_total
    )
    if audit.finished_at is not None:
        yield GaugeMetricFamily(
            "pybal_ipvs_last_audit_timestamp_seconds",
            "End of the last audit, Unix time",
            audit.finished_at,
        )
    drift = CounterMetricFamily(
        "pybal_ipvs_drift_total", "What others changed in the kernel's table", labels=["kind"]
    )
    for kind, count in audit.drift_total:
        drift.add_metric([kind], count)
    yield drift
    yield CounterMetricFamily(
        "pybal_ipvs_repairs_total", "Changes made to repair drift", audit.repairs_total
    )
    yield GaugeMetricFamily(
        "pybal_ipvs_drifted_services",
        "Services that were found changed and that no audit has found well since",
        len(audit.drift),
    )
    yield GaugeMetricFamily(
        "pybal_ipvs_unmanaged_services",
        "Services in the kernel that are not configured and left alone",
        len(ipvs.unmanaged),
    )
    yield GaugeMetricFamily(
        "pybal_ipvs_draining_servers",
        "Depooled servers that keep their connections for now",
        len(ipvs.draining),
    )
    yield GaugeMetricFamily(
        "pybal_ipvs_ownership_recorded",
        "Whether it can be kept on record which services are PyBal's",
        not ipvs.ownership_error,
    )
