"""The port to the pages for people. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from pybal.instrumentation.responses import Response


class Asked(NamedTuple):
    """A request: the segments of its path, its query, and the values of a header by its name in
    lower case."""

    segments: tuple[str, ...]
    query: Mapping[str, str]
    headers: Callable[[str], list[str]]


class Pages(Protocol):
    """Answers what is asked of a browser's user."""

    async def answer(self, asked: Asked) -> Response | None:
        """None if the path is none of theirs."""
        ...
