"""Files that are read at once, or once, and again when they have changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred

from pybal.runtime.file_stamp import FileStamp, file_stamp

T = TypeVar("T")


class DirectAccess:
    """Runs what reads a file at once."""

    async def run(self, path: Path, function: Callable[[], T]) -> T:
        return function()


class FilesHere:
    """On a disk of this host: there is nothing to wait for."""

    def first_look(self, path: Path) -> Deferred[None] | None:
        return None

    def stamp(self, path: Path) -> FileStamp | None:
        return file_stamp(path)

    def read(self, path: Path) -> bytes:
        return path.read_bytes()


class SlowFiles(FilesHere):
    """On another host, which answers when the test says so."""

    def __init__(self) -> None:
        self.looking: Deferred[None] = Deferred()

    def first_look(self, path: Path) -> Deferred[None] | None:
        return self.looking
