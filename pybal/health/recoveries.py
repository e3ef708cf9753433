"""Recoveries: a host that answers one monitor may answer the others, too.

A monitor that is down may wait minutes for its next check. When any monitor of a host finds it up
again, the other monitors of that host are expedited: each checks once, at a random moment of the
next second. None is expedited again within EXPEDITE_EVERY_S, so a host that flaps causes no storm.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

EXPEDITE_EVERY_S = 5.0
"""The shortest time between two expedited checks of a monitor."""

EXPEDITE_WITHIN_S = 1.0
"""An expedited check is made at a random moment within this time."""

Expedite = Callable[[float], None]
"""Makes the next check within so many seconds."""


class Recoveries:
    """The monitors that are down, by host. `seconds()` is any clock that does not jump."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._down: dict[str, dict[object, Expedite]] = {}
        self._expedited_at: dict[object, float] = {}
        self.expedited_total = 0

    def is_down(self, host: str, monitor: object, expedite: Expedite) -> None:
        """The monitor is down: from now on it is expedited when the host recovers. Idempotent."""
        self._down.setdefault(host, {})[monitor] = expedite

    def forget(self, host: str, monitor: object) -> None:
        """The monitor is up, or has ended. Unknown monitors are ignored."""
        waiting = self._down.get(host, {})
        if waiting.pop(monitor, None) is not None:
            self._expedited_at.pop(monitor, None)
            if not waiting:
                del self._down[host]

    def came_up(self, host: str, monitor: object) -> None:
        """The monitor, which was down, found the host up: expedite the others of that host."""
        self.forget(host, monitor)
        for other, expedite in list(self._down.get(host, {}).items()):
            self._expedite(other, expedite, EXPEDITE_WITHIN_S)

    def recheck_all(self, within_s: float) -> None:
        """Isolation has ended: all monitors that are down check again within this time."""
        for waiting in list(self._down.values()):
            for monitor, expedite in list(waiting.items()):
                self._expedite(monitor, expedite, within_s)

    def recheck(self, hosts: Collection[str], within_s: float) -> None:
        """Their monitors that are down check again within this time."""
        for host in hosts:
            for monitor, expedite in list(self._down.get(host, {}).items()):
                self._expedite(monitor, expedite, within_s)

    def _expedite(self, monitor: object, expedite: Expedite, within_s: float) -> None:
        now_s = self._seconds()
        last_s = self._expedited_at.get(monitor)
        if last_s is None or now_s - last_s >= EXPEDITE_EVERY_S:
            self._expedited_at[monitor] = now_s
            self.expedited_total += 1
            expedite(within_s)
