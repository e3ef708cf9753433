"""A list that brings very many servers grows by a portion a turn: all of it in one step would hold
up the reactor. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from pybal.model import ServerSpec
from pybal.pool.events import Candidate
from pybal.pool.members import Members

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


class Portions:
    """Those of one list, as the policy takes them. What has been made of a server is used again
    while its specification stays."""

    def __init__(self, candidate: Callable[[ServerSpec], Candidate]) -> None:
        self._candidate = candidate
        self._made: dict[str, Candidate] = {}

    def next(self, in_force: Mapping[str, ServerSpec], members: Members) -> tuple[Candidate, ...]:
        """See next_portion()."""
        hosts = next_portion(in_force, members, begun=bool(self._made))
        for host in hosts:
            spec = in_force[host] if host in in_force else members[host].spec
            if host not in self._made or self._made[host].spec is not spec:
                self._made[host] = self._candidate(spec)
        return tuple(self._made[host] for host in hosts)
