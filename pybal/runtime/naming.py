"""Names and numbers in a line. Pure."""

from __future__ import annotations

from collections.abc import Sequence

MOST_NAMED = 10


def named(names: Sequence[object], most: int = MOST_NAMED, between: str = ", ") -> str:
    """The first few of them, as text, and how many more there are."""
    shown = between.join(map(str, names[:most]))
    more = len(names) - most
    return f"{shown} and {more} more" if more > 0 else shown


def counted(number: int, what: str, more: str = "") -> str:
    """`1 server`, `2 servers`; `more` is the word for several if that is not `what` with an s."""
    return f"{number} {what if number == 1 else more or what + 's'}"
