"""What the kernel is known to hold: what was read of it, and what it has acknowledged since."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence

from twisted.logger import Logger

from pybal.ipvs.ipvsadm import command
from pybal.ipvs.kernel import Kernel, OperationResult
from pybal.ipvs.model import ServiceEntry, ServiceKey
from pybal.ipvs.operations import Operation, apply_to


class KnownTable(MutableMapping[ServiceKey, ServiceEntry]):
    """The services of others included. Entries never change; another takes the place of one."""

    def __init__(self, kernel: Kernel, log: Logger, *, dry_run: bool) -> None:
        self._kernel = kernel
        self._dry_run = dry_run
        self._log = log
        self._entries: dict[ServiceKey, ServiceEntry] = {}

    def __getitem__(self, key: ServiceKey) -> ServiceEntry:
        return self._entries[key]

    def __setitem__(self, key: ServiceKey, entry: ServiceEntry) -> None:
        self._entries[key] = entry

    def __delitem__(self, key: ServiceKey) -> None:
        del self._entries[key]

    def __iter__(self) -> Iterator[ServiceKey]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def servers(self, key: ServiceKey) -> int:
        """How many a service has."""
        return len(self._entries[key].destinations) if key in self._entries else 0

    def learn(self, key: ServiceKey, entry: ServiceEntry | None) -> None:
        """This was read; None: the kernel has no such service."""
        if entry is None:
            self._entries.pop(key, None)
        else:
            self._entries[key] = entry

    def apply(
        self, operations: Sequence[Operation]
    ) -> tuple[list[Operation], dict[ServiceKey, list[OperationResult]]]:
        """Have the kernel do this, in one batch. Returns what it has accepted and, by service, what
        it has not."""
        results = self._kernel.apply(operations) if operations else ()
        accepted = [result.operation for result in results if result.error is None]
        failed: dict[ServiceKey, list[OperationResult]] = {}
        if len(accepted) < len(results):
            for result in results:
                if result.error is not None:
                    failed.setdefault(result.operation.key, []).append(result)
        if accepted and not self._dry_run:
            # Only where DEBUG is shown: thousands of commands cost more than the changes.
            self._log.debug("{commands()}", commands=lambda: "; ".join(map(command, accepted)))
        apply_to(self._entries, accepted)
        return accepted, failed
