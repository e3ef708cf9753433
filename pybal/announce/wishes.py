"""Under which names addresses are wanted to be announced: a service's own, and another one while it
is being replaced, as then there may be two of its name. Pure."""

from __future__ import annotations

from pybal.model import IPAddress

_REPLACED = "\n(replaced, "
"""No service is called so: a section has its name on one line."""


def replaced(service: str, address: IPAddress) -> str:
    """The name of what goes, until that which replaces it stands. After a reload that failed there
    may be several of one service, each with an address of its own."""
    return f"{service}{_REPLACED}{address})"


def service_of(wish: str) -> str:
    """Whose wish it is."""
    return wish.partition(_REPLACED)[0]


def words(wish: str) -> str:
    """For a line of the log."""
    return wish.replace("\n", " ")
