"""What is still to be done to a service, kept up to date while it is being done. Pure.

The kernel's table, as it is known, is compared once with what is wanted. From then on a change of
what is wanted adds what it changes, however far the work has come; it restarts nothing. What is to
be done to a server follows from what is known and wanted of it at that moment.

The order: servers that leave (or get weight 0) go first, so that a dead one does not wait for
others that come. But where more leave than stay, as when a list replaces most servers of a service,
one comes for each that leaves, so that the service has as many as before until all have come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import heappop, heappush
from operator import index

from pybal.ipvs.model import Destination, DestinationKey, Service, ServiceEntry, ServiceKey
from pybal.ipvs.operations import (
    AddDestination,
    AddService,
    EditDestination,
    EditService,
    Operation,
    RemoveDestination,
    RemoveService,
)
from pybal.runtime.persistent_map import Difference, difference

_PIECE = 8
"""So many differences are looked at in a piece, at some five microseconds each, or as many times a
dozen or two that are equal. It costs as many of the destinations that a turn compares."""

_Destinations = Mapping[DestinationKey, Destination]
_Comparison = Iterator[Difference[DestinationKey, Destination] | None]


class Outstanding:
    """Of one service. What is known of it may change only by the operations of `steps`."""

    def __init__(self, key: ServiceKey) -> None:
        self._key = key
        self.compared: ServiceEntry | None = None
        """What was wanted when `steps` was last taken: once they end that is what stands, unless
        the kernel refuses."""
        self._refused: Service | None = None
        """What was tried for the service itself; unless it is known now, the kernel refused it."""
        self._comparisons: list[_Comparison] | None = None
        self._leaving: dict[DestinationKey, None] = {}
        self._changing: dict[DestinationKey, None] = {}
        self._coming: dict[DestinationKey, None] = {}
        self._by_rank: list[tuple[int, int, DestinationKey]] = []
        """Those that come, as a heap; also some that no longer do."""
        self._counted = 0
        self._one_for_one = False

    def steps(
        self, known: ServiceEntry | None, wanted: ServiceEntry | None
    ) -> Iterator[Operation | int]:
        """The next steps: each is an operation, or says that so many destinations were looked at.
        They may be left at any point and are taken anew in the next turn, when `known` shows what
        has become of the operations."""
        if wanted is None:
            self.compared = None
            if known is not None:
                yield RemoveService(self._key)
            return
        if known is None:
            yield AddService(wanted.service)
        elif wanted.service not in (known.service, self._refused):
            self._refused = wanted.service
            yield EditService(wanted.service)
        stand = {} if known is None else known.destinations
        yield from self._compare(stand, wanted)
        yield from self._operations(stand, wanted.destinations)

    def _compare(self, stand: _Destinations, wanted: ServiceEntry) -> Iterator[int]:
        """Find what differs. What is wanted now comes first, whatever is left of earlier ones."""
        if self._comparisons is None:
            self._comparisons = [difference(stand, wanted.destinations)]
        elif self.compared is not None and self.compared is not wanted:
            changed = difference(self.compared.destinations, wanted.destinations)
            self._comparisons.append(changed)
        self.compared = wanted
        looked_at = 0
        while self._comparisons:
            for found in self._comparisons[-1]:
                if found is not None:
                    self._sort(found[0], stand, wanted.destinations)
                looked_at += 1
                if looked_at % _PIECE == 0:
                    yield _PIECE
            self._comparisons.pop()

    def _sort(self, server: DestinationKey, stand: _Destinations, wanted: _Destinations) -> None:
        for kind in (self._leaving, self._changing, self._coming):
            if kind:
                kind.pop(server, None)
        before, after = stand.get(server), wanted.get(server)
        if before is None and after is not None:
            self._coming[server] = None
            self._counted += 1
            heappush(self._by_rank, (index(after.rank), self._counted, server))
        elif before is None or before == after:
            return
        elif after is None or (after.weight == 0 and before.weight > 0):
            self._leaving[server] = None
        else:
            self._changing[server] = None

    def _operations(self, stand: _Destinations, wanted: _Destinations) -> Iterator[Operation]:
        for server in self._next(len(stand) - len(self._leaving)):
            before, after = stand.get(server), wanted.get(server)
            if after is None:
                yield RemoveDestination(self._key, server)
            elif before is None:
                yield AddDestination(self._key, after)
            else:
                yield EditDestination(self._key, after)

    def _next(self, staying: int) -> Iterator[DestinationKey]:
        """The servers in the order in which something is to be done to them."""
        leaving, coming = _taken(self._leaving), self._taken_by_rank()
        # Once begun it goes on: who has come for those that left stays, and would be counted.
        waiting = bool(self._leaving and self._coming)
        self._one_for_one = waiting and (self._one_for_one or len(self._leaving) > staying)
        while self._one_for_one and self._leaving and self._coming:
            yield next(coming)
            yield next(leaving)
        yield from leaving
        yield from coming
        yield from _taken(self._changing)

    def _taken_by_rank(self) -> Iterator[DestinationKey]:
        while self._coming:
            _, _, server = heappop(self._by_rank)
            if server in self._coming:
                del self._coming[server]
                yield server
        self._by_rank.clear()


def _taken(servers: dict[DestinationKey, None]) -> Iterator[DestinationKey]:
    """All of them, in order, each removed as it is taken."""
    while servers:
        server = next(iter(servers))
        del servers[server]
        yield server
