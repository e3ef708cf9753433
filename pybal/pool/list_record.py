"""Has the list in force of one service, and what is known of it, kept for the next run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pybal.pool.guarded_list import GuardedList
from pybal.pool.list_restart import saved_after_s
from pybal.pool.new_servers import NewServers
from pybal.pool.pool_state import PoolState
from pybal.pool.ports import CoordinatorPorts, ListStore
from pybal.pool.server import Server
from pybal.runtime.clock import DelayedCall, cancel

_TRIES = 2


class ListRecord:
    """At once when another list is in force; some seconds after servers went up or down, or names
    moved, so that those that flap do not keep the disk busy."""

    def __init__(
        self,
        ports: CoordinatorPorts,
        store: ListStore,
        list_: GuardedList,
        state: Callable[[], PoolState],
        new_servers: NewServers,
        log: Logger,
    ) -> None:
        self._clock = ports.clock
        self._log = log
        self._store = store
        self._list = list_
        self._state = state
        self._new_servers = new_servers
        self._time_slices = ports.time_slices
        self._moving: dict[str, Server] = {}
        self._moving_kept: tuple[tuple[str, str], ...] = ()
        self._later: DelayedCall | None = None
        self._looking = 0
        """How many looks are under way."""
        self._kept_at = -math.inf
        self._stopped = False

    def keep(self) -> None:
        """Another list is in force, or other changes of it are kept."""
        self._cancel()
        self._moving_kept = self._moves()
        departed = self._new_servers.departed(self._clock.seconds())
        past = replace(self._list.past(self._state()), moving=self._moving_kept, departed=departed)
        self._store.in_force(tuple(self._list.in_force.values()), past)

    def keep_soon(self) -> None:
        """Servers may have come up or gone down."""
        if self._later is None and not self._stopped:
            since_s = self._clock.seconds() - self._kept_at
            after_s = saved_after_s(self._list.name, len(self._state().members), since_s)
            self._later = self._clock.callLater(after_s, self._look)

    def moves(self, server: Server) -> None:
        """Its name has moved, and it stays where it is for now."""
        self._moving[server.host] = server
        self.keep_soon()

    def stop(self) -> None:
        """Keep what is known now, and nothing more. Idempotent."""
        if self._stopped:
            return
        self._stopped = True
        if self._later is not None or self._looking:
            self._cancel()
            self._keep_if_other()

    def _look(self) -> None:
        self._later = None
        looking = Deferred.fromCoroutine(self._look_in_pieces())
        looking.addErrback(lambda f: self._log.failure("Cannot keep what servers are", failure=f))

    async def _look_in_pieces(self) -> None:
        """When a whole pool has died, thousands have gone down since the last look."""
        by_s = self._time_slices.due_s
        self._looking += 1
        try:
            # Of the thousands of a storm many more go down while the first are looked at.
            for _ in range(_TRIES):
                for _ in self._list.learning(self._state()):
                    await self._time_slices.leisure(by_s=by_s)
                    if self._stopped:
                        return
        finally:
            self._looking -= 1
        self._keep_if_other()

    def _keep_if_other(self) -> None:
        others = self._list.learn(self._state())
        if others or self._moves() != self._moving_kept:
            self._kept_at = self._clock.seconds()
            self.keep()

    def _moves(self) -> tuple[tuple[str, str], ...]:
        self._moving = {host: each for host, each in self._moving.items() if each.is_moving}
        return tuple((host, str(each.address)) for host, each in self._moving.items())

    def _cancel(self) -> None:
        cancel(self._later)
        self._later = None
