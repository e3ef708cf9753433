"""Files of certificates, which each check asks for: looked at and read at once on a disk of this
host, else as a thread has found them last, since a server of files may hang."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybal.errors import SourceError
from pybal.runtime.clock import Clock
from pybal.runtime.file_stamp import FileStamp, file_stamp
from pybal.runtime.shared_work import SharedWork
from pybal.state.file_access import BoundedAccess, FileAccessError
from pybal.state.files import read_regular_file

_LOOK_EVERY_S = 1.0
"""So often a file on another host is looked at, at most."""
_MOST_BYTES = 16 * 1024 * 1024
"""All authorities that there are take a quarter of a megabyte."""


class _Found(NamedTuple):
    """A file on another host; `stamp` is from before the reading."""

    stamp: FileStamp | None
    content: bytes | OSError | SourceError


class ChangingFiles:
    """See Files (runtime/files_port.py)."""

    def __init__(self, clock: Clock, access: BoundedAccess) -> None:
        self._clock = clock
        self._access = access
        self._log = Logger(namespace="files")
        self._found: dict[Path, _Found] = {}
        self._looked_at_s: dict[Path, float] = {}
        self._first_looks: SharedWork[None] = SharedWork()
        """Thousands of checks may name one file."""

    def first_look(self, path: Path) -> Deferred[None] | None:
        """See Files."""
        if path in self._found or self._access.is_local(path):
            return None
        return self._first_looks.get(path, lambda: Deferred.fromCoroutine(self._look(path)))

    def stamp(self, path: Path) -> FileStamp | None:
        """See Files."""
        if self._access.is_local(path):
            return file_stamp(path)
        found = self._found.get(path)
        if found is None:
            return None
        if self._clock.seconds() - self._looked_at_s[path] >= _LOOK_EVERY_S:
            looking = Deferred.fromCoroutine(self._look(path))
            looking.addErrback(self._not_looked)
        return found.stamp

    def read(self, path: Path) -> bytes:
        """See Files."""
        found = _read(path) if self._access.is_local(path) else self._found[path].content
        if isinstance(found, bytes):
            return found
        raise found

    def _not_looked(self, failure: Failure) -> None:
        if not failure.check(FileAccessError):  # it hangs: what is known still counts
            self._log.failure("Cannot look at a file", failure)

    async def _look(self, path: Path) -> None:
        self._looked_at_s[path] = self._clock.seconds()
        known = self._found.get(path)
        self._found[path] = await self._access.run(path, partial(_find, path, known))


def _find(path: Path, known: _Found | None) -> _Found:
    stamp = file_stamp(path)
    if known is not None and known.stamp == stamp:
        return known
    return _Found(stamp, _read(path))


def _read(path: Path) -> bytes | OSError | SourceError:
    try:
        return read_regular_file(path, _MOST_BYTES).data
    except (OSError, SourceError) as error:
        return error
