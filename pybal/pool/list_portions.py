"""A list that brings very many servers grows by a portion a turn: all of it in one step would hold
up the reactor. Pure."""

from __future__ import annotations

from collections.abc import Collection

PORTION = 300
"""So many new servers are some milliseconds' work."""


def next_portion(
    listed: Collection[str], known: Collection[str], *, begun: bool = False
) -> tuple[str, ...]:
    """The hosts of the next list, of those that are listed and those that are known already; empty
    if what is left is no more than a portion, or nothing, once it has `begun` with one: then what
    is done for the whole list has a turn to itself. Who is no longer listed goes with that."""
    new = [host for host in listed if host not in known]
    if not new or (len(new) <= PORTION and not begun):
        return ()
    waiting = set(new[PORTION:])
    leaving = (host for host in known if host not in listed)
    return (*(host for host in listed if host not in waiting), *leaving)
