"""Whether files of certificates are still those that were read, as is asked for each check: at once
of a disk of this host, else as a thread has found it last, since a server of files may hang."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from twisted.internet.defer import Deferred

from pybal.runtime.clock import Clock
from pybal.runtime.file_stamp import FileStamp, file_stamp
from pybal.state.file_access import BoundedAccess, FileAccessError

_LOOK_EVERY_S = 1.0
"""So often a file on another host is looked at, at most."""


class FileStamps:
    """Called with a path, as file_stamp() is. The first time it waits for whatever file system,
    because the file is read then, too."""

    def __init__(self, clock: Clock, access: BoundedAccess) -> None:
        self._clock = clock
        self._access = access
        self._found: dict[Path, FileStamp | None] = {}
        self._looked_at_s: dict[Path, float] = {}

    def __call__(self, path: Path) -> FileStamp | None:
        """What changes when the file is replaced or written; None: it is not there."""
        if path not in self._found:
            self._found[path] = file_stamp(path)
        elif self._access.is_local(path):
            return file_stamp(path)
        elif self._clock.seconds() - self._looked_at_s.get(path, 0.0) >= _LOOK_EVERY_S:
            self._looked_at_s[path] = self._clock.seconds()
            Deferred.fromCoroutine(self._look(path))
        return self._found[path]

    async def _look(self, path: Path) -> None:
        with suppress(FileAccessError):  # it hangs: what is known still counts
            self._found[path] = await self._access.run(path, lambda: file_stamp(path))
