"""The kernel of a dry run: a table in memory that shows each change."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.logger import Logger

from pybal.ipvs.ipvsadm import command
from pybal.ipvs.kernel import Outcome
from pybal.ipvs.memory import MemoryKernel
from pybal.ipvs.model import Table
from pybal.ipvs.plan import Operation


class DryRunKernel(MemoryKernel):
    """Changes nothing outside: logs each accepted operation as the ipvsadm command it stands
    for. Begin with the real kernel's table to see the commands that would really be made."""

    def __init__(self, log: Logger, table: Table | None = None) -> None:
        super().__init__(table)
        self._log = log

    def apply(self, operations: Sequence[Operation]) -> tuple[Outcome, ...]:
        outcomes = super().apply(operations)
        for outcome in outcomes:
            if outcome.error is None:
                self._log.info("Dry run: {command}", command=command(outcome.operation))
        return outcomes
