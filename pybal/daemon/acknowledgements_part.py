"""Acknowledged alerts as a part of the daemon."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from twisted.logger import Logger

from pybal.daemon.ports import DaemonPorts
from pybal.errors import ControlError, NoSuchThingError
from pybal.instrumentation.pending_alert import Dated
from pybal.model import Severity
from pybal.overrides.acknowledgement import Acknowledgement
from pybal.overrides.acknowledgement_book import MAX_ACKNOWLEDGEMENTS, AcknowledgementBook
from pybal.overrides.file import acknowledgement_file
from pybal.runtime.naming import named
from pybal.state.keeper import Keeper


class AcknowledgementsPart:
    """Owns the book of them. `alerts()` are those that there are. They are kept in
    `state_directory` for the next start; None: they are not."""

    def __init__(
        self,
        ports: DaemonPorts,
        alerts: Callable[[], Sequence[Dated]],
        state_directory: Path | None,
    ) -> None:
        self._alerts = alerts
        self._now = ports.now
        log = Logger(namespace="alerts")
        self._keeper: Keeper[tuple[Acknowledgement, ...]] = Keeper(
            state_directory,
            acknowledgement_file,
            "The list of known alerts",
            (),
            ports.state_writing,
            log,
        )
        self.book = AcknowledgementBook(ports.reactor, ports.now, self._keeper.save, log)

    def start(self, renames: Iterable[tuple[str, str]] = ()) -> None:
        """With those of the last run; services go on from that under another name, former and
        present one."""
        self.book.start(self._keeper.load())
        self.rename(renames)

    def stop(self) -> None:
        """End nothing any more. Idempotent."""
        self.book.stop()

    def rename(self, renames: Iterable[tuple[str, str]]) -> None:
        """Services go on under another name: former and present one."""
        self.book.rename(renames)

    def put(
        self, id_: str, service: str | None, for_s: float, reason: str, by: str
    ) -> tuple[Acknowledgement, ...]:
        """All alerts of this id, and service, that there are now are known. Raises
        ControlError."""
        now = self._now()
        meant = [each for each in self._alerts() if _is_meant(each, id_, service)]
        if not meant:
            said = self._there_are(id_ if service is not None else None)
            raise NoSuchThingError(f"There is no alert {_named(id_, service)}", said)
        if len(self.book.all()) + len(meant) > MAX_ACKNOWLEDGEMENTS:
            text = f"{MAX_ACKNOWLEDGEMENTS} alerts are acknowledged"
            raise ControlError(text, "Take some back (unack)")
        made = tuple(
            Acknowledgement(
                id_,
                each.alert.service,
                each.about,
                severity=each.severity,
                by=by,
                reason=reason,
                since=now,
                until=now + for_s,
                details=each.details,
            )
            for each in meant
        )
        self.book.put(made)
        return made

    def remove(self, id_: str, service: str | None, by: str) -> tuple[Acknowledgement, ...]:
        """Alerts of this id, and service, are known no longer. Raises ControlError."""
        known = [e for e in self.book.all() if e.id == id_ and service in (None, e.service)]
        if not known:
            ids = ", ".join(dict.fromkeys(each.id for each in self.book.all()))
            text = f"{_named(id_, service)} is not acknowledged"
            raise NoSuchThingError(text, f"Acknowledged: {ids or 'none'}")
        return self.book.remove([each.key for each in known], by)

    def _there_are(self, id_: str | None) -> str:
        """Which alerts could have been meant; of this id, of which services."""
        found = [each.alert for each in self._alerts() if _counts(each)]
        services = dict.fromkeys(one.service for one in found if one.id == id_)
        if named_ones := [service for service in services if service is not None]:
            return f"It is of {named(named_ones)}"
        ids = dict.fromkeys(one.id for one in found)
        return f"There are {', '.join(ids)}" if ids else "There are none"


def _counts(each: Dated) -> bool:
    return each.severity is not Severity.OK


def _is_meant(each: Dated, id_: str, service: str | None) -> bool:
    return each.alert.id == id_ and service in (None, each.alert.service) and _counts(each)


def _named(id_: str, service: str | None) -> str:
    return id_ if service is None else f"{id_} of {service}"
