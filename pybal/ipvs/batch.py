"""What one exchange with the kernel changes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pybal.ipvs.model import ServiceKey
from pybal.ipvs.operations import Operation

OPERATIONS_PER_TURN = 100
"""So many operations are one exchange with the kernel, and a turn of the reactor has few more: of a
large service some exchanges of fewer operations each, while there is time."""

CHANGED_WITHIN_S = 0.003
"""After so much of a turn no further exchange is begun."""

LOOKED_AT_PER_TURN = 1000
"""So many destinations a turn compares to find them."""

_A_SERVICE = 5
"""A service counts for as many as this, beside its destinations."""

_MANY_SERVERS = 500
"""The kernel searches all servers of a service for each change of one, which takes it up to
two milliseconds for ten thousand: for each so many there is room for fewer operations."""


class Batch:
    """Operations, gathered from the steps of several services until there is no more room."""

    def __init__(self, room: int = OPERATIONS_PER_TURN) -> None:
        self.operations: list[Operation] = []
        self.complete: list[ServiceKey] = []
        """Services of which no step is left."""
        self.begun: ServiceKey | None = None
        """One of which some are."""
        self._room = room
        self._looked_at = 0

    @property
    def services(self) -> tuple[ServiceKey, ...]:
        """All that had a part in it."""
        return (*self.complete, *([] if self.begun is None else [self.begun]))

    @property
    def of_many_operations(self) -> bool:
        """Whether it is full of operations, rather than of comparisons."""
        return self._room <= 0

    @property
    def full(self) -> bool:
        """Whether nothing more has a place in it."""
        return self.of_many_operations or self._looked_at >= LOOKED_AT_PER_TURN

    def take(self, key: ServiceKey, servers: int, steps: Iterator[Operation | int]) -> None:
        """As many of the next `steps` of a service, of so many servers, as there is a place for."""
        self.begun = key
        self._looked_at += _A_SERVICE
        each_takes = 1 + servers // _MANY_SERVERS
        for step in steps:
            if isinstance(step, int):
                self._looked_at += step
            else:
                self.operations.append(step)
                self._room -= each_takes
            if self._room <= 0 or self._looked_at >= LOOKED_AT_PER_TURN:
                return
        self.begun = None
        self.complete.append(key)


def batches(operations: int, seconds: Callable[[], float]) -> Iterator[Batch]:
    """Those of one turn. Another follows one that is full of operations, as long as there are fewer
    than so many in all, and there is time. `seconds()` is any clock."""
    ends_at_s, left = seconds() + CHANGED_WITHIN_S, operations
    while True:
        batch = Batch(operations)
        yield batch
        left -= len(batch.operations)
        if not batch.of_many_operations or left <= 0 or seconds() >= ends_at_s:
            return
