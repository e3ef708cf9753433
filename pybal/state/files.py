"""Reads a file without blocking for ever or growing without limit; replaces one atomically."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pybal.errors import SourceError
from pybal.runtime.file_stamp import FileStamp, stamp_of

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


class FileContent(NamedTuple):
    """A file as it was read; `stamp` is from before the reading."""

    stamp: FileStamp
    data: bytes


def regular_file_stamp(path: Path) -> FileStamp:
    """The file's present stamp; OSError if there is none, SourceError if it is no file."""
    return _stamp(path, os.stat(path))


def read_regular_file(path: Path, max_bytes: int) -> FileContent:
    """Read a whole regular file; anything else is not even opened for long.

    Raises OSError, or SourceError for what is not a regular file or is larger than allowed.
    """
    _stamp(path, os.stat(path))  # opening a device may already do something
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        stamp = _stamp(path, os.fstat(descriptor))
        data = read_now(file, max_bytes + 1)
    if len(data) > max_bytes:
        raise SourceError(f"{path} is larger than {max_bytes} bytes")
    return FileContent(stamp, data)


def read_now(file: BinaryIO, max_bytes: int) -> bytes:
    """What is there of a file that was opened with O_NONBLOCK. OSError if that is still to come, as
    of some files of /proc, which are regular ones by name only."""
    data: bytes | None = file.read(max_bytes)
    if data is None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return data


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the file so that a crash leaves the old or the new content. Blocks on the disk alone:
    whatever lies in the way, a FIFO or a link, is replaced and not opened."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    temporary.unlink(missing_ok=True)
    try:
        with open(os.open(temporary, flags, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        # On a full disk half a file would take the room from others.
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _stamp(path: Path, status: os.stat_result) -> FileStamp:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "no file")
        raise SourceError(f"{path} is {kind}, not a regular file")
    return stamp_of(status)
