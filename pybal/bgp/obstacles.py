"""Prefixes that a peer cannot be told of, as lines of the log. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pybal.bgp.prefix import Prefix
from pybal.bgp.rib import FAMILY_LEFT_OUT
from pybal.runtime.naming import counted

_NAMED = 5


class ObstacleLog:
    """Says of one peer what is new among them, by reason. `log` is a SummingLog."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self._known: dict[Prefix, str] = {}

    def note(self, peer: str, obstacles: Mapping[Prefix, str]) -> None:
        """Prefix to reason, all of them as they are now."""
        known, self._known = self._known, dict(obstacles)
        reasons: dict[str, list[str]] = {}
        for prefix, reason in obstacles.items():
            if known.get(prefix) != reason:
                reasons.setdefault(reason, []).append(str(prefix))
        for reason, prefixes in reasons.items():
            emit = self._log.info if reason == FAMILY_LEFT_OUT else self._log.error
            emit(
                "Peer {peer} cannot be told of {prefixes} ({first}): {reason}",
                peer=peer, prefixes=counted(len(prefixes), "prefix", "prefixes"),
                first=", ".join(prefixes[:_NAMED]), reason=reason,
            )  # fmt: skip
