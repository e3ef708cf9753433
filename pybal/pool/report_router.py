"""The reports of all monitors to the services that they concern."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pybal.model import HealthReport
from pybal.pool.service import LVSService


class ReportRouter:
    """Gives each report to its service by the name: the ReportDelivery of the isolation guard.
    `services` is a live view; a report of a service that is gone is void."""

    def __init__(self, services: Mapping[str, LVSService]) -> None:
        self._services = services
        self._together: dict[str, LVSService] | None = None

    def deliver(self, report: HealthReport) -> None:
        """See ReportDelivery."""
        service = self._service_of(report)
        if service is not None:
            service.deliver(report)

    def retract(self, report: HealthReport) -> None:
        """See ReportDelivery."""
        service = self._service_of(report)
        if service is not None:
            service.retract(report)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is delivered and retracted within `with`, no longer than a time slice, takes a step
        of the policy each; the consequences follow once for each service, at its end."""
        services = self._together = {}
        try:
            yield
        finally:
            self._together = None
            for service in services.values():
                service.act()

    def _service_of(self, report: HealthReport) -> LVSService | None:
        service = self._services.get(report.service)
        if service is not None and self._together is not None:
            if report.service not in self._together:
                service.gather()
            self._together[report.service] = service
        return service
