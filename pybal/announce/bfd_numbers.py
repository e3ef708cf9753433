"""BFD's sequence numbers outlive a planned restart: the peer expects the next of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from twisted.logger import Logger

from pybal.errors import said_by
from pybal.state.state_file import Document, StateFile, load_or_warn

_NAME = "bfd.json"
_FORMAT = 1


class BFDNumbers:
    """In the state directory. They count for one start: `keep` is called as the process ends, when
    nothing waits for its reactor any more."""

    def __init__(self, directory: Path, log: Logger) -> None:
        self._file = StateFile(directory / _NAME, _FORMAT, _encode, _decode)
        self._log = log

    def take(self) -> dict[str, int]:
        """By the peer's address."""
        found = load_or_warn(self._file, "BFD's sequence numbers", self._log) or {}
        if found:
            self.keep({})
        return dict(found)

    def keep(self, numbers: Mapping[str, int]) -> None:
        """By the peer's address; what cannot be written is logged."""
        try:
            self._file.save(dict(numbers))
        except OSError as error:
            self._log.warn(
                "BFD's sequence numbers cannot be kept for the next start: {why}",
                why=said_by(error),
            )


def _encode(numbers: dict[str, int]) -> Document:
    return {"sent": numbers}


def _decode(document: Document) -> dict[str, int]:
    return {str(peer): int(number) % 2**32 for peer, number in document["sent"].items()}
