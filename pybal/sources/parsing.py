"""Long documents are parsed in a thread: thousands of lines would hold up the reactor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pybal.sources.ports import SourcePorts

T = TypeVar("T")

LONG_BYTES = 16_384
"""Some 250 lines. A shorter document is parsed at once."""


async def parsed(size_bytes: int, parse: Callable[[], T], ports: SourcePorts) -> T:
    """What parse() returns or raises; it shares nothing with others while it runs. Of those who
    share a list, and so have it in the same moment, each turn goes on with some."""
    if size_bytes < LONG_BYTES:
        return parse()
    found: T = await ports.in_thread(parse)
    await ports.time_slices.pause()
    return found
