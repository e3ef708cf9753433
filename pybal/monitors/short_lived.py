"""A server that closes each connection soon after it is made: since when, and how often. Pure."""

from __future__ import annotations

STEADY_S = 5.0
"""A connection that lasted less does not count as a recovery: back-off goes on from before."""

SHORT_LIVED_FOR_S = 180.0
"""So long each connection was closed sooner than that by the server: it is said then."""


class ShortLived:
    """The connections, one after another, that lasted less than STEADY_S. All times in seconds."""

    __slots__ = ("_since", "in_a_row", "is_said")

    def __init__(self) -> None:
        self.is_said = False
        """It has gone on for SHORT_LIVED_FOR_S, and no connection has lasted since."""
        self.in_a_row = 0
        self._since: float | None = None

    def closed(self, now: float) -> float | None:
        """The server closed one; for how long it has done so, if that is to be said now."""
        if self._since is None:
            self._since = now
        lasts_s = now - self._since
        if self.is_said or lasts_s < SHORT_LIVED_FOR_S:
            return None
        self.is_said = True
        return lasts_s

    def interrupted(self) -> None:
        """One could not be made: what was not said by now begins anew."""
        if not self.is_said:
            self._since = None

    def lasted(self) -> None:
        """One lasted for STEADY_S."""
        self._since = None
        self.in_a_row = 0
