"""The one line of `systemctl status` on how all is. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pybal.bgp.snapshot import BGPSnapshot
from pybal.config.snapshot import ConfigSnapshot, ReloadOutcome
from pybal.runtime.naming import counted, shortened

_MAX_SHOWN = 300


def status_line(
    services: Sequence[tuple[int, int]], bgp: BGPSnapshot, config: ConfigSnapshot
) -> str:
    """`118 services, 11095 servers, 11093 up, BGP 2/2`; trouble with the configuration
    first, with the first of its errors. `services`: of each how many servers it has, and how many
    are up."""
    parts = [
        counted(len(services), "service"),
        counted(sum(servers for servers, _ in services), "server"),
        f"{sum(up for _, up in services)} up",
    ]
    if bgp.enabled:
        established = sum(peer.established for peer in bgp.peers)
        parts.append(f"BGP {established}/{len(bgp.peers)}")
    last = config.last_reload
    wrong = "" if last is None or last.successful else _first(last.errors)
    if config.is_last_good:
        parts.insert(0, f"runs the LAST GOOD configuration, the file has errors{wrong}")
    elif last is not None and not last.successful:
        parts.insert(0, f"the changed configuration was {last.outcome.value.upper()}{wrong}")
    is_last = last is not None and last.outcome is ReloadOutcome.IN_PART
    if config.in_part and (config.is_last_good or not is_last):
        parts.insert(1, "one was APPLIED IN PART")
    return ", ".join(parts)


def _first(errors: Sequence[str]) -> str:
    """People who reload see it here: `systemctl reload` itself does not show it."""
    if not errors:
        return ""
    more = f"; and {len(errors) - 1} more" if len(errors) > 1 else ""
    return f" ({shortened(errors[0], _MAX_SHOWN)}{more})"
