"""The heartbeat on the reactor: feeds the StallDetector, and logs when time was lost."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from pybal.health.stalls import BEAT_S, TOLERANCE_S, StallDetector
from pybal.runtime.clock import DelayedCall, Timer, cancel

_UNKNOWN = "it was stopped or starved, or the clock jumped"
_SEARCHED = "it searched all of its memory for garbage"


class Heartbeat:
    """Beats on `clock` from start() to stop(). `time_lost` is told of each loss, in seconds."""

    def __init__(
        self,
        clock: Timer,
        stall_detector: StallDetector,
        log: Logger,
        time_lost: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._time_lost = time_lost
        self._stall_detector = stall_detector
        self._log = log
        self._timer: DelayedCall | None = None
        self._why = _UNKNOWN

    def start(self) -> None:
        """The first beat comes a period later."""
        self._timer = self._clock.callLater(BEAT_S, self._beat)

    def stop(self) -> None:
        """Idempotent."""
        cancel(self._timer)
        self._timer = None

    def stand_still(self, search: Callable[[], None]) -> None:
        """Search for garbage, which stops this process: the next beat knows why it comes late."""
        self._why = _SEARCHED
        search()

    def _beat(self) -> None:
        lost_s, why = self._stall_detector.beat(), self._why
        self._why = _UNKNOWN
        self._timer = self._clock.callLater(BEAT_S, self._beat)
        if lost_s > TOLERANCE_S:
            self._log.warn(
                "This process lost {lost_s:.1f} s: {why}. Checks that failed within that time are "
                "made again",
                lost_s=lost_s,
                why=why,
            )
            self._time_lost(lost_s)
