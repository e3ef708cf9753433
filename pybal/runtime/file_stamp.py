"""Whether a file is still the one that was read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

FileStamp = tuple[int, int, int]

StampOf = Callable[[Path], FileStamp | None]
"""What is here, or something that waits for no file system."""


def file_stamp(path: Path) -> FileStamp | None:
    """What changes when the file is replaced or written; None: it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
