"""Many names in a line. Pure."""

from __future__ import annotations

from collections.abc import Sequence

_MOST_NAMED = 10


def named(names: Sequence[str]) -> str:
    """The first few of them, and how many more there are."""
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
