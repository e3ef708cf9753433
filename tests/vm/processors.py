"""Which processor of the host a machine is held to, if to one."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def one_of_its_own(folder: Path) -> Iterator[set[int]]:
    """Of those that we may use one that no other machine has, as long as this lasts.

    All of them where none is free: a machine that is held to none goes where there is room, and
    has a processor to itself once another one ends. A lock on a file in `folder` is given up
    however its process ends.
    """
    allowed = os.sched_getaffinity(0)
    # The first is often the one that devices interrupt.
    for number in sorted(allowed, reverse=True):
        with (folder / f"processor-{number}").open("w") as lock:
            if _taken(lock):
                yield {number}
                return
    yield allowed


def _taken(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
