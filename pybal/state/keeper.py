"""A value that outlives the process, as its owner needs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from twisted.logger import Logger

from pybal.state.state_file import StateFile, WriteBehind, load_or_warn
from pybal.state.state_writing import StateWriting

T = TypeVar("T")


class Keeper(Generic[T]):
    """Keeps a value in a `file` of the state directory: that of the last run first, then each that
    is saved, in a thread, again and again if that fails. `nothing` is the value without a file;
    without a directory there is none. What goes wrong is a line of the log, in which `what` names
    the value."""

    def __init__(
        self,
        state_directory: Path | None,
        file: Callable[[Path], StateFile[T]],
        what: str,
        nothing: T,
        writing: StateWriting,
        log: Logger,
    ) -> None:
        self._newest = nothing
        self._what = what
        self._log = log
        self._file: StateFile[T] | None = None
        if state_directory is not None:
            self._file = file(state_directory)
            text = "{what} cannot be kept for the next start: {why}"
            self._writer = WriteBehind(
                self._file,
                lambda: self._newest,
                writing,
                lambda why: log.warn(text, what=what, why=why),
            )

    def load(self) -> T:
        """That of the last run. Blocks on the disk."""
        if self._file is not None:
            found = load_or_warn(self._file, self._what, self._log)
            self._newest = self._newest if found is None else found
        return self._newest

    def save(self, value: T) -> None:
        """Write it, in a thread; not if it is the one on the disk, or on its way there."""
        if value != self._newest:
            self._newest = value
            if self._file is not None:
                self._writer.changed()
