"""Maintenance outlives the process: an operator has asked for it, and an operator ends it."""

from __future__ import annotations

from pathlib import Path

from pybal.announce.maintenance import Maintenance
from pybal.state.state_file import Document, StateFile, moment

_NAME = "maintenance.json"
_FORMAT = 1


def maintenance_file(directory: Path) -> StateFile[Maintenance]:
    """In the state directory."""
    return StateFile(directory / _NAME, _FORMAT, _encode, _decode)


def _encode(maintenance: Maintenance) -> Document:
    return {"director": maintenance.director, "services": dict(maintenance.services)}


def _decode(document: Document) -> Maintenance:
    director = document["director"]
    return Maintenance(
        director=None if director is None else moment(director),
        services={str(name): moment(since) for name, since in document["services"].items()},
    )
