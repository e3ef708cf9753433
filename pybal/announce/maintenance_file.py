"""Maintenance outlives the process: an operator has asked for it, and an operator ends it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pybal.announce.maintenance import Maintenance
from pybal.state.state_file import Document, StateFile, WriteBehind, load_or_warn

_NAME = "maintenance.json"
_FORMAT = 1


class MaintenanceStore:
    """Keeps it in the state directory. What goes wrong is a line of the log."""

    def __init__(
        self,
        directory: Path,
        in_thread: Callable[[Callable[[], None]], Deferred[None]],
        log: Logger,
    ) -> None:
        self._newest = Maintenance()
        self._file = maintenance_file(directory)
        self._log = log
        self._writer = WriteBehind(
            self._file,
            lambda: self._newest,
            in_thread,
            lambda why: log.warn("Maintenance cannot be kept for the next start: {why}", why=why),
        )

    def load(self) -> Maintenance:
        """That of the last run."""
        return load_or_warn(self._file, "The maintenance", self._log) or Maintenance()

    def save(self, maintenance: Maintenance) -> None:
        """Write it, in a thread."""
        self._newest = maintenance
        self._writer.changed()


def maintenance_file(directory: Path) -> StateFile[Maintenance]:
    """In the state directory."""
    return StateFile(directory / _NAME, _FORMAT, _encode, _decode)


def _encode(maintenance: Maintenance) -> Document:
    return {"director": maintenance.director, "services": dict(maintenance.services)}


def _decode(document: Document) -> Maintenance:
    director = document["director"]
    return Maintenance(
        director=None if director is None else float(director),
        services={str(name): float(since) for name, since in document["services"].items()},
    )
