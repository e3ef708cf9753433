"""When Python searches for garbage: never at a cost that a check could feel.

Most objects go at once, when nothing refers to them any more; a search finds what refers to itself.
In the largest configurations one of all objects stops the process for a quarter of a second.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping

from pybal.runtime.clock import Timer

YOUNG = 1500, 0
"""After so many new objects these are searched, every other time with those that stayed the time
before: a few milliseconds. When a whole pool dies most of them stay; to search them more often was
a fifth of all that a storm cost."""
NEVER = 2**31 - 1

_OLD = 3
"""After more such searches than this comes one of all that are not passed over: some ten
milliseconds."""
_SETTLED_AFTER_S = 60.0
_SEARCH_ALL_EVERY_S = 6 * 3600.0


def tune_garbage_collection(clock: Timer) -> None:
    """Arrange the searches of this process, on `clock` (IReactorTime).

    No search of all objects while the start makes them without end; from then on, what a search
    has found in use is passed over by the next ones. Servers that are removed are no garbage, they
    go at once; the little that is missed is found by a search of everything, once in a long while.
    """
    gc.set_threshold(*YOUNG, NEVER)
    clock.callLater(_SETTLED_AFTER_S, _settled)
    clock.callLater(_SEARCH_ALL_EVERY_S, _search_all, clock)


def _settled() -> None:
    gc.freeze()
    gc.callbacks.append(_pass_over_what_is_in_use)
    # Costs nothing, and has Python forget how many objects there were: it puts the first search
    # off until a quarter as many are new.
    gc.collect()
    gc.set_threshold(*YOUNG, _OLD)


def _pass_over_what_is_in_use(phase: str, info: Mapping[str, int]) -> None:
    if phase == "stop" and info["generation"] == 2:
        gc.freeze()


def _search_all(clock: Timer) -> None:
    gc.unfreeze()
    gc.collect()
    clock.callLater(_SEARCH_ALL_EVERY_S, _search_all, clock)
