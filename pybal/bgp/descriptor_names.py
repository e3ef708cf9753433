"""How the descriptors are called that BGP leaves to the next process. Pure."""

from __future__ import annotations

from collections.abc import Iterable

SESSION_PREFIX = "bgp."
"""Of a session's socket and its record; then comes the number of the socket."""

BFD_PREFIX = "bfd."
"""Of the record of BFD's sessions; then comes when it was made."""


def are_of_bgp(names: Iterable[str]) -> bool:
    """Whether any of them is."""
    return any(name.startswith((SESSION_PREFIX, BFD_PREFIX)) for name in names)
