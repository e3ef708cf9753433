"""Has the list in force of one service, and what is known of it, kept for the next run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from pybal.held_change import ListPast
from pybal.pool.guarded_list import GuardedList
from pybal.pool.list_restart import DownServers, saved_after_s
from pybal.pool.pool_state import PoolState
from pybal.pool.ports import ListStore
from pybal.pool.server import Server
from pybal.runtime.clock import Clock, DelayedCall


class ListRecord:
    """At once when another list is in force; some seconds after servers went up or down, or names
    moved, so that those that flap do not keep the disk busy."""

    def __init__(
        self,
        clock: Clock,
        store: ListStore,
        list_: GuardedList,
        state: Callable[[], PoolState],
    ) -> None:
        self._clock = clock
        self._store = store
        self._list = list_
        self._state = state
        self._down = DownServers()
        self._moving: dict[str, Server] = {}
        self._known = ListPast(0.0)
        self._later: DelayedCall | None = None
        self._kept_at = -math.inf
        self._stopped = False

    def keep(self) -> None:
        """Another list is in force, or other changes of it are kept."""
        self._cancel()
        past = self._past()
        self._known = past
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
        self._stopped = True
        if self._later is not None:
            self._cancel()
            self._look()

    def _look(self) -> None:
        self._later = None
        past = self._past()
        if (past.unproven, past.moving) != (self._known.unproven, self._known.moving):
            self._kept_at = self._clock.seconds()
            self.keep()

    def _past(self) -> ListPast:
        state = self._state()
        past = self._list.past(self._down.of(state.members), state)
        self._moving = {host: each for host, each in self._moving.items() if each.is_moving}
        moving = ((host, str(each.address)) for host, each in self._moving.items())
        return replace(past, moving=tuple(moving))

    def _cancel(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
