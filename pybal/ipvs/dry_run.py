"""The kernel of a dry run: a table in memory that shows each change."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from twisted.logger import Logger

from pybal.errors import KernelError
from pybal.ipvs.ipvsadm import (
    command,
    start_sync_command,
    stop_sync_command,
    timeouts_command,
)
from pybal.ipvs.kernel import Kernel, Listing, OperationResult
from pybal.ipvs.memory import MemoryKernel
from pybal.ipvs.model import ServiceEntry, ServiceKey, SyncDaemon, SyncRole, Table, Timeouts
from pybal.ipvs.operations import Operation
from pybal.ipvs.outstanding import Outstanding
from pybal.ipvs.slices import Slices
from pybal.ipvs.snapshot import ServiceStatistics
from pybal.runtime.pieces import in_one_go


class DryRunKernel(MemoryKernel):
    """Changes nothing outside: logs each accepted operation as the ipvsadm command it stands for.

    With a `real` kernel it holds what stands there, but for what it only pretends to have changed.
    Wherever the real one is changed by others it follows, so that an audit shows what would be
    repaired.
    """

    def __init__(
        self,
        log: Logger,
        table: Table | None = None,
        *,
        real: Kernel | None = None,
        interfaces: Collection[str] = (),
        permitted: bool = True,
    ) -> None:
        super().__init__(table, interfaces=interfaces, permitted=permitted)
        self._log = log
        self._real = real
        self._seen: dict[ServiceKey, ServiceEntry] = {}

    def open(self) -> None:
        """Connect to the real kernel; if that fails, go on without it."""
        if self._real is None:
            return
        try:
            self._real.open()
            for service in self._real.services().services:
                in_one_go(self._follow(self._real, service.key))
            self._timeouts = self._real.timeouts()
            self._sync = {daemon.role: daemon for daemon in self._real.sync_daemons()}
        except KernelError as error:
            self._log.info("Dry run with an empty IPVS table: {error}", error=str(error))
            self._real = None

    def close(self) -> None:
        """See Kernel."""
        if self._real is not None:
            self._real.close()

    def listing(self) -> Slices[Listing]:
        """See Kernel."""
        if self._real is None:
            return (yield from super().listing())
        listing = yield from self._real.listing()
        standing = {service.key: service for service in listing.services}
        for key in standing.keys() | self._seen.keys():
            if (seen := self._seen.get(key)) is None or seen.service != standing.get(key):
                yield from self._follow(self._real, key)
        pretended = yield from super().listing()
        return Listing(pretended.services, listing.foreign)

    def reading(self, key: ServiceKey) -> Slices[ServiceEntry | None]:
        """See Kernel."""
        if self._real is not None:
            yield from self._follow(self._real, key)
        return (yield from super().reading(key))

    def absent(self, keys: Sequence[ServiceKey]) -> Collection[ServiceKey]:
        """The real ones, of those that stand in it."""
        if self._real is None:
            return super().absent(keys)
        real = [key for key in keys if key in self._seen]
        return self._real.absent(real) if real else ()

    def counting(self, key: ServiceKey) -> Slices[ServiceStatistics | None]:
        """See Kernel."""
        return super().counting(key) if self._real is None else self._real.counting(key)

    def apply(self, operations: Sequence[Operation]) -> tuple[OperationResult, ...]:
        """See Kernel."""
        results = super().apply(operations)
        for result in results:
            if result.error is None:
                self._show(command(result.operation))
        return results

    def set_timeouts(self, timeouts: Timeouts) -> None:
        """See Kernel."""
        super().set_timeouts(timeouts)
        self._show(timeouts_command(timeouts))

    def start_sync(self, daemon: SyncDaemon) -> None:
        """See Kernel."""
        super().start_sync(daemon)
        self._show(start_sync_command(daemon))

    def stop_sync(self, role: SyncRole) -> None:
        """See Kernel."""
        super().stop_sync(role)
        self._show(stop_sync_command(role))

    def _show(self, text: str) -> None:
        self._log.info("Dry run: {command}", command=text)

    def _follow(self, real: Kernel, key: ServiceKey) -> Slices[None]:
        """Take a service as the real kernel has it, if that has changed."""
        entry = yield from real.reading(key)
        if entry == self._seen.get(key):
            return
        if entry is None:
            del self._seen[key]
        else:
            self._seen[key] = entry
        pretended = yield from super().reading(key)
        steps = Outstanding(key).steps(pretended, entry)
        super().apply([step for step in steps if not isinstance(step, int)])
