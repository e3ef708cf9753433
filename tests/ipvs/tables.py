"""Whole IPVS tables: read at once, changed at once, and the way from one to another."""

from __future__ import annotations

from collections.abc import Iterable

from pybal.ipvs.kernel import Kernel
from pybal.ipvs.model import ServiceEntry, ServiceKey, Table
from pybal.ipvs.operations import Operation, apply_to
from pybal.ipvs.outstanding import Outstanding


def read_table(kernel: Kernel) -> dict[ServiceKey, ServiceEntry]:
    """Every service that ServiceKey can express, in the kernel's order."""
    entries = (kernel.read(service.key) for service in kernel.services().services)
    return {entry.service.key: entry for entry in entries if entry is not None}


def leading(actual: Table, wanted: Table) -> tuple[Operation, ...]:
    """The operations that lead from one table to the other, service by service, in the order in
    which each service is changed."""
    return tuple(
        step
        for key in {**wanted, **actual}
        for step in Outstanding(key).steps(actual.get(key), wanted.get(key))
        if not isinstance(step, int)
    )


def applied(table: Table, operations: Iterable[Operation]) -> dict[ServiceKey, ServiceEntry]:
    """The table after the kernel has accepted all of the operations; `table` itself stays."""
    result = dict(table)
    apply_to(result, operations)
    return result
