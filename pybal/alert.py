"""An alert, as any room may raise it. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.Enum):
    """How bad an alert is; the value is the word in JSON, in text it is upper-case."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that an operator must look at, in words without a full stop. `id` is that of all
    alerts of its kind, and their section in docs/operating.md; `service` is the one concerned."""

    id: str
    severity: Severity
    service: str | None
    text: str
