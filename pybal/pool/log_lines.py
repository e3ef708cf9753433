"""The log lines of the pooling policy's notices. People and log filters look for these texts.

Pure.
"""

from __future__ import annotations

from typing import Literal

from pybal.model import ServerSpec
from pybal.pool.events import (
    BecameUp,
    CouldNotDepool,
    LeftPooled,
    Notice,
    PooledChanged,
    ReportedDown,
    RetractedDown,
    ServerAdded,
    ServerMerged,
    ServerRemoved,
    TooFewEligible,
)
from pybal.pool.list_guard import ChangeHeld, ChangeReleased, ChangeWaits, GuardNotice
from pybal.runtime.naming import counted, named

Level = Literal["info", "error", "critical"]


def log_line(notice: Notice) -> tuple[Level, str]:
    """The level and the text of one notice."""
    match notice:
        case ServerAdded(spec):
            return "info", f"New {_describe(spec)}"
        case ServerMerged(spec):
            return "info", f"Merged {_describe(spec)}"
        case ServerRemoved(host):
            return "info", f"Removing server {host} (no longer found in new configuration)"
        case ReportedDown(host, status, monitor, reason):
            text = f"Monitoring instance {monitor} reports server {host} ({status}) down: {reason}"
            return "error", text
        case RetractedDown(host, status, monitor):
            text = f"What {monitor} reported of server {host} ({status}) is retracted"
            return "info", f"{text}: this director is cut off"
        case BecameUp(host, status):
            return "info", f"Server {host} ({status}) is up"
        case CouldNotDepool(host):
            return "error", f"Could not depool server {host} because of too many down!"
        case LeftPooled(host):
            return "info", f"Leaving previously pooled server {host} pooled"
        case PooledChanged(host, pooled, up):
            if not pooled:
                return "info", f"Depooled server {host}"
            return "info", f"Pooled server {host}" + ("" if up else " though it is not up")
        case TooFewEligible(pooled, required):
            text = (
                f"Only {counted(pooled, 'server')} can be pooled, the depool threshold wants "
                f"{float(required):g}: too few are enabled and have an address"
            )
            return "critical", text


def guard_line(notice: GuardNotice, service: str, hold_s: float | None) -> tuple[Level, str]:
    """The level and the text of a notice of the list guard."""
    match notice:
        case ChangeWaits(hosts, arriving, most_s):
            text = f"Servers {named(hosts)} left the pool list and stay until others work"
            return "info", f"{text}: waiting for {named(arriving)}, {most_s:.0f} s at most"
        case ChangeHeld():
            return "critical", _held_line(notice, service, hold_s)
        case ChangeReleased(hosts, why):
            return "info", f"No longer kept against the pool list: {named(hosts)} ({why.value})"


def _held_line(notice: ChangeHeld, service: str, hold_s: float | None) -> str:
    others = ""
    if notice.taken:
        others = f", after {named(notice.taken)} went within {notice.window_s:.0f} s"
    hold = "" if hold_s is None else f", or for {hold_s:.0f} s"
    left = counted(notice.left, "server that works", "servers that work")
    return (
        f"HELD: the pool list takes away {named(notice.hosts)}{others}: that leaves {left}, and"
        f" list-floor wants {notice.required}. They stay as they were until"
        f" a list keeps to the floor or an operator confirms it (pybalctl confirm {service}){hold}"
    )


def _describe(spec: ServerSpec) -> str:
    enabled = "enabled" if spec.enabled else "disabled"
    return f"{enabled} server {spec.host}, weight {spec.weight}"
