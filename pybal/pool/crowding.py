"""Names that move may not bring a whole pool to a few addresses.

A name server that answers everything with one address, at which something answers, would make one
server of all. So a server that works moves to an address that another one has only as long as
the working servers keep enough addresses: the service's list-floor, a share of the servers that are
enabled. Else it stays where it is until there is room, or until it is down there. The first one to
share an address may do so in any case.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction

from twisted.logger import Logger

from pybal.model import IPAddress
from pybal.pool.member import Member
from pybal.pool.pool_state import PoolState
from pybal.pool.server import Server
from pybal.runtime.naming import counted


class Crowding:
    """Of one service: its servers, and those that wait for room where they were found up. `at` says
    who has an address."""

    def __init__(
        self,
        servers: Mapping[str, Server],
        at: Callable[[IPAddress], Iterable[str]],
        state: Callable[[], PoolState],
        log: Logger,
    ) -> None:
        self._servers = servers
        self._at = at
        self._state = state
        self._log = log
        self._waiting: dict[str, None] = {}
        self._looking = False

    @property
    def waits(self) -> bool:
        """Whether any server waits for room."""
        return bool(self._waiting)

    def may_move(self, server: Server, address: IPAddress, floor: Fraction) -> bool:
        """Whether a server may move to an address at which it was found up. If not, it is asked
        again by `look_again`."""
        state = self._state()
        member = state.members.get(server.host)
        required = math.ceil(state.members.counts.enabled * floor)
        if member is None or not _works(member) or not required:
            return True
        if not self._may_be_shared(address, server):
            return True
        others = [
            each
            for host, each in self._servers.items()
            if each is not server and _works(state.members.get(host))
        ]
        # Two servers may change places: who is about to leave is in nobody's way.
        shared = any(each.address == address and not each.is_moving for each in others)
        left = {each.address for each in others}
        lone = len(left) == len(others)
        if not shared or server.address in left or lone or len(left) >= required:
            return True
        if server.host not in self._waiting:
            self._waiting[server.host] = None
            self._log.warn(
                "{host} was found up at {address}, where others are, and stays at {former}: the"
                " servers that work would have {left}, and list-floor wants {required}",
                host=server.host,
                address=str(address),
                former=str(server.address),
                left=counted(len(left), "address", "addresses"),
                required=required,
            )
        return False

    def _may_be_shared(self, address: IPAddress, server: Server) -> bool:
        """Whether anybody else is at it. What follows looks at the whole pool, and thousands of
        names may move at once, each to an address of its own."""
        there = (self._servers.get(host) for host in self._at(address))
        return any(each is not None and each is not server for each in there)

    def look_again(self) -> None:
        """Servers came, went, or moved: let those move that may now. To ask costs as much as the
        pool is large, so one refusal is enough, but for those that are down."""
        if self._looking:
            return  # a move, further up the stack, has led here
        self._looking = True
        try:
            self._look(tuple(self._waiting))
        finally:
            self._looking = False

    def _look(self, waiting: tuple[str, ...]) -> None:
        refused = False
        for host in waiting:
            server, member = self._servers.get(host), self._state().members.get(host)
            if server is None or member is None or not server.is_moving:
                del self._waiting[host]
            elif not refused or not _works(member):
                if server.move_if_proven():
                    del self._waiting[host]
                else:
                    refused = True


def _works(member: Member | None) -> bool:
    return member is not None and member.pooled and member.up and member.spec.weight > 0
