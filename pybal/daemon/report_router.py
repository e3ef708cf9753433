"""From a report of a monitor to its service."""

from __future__ import annotations

from collections.abc import Mapping

from pybal.model import HealthReport
from pybal.pool.service import LVSService


class ReportRouter:
    """Gives each report to its service by the name: the ReportDelivery of the isolation guard.
    `services` is a live view; a report of a service that is gone is void."""

    def __init__(self, services: Mapping[str, LVSService]) -> None:
        self._services = services

    def deliver(self, report: HealthReport) -> None:
        """See ReportDelivery."""
        service = self._services.get(report.service)
        if service is not None:
            service.deliver(report)

    def retract(self, report: HealthReport) -> None:
        """See ReportDelivery."""
        service = self._services.get(report.service)
        if service is not None:
            service.retract(report)
