"""Checks of single servers at an operator's word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pybal.config.settings import ServiceSettings
from pybal.errors import ControlError
from pybal.model import ServiceSnapshot
from pybal.monitors.by_hand import ChecksByHand, HandCheck
from pybal.monitors.target import Target
from pybal.overrides.wish import no_service, not_listed

Known = Callable[[], Mapping[str, ServiceSettings]]
"""The settings of the services, by name."""


class ServerChecks:
    """Finds out what is to be checked, has it checked, and says how that went. `show(name)` is the
    service as it stands."""

    def __init__(
        self, checks: ChecksByHand, known: Known, show: Callable[[str], ServiceSnapshot | None]
    ) -> None:
        self._checks = checks
        self._known = known
        self._show = show

    async def check(self, service: str, host: str, by: str) -> Mapping[str, Any]:
        """See Controls. Raises ControlError."""
        settings, shown = self._known().get(service), self._show(service)
        if settings is None or shown is None:
            raise no_service(service, self._known())
        hosts = {server.host: server for server in shown.servers}
        if host not in hosts:
            raise not_listed(host, service, hosts)
        if not settings.monitors:
            text = f"{service} has no monitors, so there is nothing to check"
            raise ControlError(text, "monitors = [ … ] in pybal.conf")
        address = hosts[host].address
        if address is None:
            raise ControlError(f"The address of {host} is not known", "Look at the DNS")
        name = f"{host} (checked by {by})"
        target = Target(service, host, address, settings.port, lambda: name)
        found = await self._checks.check(settings.monitors, target)
        return {
            "service": service,
            "host": host,
            "address": str(address),
            "up": all(each.up for each in found),
            "checks": [_check_document(each) for each in found],
        }


def _check_document(check: HandCheck) -> dict[str, Any]:
    return {
        "monitor": check.monitor,
        "up": check.up,
        "reason": check.reason,
        "duration_s": check.duration_s,
        "exchange": [{"at_s": step.at_s, "text": step.text} for step in check.exchange],
    }
