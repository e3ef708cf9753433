"""The metrics of the configuration, after the custom of the trade. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from pybal.config.snapshot import ConfigSnapshot


def config_families(config: ConfigSnapshot) -> Iterator[Metric]:
    """Whether the last reload went well, when the last of each kind was, what differs."""
    last = config.last_reload
    yield GaugeMetricFamily(
        "pybal_config_last_reload_successful",
        "Whether the last reading of pybal.conf, that of the start included, found no error",
        float(last is None or last.successful),
    )
    yield GaugeMetricFamily(
        "pybal_config_last_reload_success_timestamp_seconds",
        "The last reading of pybal.conf without an error, Unix time",
        config.last_success_at,
    )
    results = GaugeMetricFamily(
        "pybal_configuration_reload_timestamp_seconds",
        "The last reading of pybal.conf with that result, Unix time; 0 is never",
        labels=("result",),
    )
    results.add_metric(("ok",), config.last_success_at)
    results.add_metric(("error",), config.last_error_at)
    yield results
    yield GaugeMetricFamily(
        "pybal_config_differs",
        "Whether pybal.conf on disk is not what runs",
        float(config.differs_since is not None),
    )
    yield GaugeMetricFamily(
        "pybal_config_is_last_good",
        "Whether the last good configuration runs, since pybal.conf had errors at the start",
        float(config.is_last_good),
    )
