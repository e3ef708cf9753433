"""A reactor whose turns the test takes."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.base import DelayedCall


class Reactor:
    """Calls that are asked for in a turn come in the next one, as a reactor's do; Twisted's Clock
    makes them in the same."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.calls: list[DelayedCall] = []

    def seconds(self) -> float:
        return self.now_s

    def callLater(
        self, delay_s: float, call: Callable[..., object], /, *args: object
    ) -> DelayedCall:
        assert delay_s == 0
        later = DelayedCall(delay_s, call, args, {}, self.calls.remove, self.calls.append)
        self.calls.append(later)
        return later

    def turn(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call.func(*call.args)
