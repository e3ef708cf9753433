"""Whether a file is still the one that was read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class FileStamp(NamedTuple):
    """What changes when a file is replaced or written, even in place with its size and time of
    modification as they were."""

    device: int
    inode: int
    size_bytes: int
    modified_ns: int
    changed_ns: int


def file_stamp(path: Path) -> FileStamp | None:
    """Of the file as it is now; None: it is not there."""
    try:
        return stamp_of(path.stat())
    except OSError:
        return None


def stamp_of(found: os.stat_result) -> FileStamp:
    """Of a file that was looked at."""
    return FileStamp(
        found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    )
