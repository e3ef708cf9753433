"""Descriptors kept back, so that a process that is out of them can still be asked why."""

from __future__ import annotations

import contextlib
import os


class DescriptorReserve:
    """Holds up to `size` descriptors that mean nothing. `lend()` gives some of them up for others
    to use; `refill()` takes as many again as there are to be had."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: list[int] = []
        self.refill()

    @property
    def is_full(self) -> bool:
        return len(self._held) == self._size

    def lend(self, count: int) -> bool:
        """Give up so many; False, and none, if there are fewer left."""
        if len(self._held) < count:
            return False
        for _ in range(count):
            os.close(self._held.pop())
        return True

    def refill(self) -> None:
        """Take back what was lent, as far as that goes."""
        with contextlib.suppress(OSError):
            while not self.is_full:
                self._held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

    def close(self) -> None:
        """Give all up for good."""
        self._size = 0
        while self._held:
            os.close(self._held.pop())
