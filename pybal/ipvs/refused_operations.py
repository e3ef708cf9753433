"""What the kernel has refused of one service, and what follows from that. Pure."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from pybal.errors import KernelError
from pybal.ipvs.kernel import OperationResult, is_drift
from pybal.ipvs.model import DestinationKey
from pybal.ipvs.operations import AddDestination, AddService, EditService, Operation


class RefusedOperations:
    """Of one batch: the refusals that matter. Without its service no server can be added, so that
    one refusal says it all."""

    def __init__(self, results: Sequence[OperationResult]) -> None:
        refused = [(each.operation, each.error) for each in results if each.error is not None]
        self._refused: Sequence[tuple[Operation, KernelError]] = [
            each for each in refused if isinstance(each[0], AddService)
        ] or refused

    @property
    def errors(self) -> list[KernelError]:
        """At least one."""
        return [error for _, error in self._refused]

    @property
    def are_drift(self) -> bool:
        """Whether any means that the table is not what it was taken for."""
        return any(is_drift(operation, error.errno) for operation, error in self._refused)

    @property
    def leave_it_standing(self) -> bool:
        """Whether all that was refused are servers with addresses that the kernel never takes, or
        another scheduler for a service that stands: its module is missing."""
        return all(
            _is_bad_server(operation, error)
            or (isinstance(operation, EditService) and error.errno == errno.ENOENT)
            for operation, error in self._refused
        )

    @property
    def servers(self) -> frozenset[DestinationKey]:
        """Those whose addresses the kernel never takes."""
        return frozenset(
            operation.destination.key
            for operation, error in self._refused
            if isinstance(operation, AddDestination) and _is_bad_server(operation, error)
        )


def _is_bad_server(operation: Operation, error: KernelError) -> bool:
    return isinstance(operation, AddDestination) and error.errno == errno.EINVAL
