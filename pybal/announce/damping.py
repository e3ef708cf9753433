"""Damping of announcements: what goes up and down is withdrawn at once each time, and announced
again the later the more often that happens. Pure."""

from __future__ import annotations

from typing import NamedTuple

HOLD_S = (0.0, 5.0, 15.0, 30.0, 60.0)
"""From a withdrawal to the next announcement at the earliest: after the first, the second, and so
on. The first is no flapping yet."""

QUIET_S = 300.0
"""Who was not withdrawn for so long has a clean slate."""


class Damping(NamedTuple):
    """How often an address was withdrawn lately, and when last, on the monotonic clock."""

    withdrawals: int = 0
    last_at_s: float = 0.0

    def withdrawn(self, now_s: float) -> Damping:
        """It has just been withdrawn once more."""
        lately = self.withdrawals if now_s - self.last_at_s < QUIET_S else 0
        return Damping(lately + 1, now_s)

    def wait_s(self, now_s: float) -> float:
        """Until it may be announced again; 0: it may be now."""
        if not self.withdrawals:
            return 0.0
        hold_s = HOLD_S[min(self.withdrawals, len(HOLD_S)) - 1]
        return max(0.0, self.last_at_s + hold_s - now_s)
