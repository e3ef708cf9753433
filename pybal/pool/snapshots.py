"""The snapshots of a service's servers. Only those that changed are made anew: there are thousands,
and each scrape looks at all.
"""

from __future__ import annotations

from collections.abc import Mapping

from pybal.model import ServerSnapshot
from pybal.pool.members import Member, Members
from pybal.pool.policy import PoolState
from pybal.pool.server import Server


class ServerSnapshots:
    """The snapshots of one service's servers."""

    def __init__(self) -> None:
        self._members = Members()
        self._by_host: dict[str, ServerSnapshot] = {}
        self._snapshots: tuple[ServerSnapshot, ...] = ()
        self._touched: dict[str, None] = {}

    def touch(self, host: str) -> None:
        """A monitor of the server has changed, or its address."""
        self._touched[host] = None

    def servers(
        self, state: PoolState, servers: Mapping[str, Server]
    ) -> tuple[ServerSnapshot, ...]:
        """The same object until something changes."""
        members = state.members
        if members is self._members and not self._touched:
            return self._snapshots
        changed = {m.spec.host for m in members.differing(self._members)} | self._touched.keys()
        found = {host: _snapshot(members[host], servers[host]) for host in changed & members.keys()}
        if members.same_list(self._members):
            self._by_host |= found
        else:
            self._by_host = {host: found.get(host) or self._by_host[host] for host in members}
        self._snapshots = tuple(self._by_host.values())
        self._members = members
        self._touched.clear()
        return self._snapshots


def _snapshot(member: Member, server: Server) -> ServerSnapshot:
    return ServerSnapshot(
        host=member.spec.host,
        address=server.address,
        weight=member.spec.weight,
        enabled=member.spec.enabled,
        ready=member.ready,
        up=member.up,
        partially_up=member.partially_up,
        pooled=member.pooled,
        monitors=server.monitor_snapshots(),
        decision=member.decision,
        over=member.over,
    )
