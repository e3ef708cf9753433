"""Long documents are parsed in a thread: thousands of lines would hold up the reactor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pybal.runtime.threads import InThread

T = TypeVar("T")

LONG_BYTES = 16_384
"""Some 250 lines. A shorter document is parsed at once."""


async def parsed(size_bytes: int, parse: Callable[[], T], in_thread: InThread) -> T:
    """What parse() returns or raises; it shares nothing with others while it runs."""
    if size_bytes < LONG_BYTES:
        return parse()
    found: T = await in_thread(parse)
    return found
