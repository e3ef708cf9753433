"""Begins first checks one after another, at the pace that pace.py decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pybal.health.local_faults import LocalFaults
from pybal.monitors.pace import HostQueue, Pace, step
from pybal.runtime.clock import cancel

_TICK_S = 0.01
_SLICE_S = 0.005
"""So much of a turn of the reactor, at most."""


class Turn:
    """A first check that waits to be begun."""

    def __init__(self, begin: Callable[[], None], given_up: Callable[[], None]) -> None:
        self._begin: Callable[[], None] | None = begin
        self._given_up = given_up

    @property
    def waits(self) -> bool:
        """Whether it has still to come."""
        return self._begin is not None

    def cancel(self) -> None:
        """It will not come. Idempotent."""
        if self._begin is not None:
            self._begin = None
            self._given_up()

    def take(self) -> None:
        """It has come."""
        begin, self._begin = self._begin, None
        if begin is not None:
            begin()


NO_TURN = Turn(lambda: None, lambda: None)
NO_TURN.cancel()


class FirstChecks:
    """Shared by all monitors. `clock` provides IReactorTime, `cpu_s()` is the processor time that
    the reactor's thread has used."""

    def __init__(self, clock: Any, faults: LocalFaults, cpu_s: Callable[[], float]) -> None:
        self._clock = clock
        self._faults = faults
        self._cpu_s = cpu_s
        self._queue: HostQueue[Turn] = HostQueue()
        self._waiting = 0
        """Those of the queue that have not been cancelled."""
        self._pace = Pace()
        self._ticking: Any = None
        self._looked_at, self._known_cpu_s = 0.0, 0.0
        self._known_faults = 0

    def turn(self, host: str, begin: Callable[[], None]) -> Turn:
        """Has `begin` called, which must not fail, in a later turn of the reactor: at once, unless
        others wait."""
        turn = Turn(begin, self._given_up)
        self._queue.add(host, turn)
        self._waiting += 1
        if self._ticking is None:
            self._looked_at, self._known_cpu_s = self._clock.seconds(), self._cpu_s()
            self._pace = Pace()
            self._known_faults = self._faults.counts.total()
            self._ticking = self._clock.callLater(0, self._tick)
        return turn

    def _given_up(self) -> None:
        self._waiting -= 1
        if self._waiting == 0:
            self._rest()

    def _rest(self) -> None:
        cancel(self._ticking)
        self._ticking = None
        self._queue = HostQueue()

    def _tick(self) -> None:
        self._ticking = self._clock.callLater(_TICK_S, self._tick)
        now_s, cpu_s, faults = self._clock.seconds(), self._cpu_s(), self._faults.counts.total()
        self._pace = step(
            self._pace,
            now_s - self._looked_at,
            cpu_s - self._known_cpu_s,
            faults - self._known_faults,
        )
        self._looked_at, self._known_cpu_s, self._known_faults = now_s, cpu_s, faults
        self._hand_out(now_s + _SLICE_S)
        if self._waiting == 0:
            self._rest()

    def _hand_out(self, ends_at: float) -> None:
        while self._pace.allowance >= 1 and self._queue:
            now_s = self._clock.seconds()
            if now_s >= ends_at:
                self._pace = self._pace.out_of_time()
                return
            turn = self._queue.take(now_s)
            if turn is None:
                return
            if turn.waits:
                self._waiting -= 1
                self._pace = self._pace.took_one()
                turn.take()
