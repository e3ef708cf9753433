"""Whether a file is still the one that was read."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from twisted.internet.defer import Deferred

FileStamp = tuple[int, int, int]


class Files(Protocol):
    """Files that are read once, and again when they have changed."""

    def first_look(self, path: Path) -> Deferred[None] | None:
        """What must be waited for before this file is asked for; it fails with SourceError. None:
        nothing."""
        ...

    def stamp(self, path: Path) -> FileStamp | None:
        """What changes when the file is replaced or written; None: it is not there."""
        ...

    def read(self, path: Path) -> bytes:
        """What it holds. Raises OSError or SourceError."""
        ...


class FilesHere:
    """See Files. On whatever file system, for as long as that takes."""

    def first_look(self, path: Path) -> Deferred[None] | None:
        """See Files."""

    def stamp(self, path: Path) -> FileStamp | None:
        """See Files."""
        return file_stamp(path)

    def read(self, path: Path) -> bytes:
        """See Files."""
        return path.read_bytes()


def file_stamp(path: Path) -> FileStamp | None:
    """What changes when the file is replaced or written; None: it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
