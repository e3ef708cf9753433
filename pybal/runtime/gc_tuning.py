"""When Python searches for garbage: never at a cost that a check could feel.

Most objects go at once, when nothing refers to them any more; a search finds what refers to itself.
In the largest configurations one of all objects stops the process for a quarter of a second.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from threading import get_ident

from pybal.runtime.clock import Clock

YOUNG = 1500, 0
"""After so many new objects these are searched, every other time with those that stayed the time
before: a few milliseconds."""

NEVER = 2**31 - 1
_OLD = 2
"""After more such searches than this comes one of all that are not passed over: some ten
milliseconds."""

_ALL = 2
"""Python's name for a search of all that are not passed over."""

STORM_S = 0.05
"""A thread that has worked for more than half of so long a time has met with a storm."""

MOST_SEARCHED = 10_000
"""A search of more objects takes over four milliseconds, on top of what else its turn has to do.
Without a storm, too, the largest configurations come to 25,000, four times a minute."""

PASSED_OVER = 8000
"""So many searches may find nothing for either reason, from one search of all objects to the
next."""

SETTLED_AFTER_S = 20.0
"""Until then the start makes objects without end: the largest takes some eight seconds."""

_SEARCH_ALL_EVERY_S = 6 * 3600.0

MANY_PASSED_OVER = 1000
"""After so many all objects are searched, though it is not yet time: each passes over garbage of up
to 150 KB where servers and checks come and go without end. One storm has far fewer."""
LOOK_EVERY_S = 60.0


StandStill = Callable[[Callable[[], None]], None]
"""Has that done which stops this process for a while: once nobody takes it for dead meanwhile."""


def tune_garbage_collection(
    clock: Clock, stand_still: StandStill, cpu_s: Callable[[], float] = time.thread_time
) -> None:
    """Arrange the searches of this process, on `clock` (IReactorTime), from the reactor's thread;
    `cpu_s()` is the processor time that this has used.

    No search of all objects while the start makes them without end; from then on, what a search
    has found in use is passed over by the next ones. Most of what is removed is no garbage, it goes
    at once; what is missed is found by a search of everything, once in a long while, or once many
    searches were passed over.
    """
    searches = Searches(clock, stand_still, cpu_s)
    searches.begin()
    clock.callLater(SETTLED_AFTER_S, searches.settle)
    clock.callLater(_SEARCH_ALL_EVERY_S, searches.search_in_time)
    clock.callLater(SETTLED_AFTER_S + LOOK_EVERY_S, searches.look)


class Searches:
    """What becomes of each search.

    In a storm nearly all that is new stays, and takes the place of something old. To search it
    takes a fifth of the time and finds nothing; and as Python counts what is new less what has
    gone, tens of thousands of objects may gather first, whose search stops the process for a tenth
    of a second. So it is passed over. What a storm leaves may be left to the first search after it:
    one of very many is passed over, too. The start is a storm in any case: of a million objects
    that the largest makes a few thousand are garbage; there the threads that parse lists must not
    search either, as that stops the reactor, too. Later their searches are as ever: what they parse
    is garbage soon.
    """

    def __init__(self, clock: Clock, stand_still: StandStill, cpu_s: Callable[[], float]) -> None:
        self._clock = clock
        self._stand_still = stand_still
        self._cpu_s = cpu_s
        self._thread = get_ident()
        self._since_s, self._used_s = clock.seconds(), cpu_s()
        self._in_storm = self._starting = True
        self._left = PASSED_OVER
        self._all = False

    def begin(self) -> None:
        """The start goes on: not all objects are searched."""
        gc.set_threshold(*YOUNG, NEVER)
        gc.callbacks.append(self.told)

    def settle(self) -> None:
        """The start is over."""
        self._starting = self._in_storm = False
        self._since_s, self._used_s = self._clock.seconds(), self._cpu_s()
        self._left = PASSED_OVER
        gc.freeze()
        # Costs nothing, and has Python forget how many objects there were: it puts the first
        # search off until a quarter as many are new.
        gc.collect()
        gc.set_threshold(*YOUNG, _OLD)

    def told(self, phase: str, info: Mapping[str, int]) -> None:
        """By Python, before and after a search, in whichever thread."""
        if phase == "stop":
            if info["generation"] == _ALL:
                gc.freeze()
            return
        if self._all or (get_ident() != self._thread and not self._starting):
            return
        now_s = self._clock.seconds()
        if now_s - self._since_s >= STORM_S and not self._starting:
            used_s = self._cpu_s()
            self._in_storm = (used_s - self._used_s) * 2 > now_s - self._since_s
            self._since_s, self._used_s = now_s, used_s
        if self._left and (self._in_storm or _is_long(info["generation"])):
            self._left -= 1
            gc.freeze()  # Nothing is left to be searched.

    def look(self) -> None:
        """Again and again: whether so many were passed over that it is time."""
        if PASSED_OVER - self._left >= MANY_PASSED_OVER:
            self._stand_still(self.search_all)
        self._clock.callLater(LOOK_EVERY_S, self.look)

    def search_in_time(self) -> None:
        """Once in a long while, though few were passed over."""
        self._stand_still(self.search_all)
        self._clock.callLater(_SEARCH_ALL_EVERY_S, self.search_in_time)

    def search_all(self) -> None:
        """Find what was passed over."""
        gc.unfreeze()
        self._all = True
        gc.collect()
        self._all = False
        self._left = PASSED_OVER


def _is_long(generation: int) -> bool:
    """Whether a search of this generation and the younger ones takes long. To count objects takes a
    tenth of the time of their search."""
    counts = (len(gc.get_objects(generation=each)) for each in range(generation + 1))
    return sum(counts) > MOST_SEARCHED
