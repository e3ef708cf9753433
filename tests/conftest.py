"""Settings of the whole test suite: how hard hypothesis tries (HYPOTHESIS_PROFILE)."""

from __future__ import annotations

import functools
import gc
import importlib.metadata
import os
import resource
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.fakes.handover import Store

# How fast and how large examples are made is a matter of chance, and no fault of what is tested.
_BY_CHANCE = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("quick", max_examples=15, deadline=None, suppress_health_check=_BY_CHANCE)
settings.register_profile("full", max_examples=100, deadline=None, suppress_health_check=_BY_CHANCE)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

# pytest reads Twisted's version from the disk anew for each test: a tenth of all the time.
importlib.metadata.version = functools.cache(importlib.metadata.version)

# Some hundred searches of all that is in memory find what a few do, and take a twelfth of the time.
gc.set_threshold(5_000, 10, 10)

# A daemon raises this itself. Some tests have more than a thousand connections, both ends of each.
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (max(_soft, min(4096, _hard)), _hard))

# Whoever runs the tests may have another umask and another terminal, be a service itself, or trust
# other certificates.
os.umask(0o022)
os.environ |= {"COLUMNS": "80"}
for _name in "NOTIFY_SOCKET WATCHDOG_PID WATCHDOG_USEC SYSTEMD_EXEC_PID SSL_CERT_FILE".split():
    os.environ.pop(_name, None)

STATE_DIRECTORY = "/var/lib/pybal"
"""Where a daemon writes that is told nothing else."""

UNIT_TEST_LIMIT_S = 120
"""Far more than any takes, also on a machine that is busy: it is to end loops."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Unit tests end sooner than those of whole daemons, whose limit is in pyproject.toml."""
    for item in items:
        larger = item.get_closest_marker("integration") or item.get_closest_marker("kernel")
        if not larger and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(UNIT_TEST_LIMIT_S))


@pytest.fixture(autouse=True)
def no_state_of_this_host() -> Iterator[None]:
    """A daemon that a test makes must be given its own state directory."""
    before = _changed_at()
    yield
    if _changed_at() != before:
        pytest.fail(f"{STATE_DIRECTORY} was written to, by this test or one beside it")


def _changed_at() -> int:
    """In nanoseconds; a file that is written anew changes its folder, too."""
    try:
        return os.stat(STATE_DIRECTORY).st_mtime_ns
    except FileNotFoundError:
        return 0


@pytest.fixture
def descriptors() -> Iterator[Callable[[], int]]:
    """Counts those that are open. What other tests left behind does not come free meanwhile."""
    gc.disable()
    yield lambda: len(os.listdir("/proc/self/fd"))
    gc.enable()


@pytest.fixture
def store() -> Iterator[Store]:
    """It forgets all at the end."""
    made = Store()
    yield made
    for name in tuple(made.kept):
        made.forget(name)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """A skipped test is a failed one: scripts/setup installs all that any test needs."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, which counts as failed: {report.longrepr}"
