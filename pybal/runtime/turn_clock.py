"""What time it is, for all who ask within one turn of the reactor.

To read a clock is a system call where the kernel cannot do without: on a guest of User-Mode Linux,
or where only a slow clock is stable. The death of one server asks for the time some twenty
times, and means the same moment each time.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from typing import Any, Protocol

LONG_S = 0.5
"""To wait so long begins when the time was last read in this turn: a storm arranges a time-out and
another attempt for each server, and each would read the clock."""


class TurnClock:
    """`steady()` never jumps; `unix()` is Unix seconds. Made in the reactor's thread: to others it
    always tells the exact time.

    Who measures how long a turn takes asks for `seconds`, which is exact. Others ask for `lately`
    or `now`: when somebody last looked in this turn, some milliseconds ago in a storm.
    """

    def __init__(self, steady: Callable[[], float], unix: Callable[[], float]) -> None:
        self._steady = steady
        self._unix = unix
        self._thread = get_ident()
        self._lately: float | None = None
        self.is_exact = True
        """Else `seconds` is as good as `lately`."""
        self._offset_s: float | None = None
        """From one to the other, in this turn: the Unix clock may be set at any time."""

    def seconds(self) -> float:
        """Exactly."""
        return self._read() if self.is_exact else self.lately()

    def _read(self) -> float:
        now_s = self._steady()
        if get_ident() == self._thread:
            self._lately = now_s
        return now_s

    def lately(self) -> float:
        """By the same clock, as good as now; never before what `seconds` has said."""
        now_s = self._lately
        if now_s is None or get_ident() != self._thread:
            return self._read()
        return now_s

    def now(self) -> float:
        """Unix seconds, as good as now."""
        if get_ident() != self._thread:
            return self._unix()
        if self._offset_s is None:
            # In this order, so that who loses the processor in between is behind, not ahead.
            unix_s = self._unix()
            self._offset_s = unix_s - self.seconds()
            return unix_s
        return self.lately() + self._offset_s

    def turn_ends(self) -> None:
        """The reactor is about to wait: who asks from now on asks anew."""
        self._lately = self._offset_s = None


class TurnEnds(Protocol):
    """Is told of the end of each turn: when, by the reactor's clock, and whether the reactor comes
    to wait, as nothing else is to be done at once."""

    def __call__(self, now_s: float, /, *, waits: bool) -> None: ...


def drive(reactor: Any, clock: TurnClock, turn_ends: TurnEnds) -> None:
    """Have a reactor of Twisted's tell this clock's time, and tell it, and others, when it waits. A
    reactor reads its `seconds` alone, also in `callLater`; it calls its `timeout`, for how long to
    wait, right before that."""
    timeout, call_later = reactor.timeout, reactor.callLater

    def timeout_of_turn() -> float | None:
        waits_s: float | None = timeout()
        turn_ends(clock.lately(), waits=waits_s != 0)
        clock.turn_ends()
        return waits_s

    def call_later_in_turn(delay_s: float, *what: Any, **named: Any) -> Any:
        clock.is_exact = delay_s < LONG_S
        try:
            return call_later(delay_s, *what, **named)
        finally:
            clock.is_exact = True

    reactor.seconds, reactor.lately = clock.seconds, clock.lately
    reactor.timeout, reactor.callLater = timeout_of_turn, call_later_in_turn


def lately(clock: Any) -> Callable[[], float]:
    """What tells the time within a turn, of a clock (IReactorTime): `lately` of a reactor that a
    TurnClock drives, and `seconds` of all others."""
    found: Callable[[], float] = getattr(clock, "lately", None) or clock.seconds
    return found
