"""Alerts that an operator knows of: they do not raise an alarm for a time. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pybal.model import Severity
from pybal.override import until_text

AlertKey = tuple[str, str | None, str]
"""An alert's id, its service, and what it is about beyond that."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """`by` whom an alert is known, why, from when until when (Unix seconds). If it becomes worse
    than `severity`, or grows beyond its `details` (the servers that it named, say), it is another
    matter."""

    id: str
    service: str | None
    about: str
    severity: Severity
    by: str
    reason: str
    since: float
    until: float
    details: tuple[str, ...] = ()

    @property
    def key(self) -> AlertKey:
        """What it is an acknowledgement of."""
        return self.id, self.service, self.about

    @property
    def text(self) -> str:
        """`acknowledged by alice until 15:00 UTC: it is being replaced`."""
        until = until_text(self.since, self.until)
        return f"acknowledged by {self.by} until {until}: {self.reason}"

    def covers(self, severity: Severity, details: Iterable[str] = ()) -> bool:
        """Whether an alert that severe, about no more than these, was known."""
        worse = severity is Severity.CRITICAL and self.severity is not Severity.CRITICAL
        return not worse and set(details) <= set(self.details)
