"""Under which names addresses are wanted to be announced: a service's own, and another one while it
is being replaced, as then there may be two of its name. Pure."""

from __future__ import annotations

_REPLACED = "\n(replaced)"
"""No service is called so: a section has its name on one line."""


def replaced(service: str) -> str:
    """The name of what goes, until that which replaces it stands."""
    return f"{service}{_REPLACED}"


def service_of(wish: str) -> str:
    """Whose wish it is."""
    return wish.removesuffix(_REPLACED)


def words(wish: str) -> str:
    """For a line of the log."""
    return wish.replace("\n", " ")
