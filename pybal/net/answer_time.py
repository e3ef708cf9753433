"""How long a peer may take to answer: while its answer waits for us to read it, its time stands
still."""

from __future__ import annotations

from collections.abc import Callable

from pybal.net.port import Channel
from pybal.runtime.clock import Clock, DelayedCall, cancel


class AnswerTime:
    """From its making on `timeout_s`, and as long as what came had to wait for its turn, as in a
    storm, but no more than as much again. Then, unless it was ended before, `over` is called; what
    lies in the socket by then is told first."""

    __slots__ = ("_call", "_channel", "_clock", "_granted_s", "_over", "_timeout_s", "_waited_s")

    def __init__(self, clock: Clock, timeout_s: float, over: Callable[[], None]) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        self._over = over
        self._channel: Channel | None = None
        self._waited_s = 0.0
        """Over channels that others have taken the place of."""
        self._granted_s = 0.0
        self._call: DelayedCall | None = clock.callLater(timeout_s, self._due)

    def goes_by(self, channel: Channel) -> None:
        """What comes from now on comes over this one."""
        self._waited_s = self.waited_s()
        self._channel = channel

    def waited_s(self) -> float:
        """How long what has come waited for its turn."""
        return self._waited_s + (self._channel.waited_in_all_s() if self._channel else 0.0)

    def end(self) -> None:
        """No more of it. Idempotent."""
        cancel(self._call)
        self._call = None

    def _due(self) -> None:
        if self._channel is not None:
            self._channel.catch_up()
        if self._call is None:
            return  # By what has come.
        more_s = min(self.waited_s(), self._timeout_s) - self._granted_s
        if more_s > 0:
            self._granted_s += more_s
            self._call = self._clock.callLater(more_s, self._due)
        else:
            self._over()
