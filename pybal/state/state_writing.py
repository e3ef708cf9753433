"""How the files of the state directory are written, and which of them could not be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pybal.errors import said_by
from pybal.runtime.clock import Clock
from pybal.runtime.threads import InThread

HANGS_S = 10.0
"""A disk that has not answered by then may never do, or only be slow."""
HANGS = f"the disk takes longer than {HANGS_S:g} s"


class StateWriting:
    """For all files of a state directory: they are written by `in_thread`, and by `clock` again."""

    def __init__(self, clock: Clock, in_thread: InThread) -> None:
        self.clock = clock
        self.in_thread = in_thread
        self._unwritten: dict[Path, tuple[str, Callable[[], None]]] = {}
        self._begun_at_s: dict[Path, float] = {}

    def begin(self, path: Path) -> None:
        """A thread is about to write it, or has written it and writes what is newer by now. For any
        thread, but for the first time."""
        self._begun_at_s[path] = self.clock.seconds()

    def failed(self, path: Path, error: BaseException | None, again: Callable[[], None]) -> None:
        """The newest content is not on the disk; `again` tries once more."""
        self._begun_at_s.pop(path, None)
        self._unwritten[path] = said_by(error), again

    def hurry(self) -> None:
        """The process is about to end: what could not be written may have room by now."""
        for _, again in tuple(self._unwritten.values()):
            again()

    def forget(self, path: Path) -> None:
        """It is, or nobody wants it there any more."""
        self._begun_at_s.pop(path, None)
        self._unwritten.pop(path, None)

    @property
    def unwritten(self) -> tuple[tuple[str, str], ...]:
        """The files whose newest content is not on the disk, and why."""
        found = {path: error for path, (error, _) in self._unwritten.items()}
        latest_s = self.clock.seconds() - HANGS_S
        for path, begun_at_s in self._begun_at_s.items():
            if begun_at_s <= latest_s:
                found[path] = HANGS
        return tuple((str(path), error) for path, error in found.items())
