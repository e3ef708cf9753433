"""Overrides outlive the process, until their ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pybal.override import MAX_DURATION_S, Action, Override
from pybal.state.state_file import (
    Document,
    StateFile,
    StateFileError,
    WriteBehind,
    load_or_warn,
)

_NAME = "overrides.json"
_FORMAT = 1
_NEVER = 1e11


class OverrideStore:
    """Keeps them in the state directory. What goes wrong is a line of the log."""

    def __init__(
        self,
        directory: Path,
        in_thread: Callable[[Callable[[], None]], Deferred[None]],
        log: Logger,
    ) -> None:
        self._newest: tuple[Override, ...] = ()
        self._kept: tuple[Override, ...] | None = None
        self._file = override_file(directory)
        self._log = log
        self._writer = WriteBehind(
            self._file,
            lambda: self._newest,
            in_thread,
            lambda why: log.warn("Overrides cannot be kept for the next start: {why}", why=why),
        )

    def load(self) -> tuple[Override, ...]:
        """Those of the last run."""
        self._kept = load_or_warn(self._file, "The list of overrides", self._log)
        return self._kept or ()

    def save(self, overrides: tuple[Override, ...]) -> None:
        """Write them, in a thread; not if they are those on the disk."""
        if overrides != (self._kept or ()):
            self._kept = self._newest = overrides
            self._writer.changed()


def override_file(directory: Path) -> StateFile[tuple[Override, ...]]:
    """In the state directory."""
    return StateFile(directory / _NAME, _FORMAT, _encode, _decode)


def _encode(overrides: tuple[Override, ...]) -> Document:
    return {"overrides": [{**asdict(each), "action": each.action.value} for each in overrides]}


def _decode(document: Document) -> tuple[Override, ...]:
    return tuple(map(_override, document["overrides"]))


def _override(said: dict[str, Any]) -> Override:
    override = Override(
        service=str(said["service"]),
        host=str(said["host"]),
        action=Action(said["action"]),
        by=str(said["by"]),
        reason=str(said["reason"]),
        since=float(said["since"]),
        until=float(said["until"]),
        force=said["force"] is True,
    )
    if not 0 <= override.since < override.until <= override.since + MAX_DURATION_S < _NEVER:
        raise StateFileError(f"an override from {override.since!r} until {override.until!r}")
    return override
