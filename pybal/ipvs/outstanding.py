"""What is still to be done to a service, kept up to date while it is being done. Pure.

The kernel's table, as it is known, is compared once with what is wanted. From then on a change of
what is wanted adds what it changes, however far the work has come; it restarts nothing. What is to
be done to a server is decided when it is found to differ, and again whenever what is wanted of it
has changed.

The order: servers that leave (or get weight 0) go first, so that a dead one does not wait for
others that come. But where more leave than stay, as when a list replaces most servers of a service,
one comes for each that leaves, so that the service has as many as before until all have come.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from itertools import chain
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
_Operations = OrderedDict[DestinationKey, Operation]
"""To take the first of thousands, again and again, is cheap; a dict passes over all the places
that have become empty."""
_Difference = Difference[DestinationKey, Destination]
_Comparison = Iterator[_Difference | None]


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
        self._is_first = True
        """Whether what is wanted now is all that was ever compared: no server was met before, and
        each is as the comparison says."""
        self._leaving: _Operations = OrderedDict()
        self._changing: _Operations = OrderedDict()
        self._coming: dict[DestinationKey, Operation] = {}
        self._by_rank: list[tuple[int, int, DestinationKey, Operation]] = []
        """Those that come, the next one last, if `_is_by_rank`; also some that no longer do."""
        self._is_by_rank = True
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
            return iter([] if known is None else [RemoveService(self._key)])
        stand = {} if known is None else known.destinations
        leaving, coming = _taken(self._leaving), self._taken_by_rank()
        return chain(
            self._of_the_service(known, wanted.service),
            self._compare(stand, wanted),
            self._one_for_each(leaving, coming, stand),
            leaving,
            coming,
            _taken(self._changing),
        )

    def _of_the_service(self, known: ServiceEntry | None, wanted: Service) -> Iterator[Operation]:
        if known is None:
            yield AddService(wanted)
        elif wanted not in (known.service, self._refused):
            self._refused = wanted
            yield EditService(wanted)

    def _compare(self, stand: _Destinations, wanted: ServiceEntry) -> Iterator[int]:
        """Find what differs. What is wanted now comes first, whatever is left of earlier ones."""
        if self._comparisons is None:
            self._comparisons = [difference(stand, wanted.destinations)]
        elif self.compared is not None and self.compared is not wanted:
            changed = difference(self.compared.destinations, wanted.destinations)
            self._comparisons.append(changed)
            self._is_first = False
        self.compared = wanted
        looked_at = 0
        while self._comparisons:
            for found in self._comparisons[-1]:
                if found is not None:
                    if not self._is_first:
                        found = self._met_again(found[0], stand, wanted.destinations)
                    self._sort(*found)
                looked_at += 1
                if looked_at % _PIECE == 0:
                    yield _PIECE
            self._comparisons.pop()

    def _met_again(
        self, server: DestinationKey, stand: _Destinations, wanted: _Destinations
    ) -> _Difference:
        """Nothing is to be done to it but what leads to what is wanted now."""
        for operations in (self._leaving, self._changing, self._coming):
            if operations:
                operations.pop(server, None)
        return server, stand.get(server), wanted.get(server)

    def _sort(
        self, server: DestinationKey, before: Destination | None, after: Destination | None
    ) -> None:
        if before is None:
            if after is not None:
                self._coming[server] = operation = AddDestination(self._key, after)
                self._counted += 1
                self._by_rank.append((index(after.rank), self._counted, server, operation))
                self._is_by_rank = False
        elif after is None:
            self._leaving[server] = RemoveDestination(self._key, server)
        elif before == after:
            pass
        elif after.weight == 0 and before.weight > 0:
            self._leaving[server] = EditDestination(self._key, after)
        else:
            self._changing[server] = EditDestination(self._key, after)

    def _one_for_each(
        self, leaving: Iterator[Operation], coming: Iterator[Operation], stand: _Destinations
    ) -> Iterator[Operation]:
        """Who comes and who leaves in turn, as long as more leave than stay."""
        # Once begun it goes on: who has come for those that left stays, and would be counted.
        more_leave = len(self._leaving) > len(stand) - len(self._leaving)
        waiting = bool(self._leaving and self._coming)
        self._one_for_one = waiting and (self._one_for_one or more_leave)
        while self._one_for_one and self._leaving and self._coming:
            yield next(coming)
            yield next(leaving)

    def _taken_by_rank(self) -> Iterator[Operation]:
        while self._coming:
            if not self._is_by_rank:
                # Cheap where little has come since; all of a pool of thousands take milliseconds.
                self._by_rank.sort(reverse=True)
                self._is_by_rank = True
            _, _, server, operation = self._by_rank.pop()
            found = self._coming.pop(server, None)
            if found is operation:
                yield operation
            elif found is not None:
                self._coming[server] = found  # by a rank that comes later
        self._by_rank.clear()


def _taken(operations: _Operations) -> Iterator[Operation]:
    """All of them, in order, each removed as it is taken."""
    while operations:
        yield operations.popitem(last=False)[1]
