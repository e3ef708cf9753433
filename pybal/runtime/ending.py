"""The end of a process whose threads may hang."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn, cast

from twisted.python.threadpool import ThreadPool

GRACE_S = 5.0
"""So long threads have for what they are doing, such as the last writing of a state file."""


def end_without_threads(
    status: int, grace_s: float = GRACE_S, end: Callable[[int], object] = os._exit
) -> None:
    """Have the process end with this exit status after `grace_s`, if it has not ended by then.
    A thread that waits for a file system that hangs would otherwise keep it for ever: both the
    reactor and the interpreter wait for all their threads."""

    def ended() -> None:
        sys.stderr.write(
            "[pybal] WARN: A thread hangs, on a disk most likely: exiting without it\n"
        )
        sys.stderr.flush()
        end(status)

    timer = threading.Timer(grace_s, ended)
    timer.daemon = True
    with suppress(RuntimeError):  # this host has no thread left: the end itself goes on
        timer.start()


def stop_threads(pool: ThreadPool) -> None:
    """Wait until a pool's threads have ended. It also counts those that could not be started."""
    pool.threads = [thread for thread in pool.threads if thread.ident is not None]
    pool.stop()


def unawaited_threads(most: int, name: str) -> ThreadPool:
    """So many threads at most, which neither the reactor nor the interpreter waits for."""
    threads = ThreadPool(0, most, name)
    threads.threadFactory = cast(Any, partial(threading.Thread, daemon=True))
    threads.start()
    return threads


def end_at_once(status: int, flush: Callable[[], object]) -> NoReturn:
    """End the process, once the log is written. Nothing else is left to be done by now, and the
    interpreter would first take all that there is apart, object by object: seconds, with the tables
    of the largest directors."""
    flush()
    os._exit(status)
