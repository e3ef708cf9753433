"""Monitors' states and the connections that they keep open, for the next process."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Any

from pybal.errors import said_by
from pybal.handover.bag import DescriptorBag, take_out
from pybal.handover.connection import byte_counts, cookie
from pybal.handover.format import HandoverError
from pybal.handover.legacy import Legacy
from pybal.handover.states import StateTable, by_age, read_states
from pybal.handover.store import DescriptorStore
from pybal.monitors.former import Former, decode_former, encode_former
from pybal.runtime.clock import cancel
from pybal.runtime.threads import OwnThread, close_in

TABLE, BAG = "monitors.", "connections."
"""How the descriptors are called."""

STALE_S = 60.0
"""What was known so long ago is not used: a server is unknown then, as at any start."""

TAKEN_WITHIN_S = 60.0
"""Monitors have their states by then; what nobody has asked for is of servers that are gone."""

_PUT_IN_S = 0.05
_MOST_MESSAGES = 200
_MOST_TABLES = 4


class MonitorMemory:
    """Made before any monitor; start() begins to write. A bag that is thrown away is closed in
    `own_thread`: with it the kernel closes thousands of connections, a microsecond or more for
    each."""

    def __init__(self, legacy: Legacy, clock: Any, log: Any, own_thread: OwnThread) -> None:
        self._store = legacy.store
        self._place = legacy.place
        self._clock = clock
        self._log = log
        self._own_thread = own_thread
        self._table: StateTable | None = None
        self._bag: DescriptorBag | None = None
        self._name = ""
        self._bags = 0
        self._former: dict[str, Former] = {}
        self._connections: dict[int, socket.socket] = {}
        self._open: dict[int, socket.socket] = {}
        self._new: list[int] = []
        self._gone = 0
        self._calls: dict[str, Any] = {}
        self._left = {n: own for n, own in legacy.left.items() if n.startswith((TABLE, BAG))}
        self._wanted = legacy.is_kept
        self._sealed = False

    @property
    def is_wanted(self) -> bool:
        """Whether there is anything to know, or to be kept."""
        return self._wanted

    # -- the process before us --------------------------------------------------------------

    def start(self) -> None:
        """Read what was left, and keep that and all that comes for the next process."""
        left, self._left = self._left, {}
        useful: list[str] = []
        for name, descriptors in by_age(left):
            if name.startswith(BAG):
                self._take_connections(descriptors)
            else:
                for states in self._take_states(descriptors):
                    self._former |= states
                    useful.append(name)
        # Who crashes again and again leaves one each time: they must not fill memory or the store.
        for name in left:
            too_old = name not in useful[-_MOST_TABLES:]
            if name.startswith(TABLE) and too_old and self._store is not None:
                self._store.forget(name)
        if not self._wanted or self._store is None:
            self._former.clear()
            self._let_go()
            for name in left:
                if self._store is not None:
                    self._store.forget(name)
            return
        self._begin(self._store)
        if self._table is not None:
            self._calls["settle"] = self._clock.callLater(TAKEN_WITHIN_S, self._settle, left)
        self._let_bags_go(left)

    def _take_connections(self, descriptors: list[int]) -> None:
        for descriptor in take_out(descriptors):
            with contextlib.suppress(OSError, HandoverError):
                connection = socket.socket(fileno=descriptor)
                connection.setblocking(False)
                number = cookie(connection)
                if number in self._connections or not byte_counts(connection).is_open:
                    connection.close()
                else:
                    self._connections[number] = connection

    def _take_states(self, descriptors: list[int]) -> Iterator[dict[str, Former]]:
        for descriptor in descriptors:
            try:
                states = self._read_table(descriptor)
                if states:
                    yield states
            except (OSError, HandoverError, ValueError) as error:
                self._log.warn(
                    "What monitors knew before this start is not used: {error}",
                    error=said_by(error),
                )
            finally:
                with contextlib.suppress(OSError):
                    os.close(descriptor)

    def _read_table(self, descriptor: int) -> dict[str, Former]:
        """The states by their keys."""
        states: dict[str, Former] = {}
        for state in read_states(descriptor, self._place, self._clock.seconds() - STALE_S):
            with contextlib.suppress(HandoverError):
                key, former = decode_former(state)
                states[key] = former
        return states

    def _begin(self, store: DescriptorStore) -> None:
        """With a new table and a new bag, in which all connections are before the old one goes."""
        try:
            self._table = StateTable("pybal monitors", self._place)
            self._name = self._table.keep(store, TABLE, self._clock)
            self._open.update(self._connections)
            self._new_bag(store)
        except OSError as error:
            self._give_up(error)

    def _let_bags_go(self, left: Mapping[str, list[int]]) -> None:
        for name in left:
            if name.startswith(BAG) and self._store is not None:
                self._store.forget(name)

    def _settle(self, left: Mapping[str, list[int]]) -> None:
        """Now the former table is of no use any more, even if we should be killed."""
        self._former.clear()
        self._let_go()
        for name in left:
            if name.startswith(TABLE) and self._store is not None:
                self._store.forget(name)

    def _let_go(self) -> None:
        connections, self._connections = self._connections, {}
        for number, connection in connections.items():
            self._open.setdefault(number, connection)
            self.closing(number)
            connection.close()

    # -- monitors ---------------------------------------------------------------------------

    def former(self, key: str) -> Former | None:
        """What is known of a monitor's server, once."""
        return self._former.pop(key, None)

    def connection(self, former: Former) -> socket.socket | None:
        """The one that was kept open, once."""
        return self._connections.pop(former.connection, None)

    def write(self, slot: int | None, key: str, state: Former) -> int | None:
        """Remember a state; the place in which it now is, to be given with the next."""
        if self._table is None:
            return slot
        try:
            # One that is too large is unknown to the next process, not all of them.
            slot = self._table.write(slot, encode_former(key, state))
        except OSError as error:
            self._give_up(error)
        return slot

    def free(self, slot: int | None) -> None:
        """Its monitor has ended."""
        if slot is not None and self._table is not None:
            with contextlib.suppress(OSError):
                self._table.erase(slot)

    def opened(self, connection: socket.socket) -> int:
        """Keep a connection that is open; its number, 0 if it is not kept."""
        if self._table is None:
            return 0
        try:
            number = cookie(connection)
        except OSError:
            return 0
        self._open[number] = connection
        self._new.append(number)
        if "put" not in self._calls:
            self._calls["put"] = self._clock.callLater(_PUT_IN_S, self._put)
        return number

    def closing(self, number: int) -> None:
        """It is about to be closed, and is to be so for those who have a copy."""
        if self._sealed:
            return
        connection = self._open.pop(number, None)
        if connection is not None:
            self._gone += 1
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _put(self) -> None:
        cancel(self._calls.pop("put", None))
        bag, numbers, self._new = self._bag, self._new, []
        if bag is None or self._store is None:
            return
        too_much_gone = self._gone > max(64, len(self._open))
        try:
            if too_much_gone or bag.messages > _MOST_MESSAGES:
                self._new_bag(self._store)
            else:
                kept = (self._open[n].fileno() for n in numbers if n in self._open)
                bag.put([descriptor for descriptor in kept if descriptor >= 0])
        except OSError as error:
            self._give_up(error)

    def _new_bag(self, store: DescriptorStore) -> None:
        """All that is open in a new one; what has been closed meanwhile goes with the old one."""
        former = self._bag
        self._bags += 1
        unique = self._name.removeprefix(TABLE)
        self._bag = DescriptorBag(store, f"{BAG}{unique}.{self._bags}")
        numbers = [one.fileno() for one in self._open.values()]
        self._bag.put([descriptor for descriptor in numbers if descriptor >= 0])
        self._gone = 0
        if former is not None:
            store.forget(former.name)
            close_in(self._own_thread, former.close)

    # -- the end ----------------------------------------------------------------------------

    def leave(self) -> None:
        """To the next process, as all is now."""
        self._put()
        if self._table is not None:
            with contextlib.suppress(OSError):
                self._table.say_alive(float(self._clock.seconds()))
            self._sealed = True
        self._stop()

    def end(self) -> None:
        """There is none: nothing is kept; unless all was left to one. Idempotent."""
        if self._sealed:
            return
        if self._store is not None and self._name:
            self._store.forget(self._name)
        if self._bag is not None:
            self._bag.discard()
        self._let_go()
        self._stop()

    def _give_up(self, error: Exception) -> None:
        self._log.warn(
            "Monitors' states are not kept for the next process: {error}", error=said_by(error)
        )
        self.end()

    def _stop(self) -> None:
        table, self._table = self._table, None
        if table is not None:
            table.close()
        bag, self._bag = self._bag, None
        if bag is not None:
            bag.close()
        calls, self._calls = self._calls, {}
        for call in calls.values():
            cancel(call)
