"""The last configuration that was good, kept for a start with one that is not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pybal.state.state_file import Document, StateFile, moment

FILE_NAME = "last-good-config.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True, repr=False)
class LastGoodConfig:
    """The content of a pybal.conf at `path` of a `host`, in force since `saved_at` (Unix seconds).
    It may hold secrets: repr() leaves it out, and the file is its owner's alone."""

    path: str
    content: str
    modified_at: float
    saved_at: float
    host: str


def last_good_file(state_directory: Path) -> StateFile[LastGoodConfig]:
    """Where it is kept."""
    return StateFile(state_directory / FILE_NAME, _FORMAT, _encode, _decode)


def _encode(good: LastGoodConfig) -> Document:
    return {
        "path": good.path,
        "content": good.content,
        "modified_at": good.modified_at,
        "saved_at": good.saved_at,
        "host": good.host,
    }


def _decode(document: Document) -> LastGoodConfig:
    good = LastGoodConfig(
        document["path"],
        document["content"],
        moment(document["modified_at"]),
        moment(document["saved_at"]),
        document["host"],
    )
    if not all(isinstance(each, str) for each in (good.path, good.content, good.host)):
        raise TypeError("path, content and host must be text")
    good.content.encode()
    return good
