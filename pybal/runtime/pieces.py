"""Work that is as long as a list, in pieces: a generator that yields between two. Whoever drives it
may do something else there, or not at all. Pure."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sized
from itertools import islice
from typing import TypeVar

_T = TypeVar("_T")

Pieces = Generator[None, None, _T]
"""Yields between two pieces of the work, and returns what comes of it."""

PIECE = 500
"""So many items are a millisecond's work."""


def in_one_go(pieces: Generator[object, None, _T]) -> _T:
    """What comes of such work, at once, whatever it says between two pieces."""
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            result: _T = end.value
            return result


def between(items: Sized) -> Pieces[None]:
    """What follows is as long as these, and has a piece to itself if they are many."""
    if len(items) > PIECE:
        yield


def piecewise(work: Callable[[list[_T]], object], items: Iterable[_T]) -> Pieces[None]:
    """Work on all items, PIECE at a time. They must not change meanwhile."""
    rest = iter(items)
    part = list(islice(rest, PIECE))
    while part:
        work(part)
        part = list(islice(rest, PIECE))
        if part:
            yield
