"""The metrics of the configuration: what ran, what was refused, what differs."""

from __future__ import annotations

import pytest

from pybal.config.snapshot import ConfigSnapshot, ReloadOutcome, ReloadSnapshot
from pybal.instrumentation.config_metrics import config_families

GOOD = ReloadSnapshot(1000.0, ReloadOutcome.APPLIED, (), ())
BAD = ReloadSnapshot(2000.0, ReloadOutcome.REFUSED, ("line 1",), ())
CONFIG = ConfigSnapshot("f", "00", 900.0, 1000.0, False, (), None, GOOD, 1000.0, 0.0)


def shown(config: ConfigSnapshot) -> dict[str, float]:
    return {
        each.name + "".join(f" {value}" for value in each.labels.values()): each.value
        for family in config_families(config)
        for each in family.samples
    }


def test_what_runs_was_read_without_an_error() -> None:
    assert shown(CONFIG) == {
        "pybal_config_last_reload_successful": 1,
        "pybal_config_last_reload_success_timestamp_seconds": 1000,
        "pybal_configuration_reload_timestamp_seconds ok": 1000,
        "pybal_configuration_reload_timestamp_seconds error": 0,
        "pybal_config_differs": 0,
        "pybal_config_is_last_good": 0,
    }


def test_a_file_that_was_refused_is_another_one_than_what_runs() -> None:
    refused = CONFIG._replace(last_reload=BAD, last_error_at=2000.0, differs_since=1990.0)
    assert shown(refused) == {
        "pybal_config_last_reload_successful": 0,
        "pybal_config_last_reload_success_timestamp_seconds": 1000,
        "pybal_configuration_reload_timestamp_seconds ok": 1000,
        "pybal_configuration_reload_timestamp_seconds error": 2000,
        "pybal_config_differs": 1,
        "pybal_config_is_last_good": 0,
    }


@pytest.mark.parametrize("is_last_good", [False, True])
def test_before_any_reload_the_start_counts(is_last_good: bool) -> None:
    found = shown(CONFIG._replace(last_reload=None, is_last_good=is_last_good))
    assert found["pybal_config_last_reload_successful"] == 1
    assert found["pybal_config_is_last_good"] == is_last_good
