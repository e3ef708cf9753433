"""One PyBal for each IPVS table: two would undo each other's changes."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

from pybal.errors import PyBalError

NAMESPACE = Path("/proc/thread-self/ns/net")
"""The kernel has an IPVS table for each network namespace."""

DIRECTORY = Path("/run/pybal")
"""Root's alone to write to. What any user may open, such as the namespace itself, any user could
lock, and so keep the daemon from starting."""


class AlreadyRunningError(PyBalError):
    """Another process has it. The text says which, if that can be seen."""


def claim(
    namespace: Path = NAMESPACE, directory: Path = DIRECTORY, held: Iterable[int] = ()
) -> int:
    """Claim the table of a namespace for this process, until it ends or closes the descriptor that
    is returned: a lock on a file of `directory`, which is made if needed. `held` are descriptors of
    the program before us in this process; the one with the lock goes on having it.

    Raises AlreadyRunningError, or OSError if it cannot be known whether another one runs.
    """
    status = os.stat(namespace)
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    path = directory / f"ipvs-{status.st_dev}-{status.st_ino}.lock"
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    for former in held:
        if os.path.sameopenfile(former, descriptor):
            os.close(descriptor)
            descriptor = former
        else:
            os.close(former)
    try:
        _check_is_ours_alone(descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise AlreadyRunningError(f"process {holder or 'unknown'}") from None
    except OSError as error:
        os.close(descriptor)
        error.filename = os.fspath(path)
        raise
    return descriptor


def _check_is_ours_alone(descriptor: int) -> None:
    """A file that somebody else made, or may open, proves nothing."""
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise PermissionError(errno.EPERM, f"it can be opened by others than user {os.geteuid()}")
