"""Receivers of monitors' reports."""

from __future__ import annotations

from collections.abc import Callable

from pybal.model import CheckResult, HealthReport


class Results(list[CheckResult]):
    """The results that were reported, in order."""

    def receive(self, report: HealthReport) -> None:
        self.append(report.result)


class Calling:
    """Calls a function with each result."""

    def __init__(self, call: Callable[[CheckResult], None]) -> None:
        self._call = call

    def receive(self, report: HealthReport) -> None:
        self._call(report.result)
