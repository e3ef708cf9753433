"""The servers that a long list brings come in portions, one a turn: all of them in one step would
hold up the reactor. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping

from pybal.model import ServerSpec

PORTION = 150
"""So many new servers are some milliseconds' work."""


class Portions:
    """Those of one list, in its order. To give all of them costs what the list is long, however
    many they are."""

    def __init__(self) -> None:
        self._in_force: Mapping[str, ServerSpec] | None = None
        self._waiting: deque[str] = deque()

    def next(
        self, in_force: Mapping[str, ServerSpec], known: Collection[str]
    ) -> tuple[ServerSpec, ...]:
        """The next servers that are new; `known` are those that there are. Empty if there are no
        more than a portion, and once all have come: what is done for the whole list has a turn to
        itself. Who has changed, and who is no longer listed, goes with that."""
        if in_force is not self._in_force:
            begun, self._in_force = self._in_force is not None, in_force
            new = [host for host in in_force if host not in known]
            self._waiting = deque(new if begun or len(new) > PORTION else ())
        portion: list[ServerSpec] = []
        while self._waiting and len(portion) < PORTION:
            host = self._waiting.popleft()
            if host not in known:
                portion.append(in_force[host])
        return tuple(portion)
