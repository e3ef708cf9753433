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
    NoLongerBelieved,
    Notice,
    PooledChanged,
    ReportedDown,
    ServerAdded,
    ServerMerged,
    ServerRemoved,
    TooFewEligible,
)

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
        case NoLongerBelieved(host, status, monitor):
            text = f"What {monitor} reported of server {host} ({status}) is taken back"
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
            return "info", f"Pooled server {host}" + ("" if up else " though it is down")
        case TooFewEligible(pooled, required):
            text = (
                f"Only {pooled} servers can be pooled, the depool threshold wants "
                f"{float(required):g}: enable more servers"
            )
            return "critical", text


def _describe(spec: ServerSpec) -> str:
    enabled = "enabled" if spec.enabled else "disabled"
    return f"{enabled} server {spec.host}, weight {spec.weight}"
