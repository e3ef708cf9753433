"""A list that brings very many servers grows by a portion a turn: all of it in one step would hold
up the reactor. Pure."""

from __future__ import annotations

from collections.abc import Collection

PORTION = 300
"""So many new servers are some milliseconds' work."""


def next_portion(listed: Collection[str], known: Collection[str]) -> tuple[str, ...]:
    """The hosts of the next list, of those that are listed and those that are known already; empty
    if what is left is no more than a portion. Who is no longer listed goes with the last one."""
    new = [host for host in listed if host not in known]
    if len(new) <= PORTION:
        return ()
    waiting = set(new[PORTION:])
    leaving = (host for host in known if host not in listed)
    return (*(host for host in listed if host not in waiting), *leaving)
