"""The snapshots of a service's servers. Only those that changed are made anew: there are thousands,
and each scrape looks at all. After a storm they are made before anyone asks, who would have to make
thousands in one turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sized
from itertools import islice

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybal.model import ServerSnapshot, Verdict
from pybal.pool.member import Member
from pybal.pool.members import Members
from pybal.pool.pool_state import PoolState
from pybal.pool.server import Server
from pybal.runtime.pieces import PIECE, Pieces, between, piecewise
from pybal.runtime.time_slices import TimeSlices

_MOST_WAITING = 200
"""If so many wait to be made anew, they are, as soon as there is time."""
_PIECE = 20
_TRIES = 2

_Made = tuple[Member, ServerSnapshot]
"""Of which member it was made."""


class ServerSnapshots:
    """The snapshots of one service's servers. `state` and `servers` are live views."""

    def __init__(
        self,
        state: Callable[[], PoolState],
        servers: Mapping[str, Server],
        time_slices: TimeSlices,
        log: Logger,
    ) -> None:
        self._log = log
        self._state = state
        self._servers = servers
        self._time_slices = time_slices
        self._working = False
        self._members = Members()
        self._early: dict[str, _Made] = {}
        """What was made before anyone asked."""
        self._by_host: dict[str, ServerSnapshot] = {}
        self._snapshots: tuple[ServerSnapshot, ...] = ()
        self._touched: dict[str, None] = {}

    def touch(self, host: str) -> None:
        """A monitor of the server has changed, or its address."""
        self._touched.pop(host, None)
        self._touched[host] = None
        if len(self._touched) >= _MOST_WAITING and not self._working:
            self._working = True
            making = Deferred.fromCoroutine(self._make_early())
            making.addErrback(self._not_made)

    async def _make_early(self) -> None:
        by_s = self._time_slices.due_s
        for _ in self._making():
            await self._time_slices.leisure(by_s=by_s)
        self._working = False
        self.all()

    def _making(self) -> Pieces[None]:
        while True:
            while self._touched:
                yield
                self._make_some()
            yield
            yield from self._put_in_place()
            if not self._touched:
                return

    def _not_made(self, failure: Failure) -> None:
        """They are made when somebody asks."""
        self._working = False
        self._log.failure("Snapshots of servers cannot be made early", failure)

    def _put_in_place(self) -> Pieces[None]:
        """What was made early, in pieces: `all` would do it in one turn. What else a step has
        changed, perhaps since it was made, is touched."""
        members, before, shown = self._state().members, self._members, self._snapshots
        found: dict[str, ServerSnapshot] = {}

        def touch(part: list[Member]) -> None:
            for member in part:
                host = member.spec.host
                made = self._early.get(host)
                if made is None or made[0] is not member:
                    self._touched[host] = None

        def find(part: list[tuple[str, _Made]]) -> None:
            found.update((host, made[1]) for host, made in part if members.get(host) is made[0])

        yield from piecewise(touch, members.differing(before))
        yield from piecewise(find, tuple(self._early.items()))
        yield from between(found)
        # Unless others are shown meanwhile: they may be newer.
        if found and self._snapshots is shown and members.same_list(before):
            self._by_host |= found
            self._show(members, found)
            made_early = self._early
            self._early = {h: m for h, m in made_early.items() if found.get(h) is not m[1]}
            self._time_slices.let_go(tuple(made_early.values()))

    def _make_some(self) -> None:
        members = self._state().members
        for host in tuple(islice(self._touched, _PIECE)):
            del self._touched[host]
            if host in members and host in self._servers:
                member = members[host]
                self._early[host] = member, _snapshot(member, self._servers[host])

    def preparing(self) -> Pieces[None]:
        """Makes in pieces what `all` would have to make. What little changes meanwhile is left to
        it; of what changes again and again, as in a storm, more."""
        left = 0
        for _ in range(_TRIES):
            yield from self._put_in_place()
            if len(self._touched) <= left:
                return
            for _ in range(0, len(self._touched), _PIECE):
                self._make_some()
                yield
            left = _PIECE
        yield from self._put_in_place()

    def all(self) -> tuple[ServerSnapshot, ...]:
        """Those of all servers; the same object until something changes."""
        members = self._state().members
        if members is self._members and not self._touched and not self._early:
            return self._snapshots
        found = self._changed(members)
        if members.same_list(self._members):
            self._by_host |= found
        else:
            self._by_host = {host: found.get(host) or self._by_host[host] for host in members}
        self._show(members, found)
        self._touched.clear()
        self._early.clear()
        return self._snapshots

    def _show(self, members: Members, found: Sized) -> None:
        """What `_by_host` has of them; so many are new."""
        if len(found) > PIECE:
            self._time_slices.let_go(self._snapshots)
        self._snapshots = tuple(self._by_host.values())
        self._members = members

    def _changed(self, members: Members) -> dict[str, ServerSnapshot]:
        """Those that differ from `_by_host`; what was made early is taken from there."""
        found: dict[str, ServerSnapshot] = {}
        early, touched = self._early, self._touched
        for member in members.differing(self._members):
            host = member.spec.host
            made = early.pop(host, None)
            if made is None or made[0] is not member:
                touched[host] = None
            else:
                found[host] = made[1]
        for host, made in early.items():
            if members.get(host) is made[0]:
                found[host] = made[1]
        for host in touched:
            member = members.get(host)
            if member is not None:
                found[host] = _snapshot(member, self._servers[host])
        return found


def not_held(server: ServerSnapshot) -> ServerSnapshot:
    """The server as it is if it is not pooled, though the policy holds it."""
    if server.up or not server.pooled:
        return server
    said_down = any(monitor.up is False for monitor in server.monitors)
    verdict = Verdict.DEPOOLED if said_down else Verdict.WAITING
    decision = None if server.decision is None else server.decision._replace(verdict=verdict)
    return server._replace(pooled=False, decision=decision)


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
