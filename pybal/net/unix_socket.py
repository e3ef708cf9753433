"""A UNIX socket to listen at, for root or also for a group."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import struct
from pathlib import Path

BACKLOG = 64
_CREDENTIALS = struct.Struct("3i")
"""struct ucred: pid, uid, gid."""


def what_is_at(path: Path) -> str:
    """Which file that is, so that the socket that was bound there is known by it."""
    try:
        status = os.lstat(path)
    except OSError:
        return f"unix {path}"
    return f"unix {path} {status.st_dev} {status.st_ino} {status.st_mtime_ns}"


class UNIXListener:
    """A listening socket at `path`, made at once unless it is given: the one whose file is there.
    OSError if that cannot be. Its directory is made if it is missing. A socket file at which nobody
    listens any more is replaced, a live one of another process, and whatever else is there, is
    not."""

    def __init__(
        self, path: Path, group_id: int | None, given: socket.socket | None = None
    ) -> None:
        self._path = path
        if given is not None:
            self.socket = given
            try:
                self.allow(group_id)
                self._file = _file_at(path)
            except OSError:
                given.close()
                raise
            return
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _remove_stale(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            self.socket.bind(os.fspath(path))
            # Nobody can connect before it listens: who may is settled first.
            self.allow(group_id)
            self._file = _file_at(path)
            self.socket.listen(BACKLOG)
        except OSError:
            self.socket.close()
            raise

    def allow(self, group_id: int | None) -> None:
        """Who may connect: root and, if it is one, the group. Raises OSError."""
        os.chmod(self._path, 0o600)
        if group_id is not None:
            os.chown(self._path, -1, group_id)
            os.chmod(self._path, 0o660)

    def is_there(self) -> bool:
        """Whether the file is still the one; nobody can connect without it."""
        try:
            return _file_at(self._path) == self._file
        except OSError:
            return False

    def remove(self) -> None:
        """Remove the file, once the socket is closed; not that of another who listens there now."""
        with contextlib.suppress(OSError):
            _remove_stale(self._path)


def _file_at(path: Path) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino


def _remove_stale(path: Path) -> None:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError("something that is no socket is there; remove it by hand")
    if is_served(path):
        raise FileExistsError("another process listens there")
    path.unlink()


def is_served(path: Path) -> bool:
    """Whether some process listens at a socket file."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True  # it is busy, or we may not: somebody's it is
    return True


def peer_uid(connection: socket.socket) -> int:
    """Whose process it is that connected to our UNIX socket."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(data)
    return int(uid)
