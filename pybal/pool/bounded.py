"""Work that costs as much as a pool is large, and is asked for after each of its events."""

from __future__ import annotations

from collections.abc import Callable

from pybal.runtime.clock import Clock, DelayedCall, cancel

SERVERS_LOOKED_AT = 2000
WITHIN_S = 0.05
"""So many servers are looked at within so long; more of it is done once, after that time, or after
longer where all of a larger pool were looked at."""


class BoundedWork:
    """Does it at once, unless that has been done too often: then once for all who asked
    meanwhile."""

    def __init__(self, clock: Clock, work: Callable[[], None]) -> None:
        self._clock = clock
        self._work = work
        self._began_at = -WITHIN_S
        self._looked_at = 0
        self._later: DelayedCall | None = None

    def ask(self, servers: int) -> None:
        """Have the work done; it looks at so many servers."""
        if self._later is not None:
            return
        now = self._clock.seconds()
        within_s = WITHIN_S * max(1.0, self._looked_at / SERVERS_LOOKED_AT)
        if now - self._began_at >= within_s:
            self._began_at, self._looked_at = now, 0
        if self._looked_at >= SERVERS_LOOKED_AT:
            self._later = self._clock.callLater(self._began_at + within_s - now, self._do_it)
            return
        self._looked_at += servers
        self._work()

    def stop(self) -> None:
        """What is left is not done any more. Idempotent."""
        cancel(self._later)
        self._later = None

    def _do_it(self) -> None:
        self._later = None
        self._work()
