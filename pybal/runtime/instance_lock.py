"""One PyBal for each IPVS table: two would undo each other's changes."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

NAMESPACE = Path("/proc/thread-self/ns/net")
"""The kernel has an IPVS table for each network namespace."""


class AlreadyRunningError(Exception):
    """Another process has it. The text says which, if that can be seen."""


def claim(table: Path, locks: Path = Path("/proc/locks")) -> int:
    """Claim what is at `table` for this process, until it ends or closes the descriptor that is
    returned. Raises AlreadyRunningError, or OSError if it cannot be claimed by anybody."""
    descriptor = os.open(table, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        inode = os.fstat(descriptor).st_ino
        os.close(descriptor)
        raise AlreadyRunningError(f"process {_holder(locks, inode)}") from None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _holder(locks: Path, inode: int) -> str:
    """`N: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE 0 EOF` (proc_locks(5))."""
    try:
        lines = [line.split() for line in locks.read_text("ascii").splitlines()]
    except OSError:
        return "unknown"
    held = [line for line in lines if len(line) > 5 and line[1] == "FLOCK"]
    return next((line[4] for line in held if line[5].endswith(f":{inode}")), "unknown")
