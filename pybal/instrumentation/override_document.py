"""Overrides in JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pybal.instrumentation.instants import instant
from pybal.model import ServerSnapshot, ServiceSnapshot
from pybal.override import LaidOver, Override
from pybal.overrides.acknowledgement import Acknowledgement

Document = dict[str, Any]


def override_document(override: Override) -> Document:
    """What an operator wants of a server, for how long and why."""
    return {
        "service": override.service,
        "host": override.host,
        "action": override.action.value,
        "by": override.by,
        "reason": override.reason,
        "since": instant(override.since),
        "until": instant(override.until),
        "force": override.force,
        "text": override.text,
    }


def laid_document(over: LaidOver | None) -> Document | None:
    """The same of a server that is listed: whether it is in effect, and what the list says."""
    if over is None:
        return None
    return {
        **override_document(over.override),
        "in_effect": not over.suspended,
        "suspended": over.suspended or None,
        "listed": {"weight": over.listed_weight, "enabled": over.listed_enabled},
    }


def overrides_document(
    overrides: Iterable[Override], services: Iterable[ServiceSnapshot]
) -> Document:
    """All that there are. One whose server is in no list at the moment waits for that."""
    known: dict[tuple[str, str], ServerSnapshot] = {
        (service.name, server.host): server
        for service in services
        for server in service.servers
        if server.over is not None
    }
    shown = []
    for each in overrides:
        server = known.get((each.service, each.host))
        laid = None if server is None else laid_document(server.over)
        waiting = {"in_effect": False, "suspended": "it is not in the pool list", "listed": None}
        shown.append(laid or {**override_document(each), **waiting})
    return {"overrides": shown}


def acknowledgement_document(known: Acknowledgement) -> Document:
    """Which alert is known, to whom, for how long and why."""
    return {
        "id": known.id,
        "service": known.service,
        "about": known.about,
        "severity": known.severity.value,
        "by": known.by,
        "reason": known.reason,
        "since": instant(known.since),
        "until": instant(known.until),
        "text": known.text,
    }
