"""A cheap look at the kernel's table each second: what someone else takes away need not wait for
the next audit.

A few services are asked for by name, in turn, without their servers: of a table that was cleared
any one tells. Of some services the servers are read too. The kernel tells nobody of changes, and
the number of its services is in no answer that is cheaper than these.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from twisted.logger import Logger

from pybal.errors import KernelError
from pybal.ipvs.drift import comparing
from pybal.ipvs.kernel import Kernel
from pybal.ipvs.model import ServiceKey, Table
from pybal.runtime.backoff import doubling_s
from pybal.runtime.clock import DelayedCall, Timer, cancel
from pybal.runtime.pieces import in_one_go

LOOK_EVERY_S = 1.0
LOOK_MAX_S = 60.0
"""While each look finds something, someone else fights for the table: then looks become rare."""

SERVICES_A_LOOK = 25
ENTRIES_A_LOOK = 40
"""Services are read, in turn, until so many entries of the table have been: all of a small one."""
MOST_SERVERS = 200
"""Larger services are left to the audit: a look is one turn of the reactor, some milliseconds."""


class QuickLook:
    """Calls `differs` when the kernel does not hold a service as it was left. `ours` are the
    services that are managed, `table` is what the kernel is known to hold.

    Each look is whole: nothing of our own can change the kernel meanwhile.
    """

    def __init__(
        self,
        clock: Timer,
        kernel: Kernel,
        table: Table,
        ours: Callable[[], Iterable[ServiceKey]],
        differs: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._kernel = kernel
        self._table = table
        self._ours = ours
        self._differs = differs
        self._log = Logger(namespace="ipvs")
        self._services: deque[ServiceKey] = deque()
        self._servers: deque[ServiceKey] = deque()
        self._found = 0
        self._call: DelayedCall | None = None

    def start(self) -> None:
        """Look from now on. Idempotent."""
        if self._call is None:
            self._call = self._clock.callLater(LOOK_EVERY_S, self._look)

    def stop(self) -> None:
        """Look no more. Idempotent."""
        cancel(self._call)
        self._call = None

    def _look(self) -> None:
        try:
            found = self._is_service_missing() or self._is_service_changed()
        except KernelError:
            found = False  # An audit, or a change, says what is wrong with the kernel.
        except Exception:  # noqa: BLE001 - a fault here must not end the looking
            self._log.failure("A look at the IPVS table failed unexpectedly")
            found = False
        self._found = self._found + 1 if found else 0
        delay_s = doubling_s(self._found, LOOK_EVERY_S, LOOK_MAX_S)
        self._call = self._clock.callLater(delay_s, self._look)
        if found:
            self._differs()

    def _is_service_missing(self) -> bool:
        keys = self._next(self._services, SERVICES_A_LOOK)
        return bool(keys) and bool(self._kernel.absent(keys))

    def _is_service_changed(self) -> bool:
        entries, read = 0, set[ServiceKey]()
        while entries < ENTRIES_A_LOOK:
            keys = self._next(self._servers, 1)
            if not keys:
                break
            (key,) = keys
            if key in read:
                self._servers.appendleft(key)
                break
            read.add(key)
            known = self._table[key]
            entries += 1
            if len(known.destinations) <= MOST_SERVERS:
                entries += len(known.destinations)
                if in_one_go(comparing(known, self._kernel.read(key))):
                    return True
        return False

    def _next(self, turn: deque[ServiceKey], most: int) -> list[ServiceKey]:
        """The next ones whose turn it is, of those that should stand."""
        if not turn:
            turn.extend(self._ours())
        keys: list[ServiceKey] = []
        while turn and len(keys) < most:
            key = turn.popleft()
            if key in self._table:
                keys.append(key)
        return keys
