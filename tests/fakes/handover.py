"""What keeps descriptors for the next process, and a log that says what of them was not used."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def warn(self, text: str, **values: Any) -> None:
        self.lines.append(text.format(**values))

    def failure(self, text: str) -> None:
        self.lines.append(f"failure: {text}")


class Store:
    """Copies, as the service manager has."""

    def __init__(self) -> None:
        self.kept: dict[str, list[int]] = {}
        self.works = True

    def keep(self, name: str, descriptors: Sequence[int]) -> bool:
        if self.works:
            self.kept[name] = list(map(os.dup, descriptors))
        return self.works

    def forget(self, name: str) -> None:
        for descriptor in self.kept.pop(name, []):
            os.close(descriptor)

    def left(self) -> dict[str, list[int]]:
        return {name: list(map(os.dup, own)) for name, own in self.kept.items()}
