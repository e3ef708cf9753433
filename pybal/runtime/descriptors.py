"""How many descriptors this process may have, and places for them from the beginning."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource

UNLIMITED = 1 << 31

PLACES = 65_536
"""More connections than a director was seen to keep; half a mebibyte of the kernel's memory."""


def descriptor_limit() -> int:
    """How many this process may have, as soon as its limit is raised."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return UNLIMITED if hard == resource.RLIM_INFINITY else hard


def raise_descriptor_limit(places: int = PLACES) -> None:
    """Each IdleConnection is a socket; the usual soft limit of 1024 is a pool or two.

    To be called before there are threads, as it also makes the kernel's table of this process's
    descriptors so large (at most as the limit). That table begins small and is doubled whenever it
    is full; in a process with threads, whoever opens the next one then waits until no processor can
    still be reading the former table: the reactor, for 10 to 30 ms, amid a storm
    (`bench.descriptor_table`).
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    last = min(descriptor_limit(), places) - 1
    # Where there is none free, or no memory, the table grows as it is needed.
    with contextlib.suppress(OSError):
        free = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.close(fcntl.fcntl(free, fcntl.F_DUPFD_CLOEXEC, last))
        finally:
            os.close(free)
