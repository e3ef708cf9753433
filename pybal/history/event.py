"""One event of the history: what happened, to whom, because of what. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Inputs = Mapping[str, Any]
"""What JSON can hold."""


class Kind(enum.StrEnum):
    """What sort of thing happened; the value is its name in the API."""

    START = "start"
    """A run of PyBal begins."""
    STOP = "stop"
    """It ends in order. After a crash there is none."""
    SERVICE = "service"
    """A service begins to be looked after, with these settings; or ends."""
    REPORT = "report"
    """What a monitor found has reached the service."""
    RETRACTION = "retraction"
    """A report of down no longer counts: this director was cut off."""
    LIST = "list"
    """A pool list is in force."""
    HELD = "held"
    """What a list takes away is kept, or no longer."""
    ADDRESS = "address"
    """A server's address was found, lost, or has changed."""
    SETTINGS = "settings"
    """A service has other settings."""
    OVERRIDE = "override"
    """An operator overrides a server's state, or takes that back."""
    OPERATOR = "operator"
    """An operator had something else done."""
    RELOAD = "reload"
    """pybal.conf was read again."""
    DECISION = "decision"
    """A server is pooled, depooled, held … from now on."""
    KERNEL = "kernel"
    """What the kernel answered, or what others did to its table."""
    ROUTE = "route"
    """An address is announced, or no longer."""
    BGP = "bgp"
    """A BGP session stands, or no longer."""
    ISOLATION = "isolation"
    """This director is cut off, or no longer."""
    CLOCK = "clock"
    """The wall clock was set."""
    LOST = "lost"
    """Events could not be kept."""


@dataclass(frozen=True, slots=True)
class LedgerEvent:
    """`seq` orders all events, of all runs; `at` is Unix seconds, which may jump; `elapsed_s` is
    the time since the run numbered `run` began, which may not. `cause` is the event before it,
    `incident` the first event of the incident that it belongs to."""

    seq: int
    at: float
    elapsed_s: float
    run: int
    kind: Kind
    text: str
    service: str | None = None
    host: str | None = None
    cause: int | None = None
    incident: int | None = None
    inputs: Inputs = field(default_factory=dict)
