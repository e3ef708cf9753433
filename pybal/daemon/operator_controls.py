"""What an operator can have done, carried out by the daemon's parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.logger import Logger

from pybal.config.snapshot import ReloadOutcome
from pybal.daemon.acknowledgements_part import AcknowledgementsPart
from pybal.daemon.bgp_part import BGPPart
from pybal.daemon.history_part import HistoryPart
from pybal.daemon.overrides_part import OverridesPart
from pybal.daemon.server_checks import ServerChecks
from pybal.errors import ControlError
from pybal.history.event import Kind
from pybal.instrumentation.override_document import acknowledgement_document, override_document
from pybal.instrumentation.same_address import contradictions
from pybal.overrides.wish import Scope, Wish, no_service
from pybal.pool.service import LVSService
from pybal.reload.reloader import Reloader

_REMEDIES = {
    ReloadOutcome.REFUSED: "Mend the file; nothing was changed",
    ReloadOutcome.IN_PART: "Applied in part: what was done before this error stays. Reload once"
    " more, which does what is missing; if that fails, too, restart PyBal",
    ReloadOutcome.CUT_SHORT: "The next start reads the file",
}


class OperatorControls:
    """The Controls of the control socket. `services` is a live view."""

    def __init__(
        self,
        *,
        services: Mapping[str, LVSService],
        reloader: Reloader,
        bgp: BGPPart,
        overrides: OverridesPart,
        acknowledgements: AcknowledgementsPart,
        history: HistoryPart,
        checks: ServerChecks,
    ) -> None:
        self._services = services
        self._reloader = reloader
        self._bgp = bgp
        self._overrides = overrides
        self._acknowledgements = acknowledgements
        self._history = history
        self._checks = checks
        self._log = Logger(namespace="pybal")

    def confirm(self, service: str, by: str) -> Mapping[str, Any]:
        """Apply what a service's list wants: its floor holds nothing back, and nothing stays any
        longer just because it stood in the kernel at the start."""
        self._check_name(service)
        nothing = ControlError(f"Nothing of {service} is held back", "There is nothing to confirm")
        found = self._services[service].snapshot()
        if not (found.held or found.standing):
            raise nothing
        if not found.servers:
            text = f"The pool list of {service} has not come yet"
            raise ControlError(text, "What stands in the kernel stays until it has")
        text = f"{by} confirms the pool list of {service}"
        asked = self._history.asked(Kind.OPERATOR, text, by, service=service)
        with self._history.because(asked):
            servers = self._services[service].confirm_list()
        if not servers:
            raise nothing
        text = "{by} confirmed the pool list of {service}: {servers}"
        self._log.warn(text, by=by, service=service, servers=", ".join(servers))
        return {"service": service, "confirmed": list(servers)}

    def maintenance(self, service: str | None, *, begin: bool, by: str) -> Mapping[str, Any]:
        """Move traffic away by BGP, or end that; of a service that has left the configuration, too,
        so that no later one of its name begins in maintenance."""
        if service is not None and begin:
            self._check_name(service)
        document = {"service": service, "maintenance": begin}
        if not self._bgp.change_maintenance(service, begin=begin):
            if service is not None:
                self._check_name(service)
            return {**document, "changed": False}
        what = f"maintenance of {service or 'this whole director'}"
        text = f"{by} {'begins' if begin else 'ends'} the {what}"
        self._history.asked(Kind.OPERATOR, text, by, service=service)
        self._log.warn(
            "{by} {what} the maintenance of {scope}",
            by=by,
            what="begins" if begin else "ends",
            scope=service or "this whole director",
        )
        return {**document, "changed": True}

    async def override(self, wish: Wish, by: str) -> Mapping[str, Any]:
        """Drain, disable or enable a server for a time."""
        begun = await self._overrides.begin(wish, by)
        names = [each.service for each in begun.overrides if each.service in self._services]
        notes = [
            f"{name}: {found.text}"
            for name in names
            for found in contradictions(self._services[name].snapshot().servers)
            if wish.scope.host in found.hosts
        ]
        return {
            "notes": notes,
            "overrides": [override_document(each) for each in begun.overrides],
            "replaced": [override_document(each) for each in begun.replaced],
        }

    async def undo(self, scope: Scope, by: str) -> Mapping[str, Any]:
        """End the overrides of a server."""
        ended = await self._overrides.end(scope, by)
        return {"ended": [override_document(each) for each in ended]}

    async def check(self, service: str, host: str, by: str) -> Mapping[str, Any]:
        """Check a server once by each of its monitors."""
        return await self._checks.check(service, host, by)

    def acknowledge(
        self, alert: str, service: str | None, for_s: float, reason: str, by: str
    ) -> Mapping[str, Any]:
        """Know of alerts for a time."""
        made = self._acknowledgements.put(alert, service, for_s, reason, by)
        text = f"{alert} is {made[0].text}"
        self._history.asked(Kind.OPERATOR, text, by, service=service)
        return {"acknowledged": [acknowledgement_document(each) for each in made]}

    def unacknowledge(self, alert: str, service: str | None, by: str) -> Mapping[str, Any]:
        """Know of them no longer."""
        gone = self._acknowledgements.remove(alert, service, by)
        text = f"{by} knows of {alert} no longer"
        self._history.asked(Kind.OPERATOR, text, by, service=service)
        return {"ended": [acknowledgement_document(each) for each in gone]}

    def _check_name(self, service: str) -> None:
        if service not in self._services:
            raise no_service(service, self._services)

    async def reload(self, by: str) -> Mapping[str, Any]:
        """Read pybal.conf again and go over to it."""
        self._history.asked(Kind.OPERATOR, f"{by} asks for a reload", by)
        outcome = await self._reloader.reload()
        if not outcome.successful:
            raise ControlError("; ".join(outcome.errors), _REMEDIES[outcome.outcome])
        return {"steps": list(outcome.steps), "warnings": list(outcome.warnings)}

    async def compare(self, content: bytes, by: str) -> Mapping[str, Any]:  # noqa: ARG002
        """What a reload of this content would do."""
        compared = await self._reloader.compare(content)
        return {name: list(found) for name, found in compared._asdict().items()}
