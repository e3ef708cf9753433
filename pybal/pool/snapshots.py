"""The snapshots of a service's servers. Only those that changed are made anew: there are thousands,
and each scrape looks at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pybal.model import IPAddress, MonitorSnapshot, ServerSnapshot
from pybal.pool.policy import Member, PoolState
from pybal.pool.server import Server


class ServerSnapshots:
    """The snapshots of one service's servers."""

    def __init__(self) -> None:
        self._servers: dict[str, _Server] = {}
        self._snapshots: tuple[ServerSnapshot, ...] = ()
        self._state: PoolState | None = None
        """The state that the snapshots show; None if a monitor has changed since."""

    def touch(self) -> None:
        """A monitor has changed."""
        self._state = None

    def servers(
        self, state: PoolState, servers: Mapping[str, Server]
    ) -> tuple[ServerSnapshot, ...]:
        """The same object until something changes."""
        if self._state is not state:
            self._state = state
            before = self._servers
            self._servers = {
                host: _server(before.get(host), member, servers[host])
                for host, member in state.members.items()
            }
            self._snapshots = tuple(each.snapshot for each in self._servers.values())
        return self._snapshots


@dataclass(frozen=True, slots=True)
class _Server:
    """A server's snapshot, and what it was made of, to tell whether it still holds."""

    member: Member
    address: IPAddress | None
    monitors: tuple[MonitorSnapshot, ...]
    snapshot: ServerSnapshot


def _server(before: _Server | None, member: Member, server: Server) -> _Server:
    """The same object as `before` if nothing has changed."""
    address, monitors = server.address, server.monitor_snapshots()
    if (
        before is not None
        and before.member is member
        and before.monitors is monitors
        and before.address is address
    ):
        return before
    snapshot = ServerSnapshot(
        host=member.spec.host,
        address=address,
        weight=member.spec.weight,
        enabled=member.spec.enabled,
        ready=member.ready,
        up=member.up,
        partially_up=member.partially_up,
        pooled=member.pooled,
        monitors=monitors,
        decision=member.decision,
        over=member.over,
    )
    return _Server(member, address, monitors, snapshot)
