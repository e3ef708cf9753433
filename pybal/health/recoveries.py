"""The notice board of recoveries: a host that answers one monitor may answer the others, too.

A monitor that is down may wait minutes for its next try. When any monitor of a host finds it up
again, the board lets the others of that host try soon. It makes no storm: who is called tries
once, at a random moment of the next seconds, and is not called again within HURRY_EVERY_S.
"""

from __future__ import annotations

from collections.abc import Callable

HURRY_EVERY_S = 5.0
"""No monitor is hurried more often than this."""

HURRY_WITHIN_S = 1.0
"""One that is hurried tries at a random moment of this time."""

Hurry = Callable[[float], None]
"""Try again within so many seconds."""


class Recoveries:
    """Those that are down, by host. `seconds()` is any clock that does not jump."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._down: dict[str, dict[object, Hurry]] = {}
        self._hurried_at: dict[object, float] = {}
        self.hurried_total = 0

    def is_down(self, host: str, monitor: object, hurry: Hurry) -> None:
        """From now on the monitor wants to hear of the host's recovery. Idempotent."""
        self._down.setdefault(host, {})[monitor] = hurry

    def forget(self, host: str, monitor: object) -> None:
        """The monitor is up, or has ended; unknown ones are no matter."""
        waiting = self._down.get(host, {})
        if waiting.pop(monitor, None) is not None:
            self._hurried_at.pop(monitor, None)
            if not waiting:
                del self._down[host]

    def came_up(self, host: str, monitor: object) -> None:
        """The monitor, which was down, found the host up: the others may try."""
        self.forget(host, monitor)
        for other, hurry in list(self._down.get(host, {}).items()):
            self._hurry(other, hurry, HURRY_WITHIN_S)

    def all_may_try(self, within_s: float) -> None:
        """It was not the servers: all that are down try within this time."""
        for waiting in list(self._down.values()):
            for monitor, hurry in list(waiting.items()):
                self._hurry(monitor, hurry, within_s)

    def _hurry(self, monitor: object, hurry: Hurry, within_s: float) -> None:
        now_s = self._seconds()
        last_s = self._hurried_at.get(monitor)
        if last_s is None or now_s - last_s >= HURRY_EVERY_S:
            self._hurried_at[monitor] = now_s
            self.hurried_total += 1
            hurry(within_s)
