"""Files that are read once, and again when they have changed: what those who need them ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from twisted.internet.defer import Deferred

from pybal.runtime.file_stamp import FileStamp


class Files(Protocol):
    """Files that are read once, and again when they have changed."""

    def first_look(self, path: Path) -> Deferred[None] | None:
        """What must be waited for before this file is asked for; it fails with SourceError. None:
        nothing."""
        ...

    def stamp(self, path: Path) -> FileStamp | None:
        """Of the file as it is now; None: it is not there."""
        ...

    def read(self, path: Path) -> bytes:
        """What it holds. Raises OSError or SourceError."""
        ...
