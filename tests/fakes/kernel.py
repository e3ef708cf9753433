"""A kernel that a test can watch and make fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pybal.ipvs.kernel import Listing, OperationResult, refusal
from pybal.ipvs.memory import MemoryKernel
from pybal.ipvs.model import SCHEDULERS, ServiceEntry, ServiceKey, Table
from pybal.ipvs.operations import Operation
from pybal.ipvs.slices import Slices


class FakeKernel(MemoryKernel):
    """The table in memory, with a record of its exchanges.

    `applied` has the operations of each exchange, `reads` the services read one by one.
    `refuse(operation)` returns an errno to refuse an operation with, or 0. `broken` is raised
    by whatever can raise it. `by_hand` changes the table as someone else would.
    """

    def __init__(self, table: Table | None = None, schedulers: Sequence[str] = SCHEDULERS) -> None:
        super().__init__(table, schedulers)
        self.applied: list[tuple[Operation, ...]] = []
        self.reads: list[ServiceKey] = []
        self.refuse: Callable[[Operation], int] = lambda operation: 0
        self.broken: Exception | None = None
        self.foreign: tuple[str, ...] = ()
        self.is_open = False

    def open(self) -> None:
        self._break()
        self.is_open = True

    def close(self) -> None:
        self.is_open = False

    def listing(self) -> Slices[Listing]:
        self._break()
        found = yield from super().listing()
        return Listing(found.services, self.foreign)

    def reading(self, key: ServiceKey) -> Slices[ServiceEntry | None]:
        self._break()
        self.reads.append(key)
        return (yield from super().reading(key))

    def apply(self, operations: Sequence[Operation]) -> tuple[OperationResult, ...]:
        self.applied.append(tuple(operations))
        return tuple(self._answer(operation) for operation in operations)

    def by_hand(self, *operations: Operation) -> None:
        for outcome in super().apply(operations):
            assert outcome.error is None

    def _answer(self, operation: Operation) -> OperationResult:
        number = self.refuse(operation)
        if number:
            return OperationResult(operation, refusal(operation, number))
        (outcome,) = super().apply([operation])
        return outcome

    def _break(self) -> None:
        if self.broken is not None:
            raise self.broken
