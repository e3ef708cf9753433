"""Long work in pieces: a turn of the reactor does some of them. Pure."""

from __future__ import annotations

from collections.abc import Generator
from typing import Generic, TypeVar

_T = TypeVar("_T")

Slices = Generator[int, None, _T]
"""Each piece takes a millisecond or less and says how much it was, in servers that are read;
between two of them anything may happen. The last one is followed by the result. (The pieces of
`runtime/pieces.py` say no size: those who drive them look at the clock. What is read of the kernel
has a share of each turn that is counted, and what is short goes with other work into one turn.)"""


class SlicedWork(Generic[_T]):
    """Work that goes on when it is told to; `result` is there once it is `done`."""

    result: _T

    def __init__(self, pieces: Slices[_T]) -> None:
        self._pieces = pieces
        self.done = False

    def go_on(self, most: int) -> int:
        """Do a piece at least, and others until they make `most`; returns how much was done. Raises
        what the work raises: then it is over."""
        spent = 0
        try:
            while spent < most:
                spent += next(self._pieces)
        except StopIteration as end:
            self.result = end.value
            self.done = True
        return spent
