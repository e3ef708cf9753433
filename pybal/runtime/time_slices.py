"""Long work in pieces: all of it together takes a few milliseconds of each turn of the reactor."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed

from pybal.runtime.clock import Clock
from pybal.runtime.pieces import PIECE, Pieces
from pybal.runtime.turn_clock import lately

_T = TypeVar("_T")

SLICE_S = 0.003
"""So much of a turn may long work take before sockets and timers have theirs."""

QUIET_S = 0.003
"""A turn that took others less had little to do."""

_SHORT_S = SLICE_S / 8
_AT_ONCE = 4
"""Where short pieces take less than that each, so many are done before it is looked what time it
is: that may be a system call."""

LEISURE_WITHIN_S = 5.0
"""What nobody waits for comes to pass within that time, however much there is to do."""

_Call = tuple[Callable[..., object], tuple[Any, ...], bool]
"""What to call, with what, and whether it may take as long as a slice, as what paused may."""
_Leisure = tuple[float, int, Callable[..., object], tuple[Any, ...]]
"""Until when it may wait, in which order it came, what to call, and with what."""


class TimeSlices:
    """Shared by all who have long work to do. They do it in pieces, each of less than a slice, and
    await a pause() before each. `clock` is IReactorTime."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lately = lately(clock)
        self._waiting: deque[_Call] = deque()
        self._at_leisure: list[_Leisure] = []
        """A heap."""
        self._last: list[_Leisure] = []
        """Another, of what comes after all that."""
        self._asked = count()
        self._ends_at: float | None = None
        """When the slice of this turn is over; None while nobody has asked in it."""
        self._left_at: float | None = None
        """When the last turn's slice was over."""
        self._looked_at = 0.0
        """What time it was when it was last looked whether there is time left."""
        self._unlooked = 0
        """So many pieces were done since then."""
        self._look_after = 1
        """So many before it is looked again."""

    def pause(self) -> Deferred[None]:
        """Fires at once if there is time left in this turn, else in a later one, first come, first
        served. May be cancelled."""
        if not self._waiting and self._has_time():
            return succeed(None)
        turn: Deferred[None] = Deferred(lambda _: self._waiting.remove(waiting))
        waiting: _Call = turn.callback, (None,), True
        self._waiting.append(waiting)
        return turn

    async def finish(self, pieces: Pieces[_T]) -> _T:
        """Do work that comes in pieces, and give what comes of it. The first piece is done at
        once."""
        while True:
            try:
                next(pieces)
            except StopIteration as end:
                result: _T = end.value
                return result
            await self.pause()

    def call(self, piece: Callable[..., object], *arguments: object) -> None:
        """The same, for a piece that never fails and is not taken back."""
        if not self._waiting and self._has_time(exactly=False):
            piece(*arguments)
        else:
            self._waiting.append((piece, arguments, False))

    def leisure(self, *, last: bool = False, by_s: float | None = None) -> Deferred[None]:
        """Fires in a later turn that has little else to do, or after LEISURE_WITHIN_S; in order.
        `last`: once nobody else waits for leisure, or after that time. Who does long work so, in
        pieces, says by when (the clock's seconds) all of it is due: what is due has its share of
        each turn, however busy that is."""
        turn: Deferred[None] = Deferred()
        due_s = self.due_s if by_s is None else by_s
        self._wait(self._last if last else self._at_leisure, due_s, turn.callback, None)
        return turn

    def call_at_leisure(self, piece: Callable[..., object], *arguments: object) -> None:
        """The same, for a piece that never fails and is not taken back."""
        self._wait(self._at_leisure, self.due_s, piece, *arguments)

    def let_go(self, values: Sequence[object]) -> None:
        """The caller is about to let go of these. To free thousands of objects takes milliseconds,
        too: those that nobody else has go piece by piece, at leisure."""
        if len(values) > PIECE:
            self._wait(self._at_leisure, self.due_s, self._let_go, list(values), self.due_s)

    def _let_go(self, left: list[object], due_s: float) -> None:
        del left[-PIECE:]
        if left:
            self._wait(self._at_leisure, due_s, self._let_go, left, due_s)

    def _wait(
        self, queue: list[_Leisure], due_s: float, piece: Callable[..., object], *arguments: object
    ) -> None:
        heappush(queue, (due_s, next(self._asked), piece, arguments))
        self._begin_slice()

    @property
    def due_s(self) -> float:
        """By when what begins to wait for leisure now is due."""
        return self._lately() + LEISURE_WITHIN_S

    def _begin_slice(self) -> None:
        """Unless this turn has one. The next has another, for what waits by then."""
        if self._ends_at is None:
            self._note(self._clock.seconds())
            self._ends_at = self._looked_at + SLICE_S
            self._clock.callLater(0, self._next_turn)

    def _has_time(self, *, exactly: bool = True) -> bool:
        if self._ends_at is None:
            self._begin_slice()
            return True
        self._unlooked += 1
        # Some short pieces look what time it is themselves.
        now_s = self._lately()
        if exactly or (now_s == self._looked_at and self._unlooked >= self._look_after):
            now_s = self._clock.seconds()
        if now_s != self._looked_at:
            self._note(now_s)
        return now_s < self._ends_at

    def _note(self, now_s: float) -> None:
        """What time it is."""
        are_short = now_s - self._looked_at < self._unlooked * _SHORT_S
        self._look_after = _AT_ONCE if are_short else 1
        self._looked_at, self._unlooked = now_s, 0

    def _next_turn(self) -> None:
        self._ends_at = None
        begun_at, left_at = self._clock.seconds(), self._left_at
        was_long = False
        while self._waiting and self._has_time(exactly=was_long):
            piece, arguments, was_long = self._waiting.popleft()
            piece(*arguments)
        quiet = left_at is not None and begun_at - left_at < QUIET_S and not self._waiting
        self._use_leisure(self._at_leisure, quiet=quiet)
        self._use_leisure(self._last, quiet=quiet and not self._at_leisure)
        if self._at_leisure or self._last:
            self._begin_slice()
        self._left_at = self._clock.seconds()

    def _use_leisure(self, queue: list[_Leisure], *, quiet: bool) -> None:
        # What is due may wait for some pieces more.
        while queue and (quiet or queue[0][0] <= self._lately()) and self._has_time():
            *_, piece, arguments = heappop(queue)
            piece(*arguments)
