"""What operators have said for a time outlives the process, until its end."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from pybal.model import Severity
from pybal.override import MAX_DURATION_S, Action, Override
from pybal.overrides.acknowledgement import Acknowledgement
from pybal.state.state_file import Document, StateFile, StateFileError, moment

_FORMAT = 1


def override_file(directory: Path) -> StateFile[tuple[Override, ...]]:
    """In the state directory."""

    def encode(entries: tuple[Override, ...]) -> Document:
        return {"overrides": [{**asdict(each), "action": each.action.value} for each in entries]}

    return StateFile(
        directory / "overrides.json",
        _FORMAT,
        encode,
        lambda document: tuple(map(_override, document["overrides"])),
    )


def acknowledgement_file(directory: Path) -> StateFile[tuple[Acknowledgement, ...]]:
    """In the state directory."""

    def encode(entries: tuple[Acknowledgement, ...]) -> Document:
        shown = [{**asdict(each), "severity": each.severity.value} for each in entries]
        return {"acknowledgements": shown}

    return StateFile(
        directory / "acknowledgements.json",
        _FORMAT,
        encode,
        lambda document: tuple(map(_acknowledgement, document["acknowledgements"])),
    )


def _override(said: dict[str, Any]) -> Override:
    since, until = _times(said)
    return Override(
        service=str(said["service"]),
        host=str(said["host"]),
        action=Action(said["action"]),
        by=str(said["by"]),
        reason=str(said["reason"]),
        since=since,
        until=until,
        force=said["force"] is True,
    )


def _acknowledgement(said: dict[str, Any]) -> Acknowledgement:
    since, until = _times(said)
    service = said["service"]
    return Acknowledgement(
        id=str(said["id"]),
        service=None if service is None else str(service),
        about=str(said["about"]),
        severity=Severity(said["severity"]),
        by=str(said["by"]),
        reason=str(said["reason"]),
        since=since,
        until=until,
        details=tuple(map(str, said["details"])),
    )


def _times(said: dict[str, Any]) -> tuple[float, float]:
    since, until = moment(said["since"]), moment(said["until"])
    if not since < until <= since + MAX_DURATION_S + 1:  # sums of floats are not exact
        raise StateFileError(f"something lasts from {since!r} until {until!r}")
    return since, until
