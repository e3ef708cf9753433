"""Reads services, one at a time, in pieces, and finds what differs from what was known."""

from __future__ import annotations

from collections.abc import Callable

from pybal.errors import KernelError
from pybal.ipvs.drift import Drift, DriftKind, comparing
from pybal.ipvs.kernel import Kernel
from pybal.ipvs.model import ServiceEntry, ServiceKey, Table
from pybal.ipvs.slices import SlicedWork, Slices
from pybal.ipvs.work_queue import WorkQueue

Found = tuple[ServiceEntry | None, tuple[Drift, ...]]


def look(kernel: Kernel, key: ServiceKey, known: ServiceEntry | None) -> Slices[Found]:
    """What a service is, and how that differs from what is known of it. KernelError.

    A server that is missing is looked for twice: if others go while the kernel tells of a service,
    one that stands may be left out.
    """
    entry, drift = yield from _compare(kernel, key, known)
    if any(each.kind is DriftKind.SERVER_MISSING for each in drift):
        entry, drift = yield from _compare(kernel, key, known)
    return entry, drift


def _compare(kernel: Kernel, key: ServiceKey, known: ServiceEntry | None) -> Slices[Found]:
    entry = yield from kernel.reading(key)
    drift = yield from comparing(known, entry)
    return entry, drift


class Reader:
    """Reads what it is asked to, and compares it with the table that is `known`. A service must
    not be changed, nor what is known of it, while it `is_reading` that. `found(key, entry, drift)`
    and `unread(key, error)` take what comes of it."""

    def __init__(
        self,
        kernel: Kernel,
        known: Table,
        found: Callable[[ServiceKey, ServiceEntry | None, tuple[Drift, ...]], None],
        unread: Callable[[ServiceKey, KernelError], None],
    ) -> None:
        self._kernel = kernel
        self._known = known
        self._found = found
        self._unread = unread
        self._work_queue = WorkQueue()
        self._key: ServiceKey | None = None
        self._work: SlicedWork[Found] | None = None

    def look(self, key: ServiceKey) -> None:
        """Read it soon."""
        self._work_queue.add(key, urgent=True)

    def audit(self, key: ServiceKey) -> None:
        """Read it in its turn."""
        self._work_queue.add(key, urgent=False)

    def forget(self, key: ServiceKey) -> None:
        """It need not be read."""
        self._work_queue.discard(key)
        if key == self._key:
            self._key = self._work = None

    def drop(self) -> tuple[ServiceKey, ...]:
        """Forget what is being read, if anything is; returns that."""
        if self._key is None:
            return ()
        dropped = self._key
        self.forget(dropped)
        return (dropped,)

    def is_reading(self, key: ServiceKey) -> bool:
        """Whether a part of it has been read."""
        return key == self._key

    @property
    def urgent(self) -> bool:
        """Whether anything is to be read soon."""
        return self._work_queue.urgent

    @property
    def auditing(self) -> bool:
        """Whether anything is to be read in its turn."""
        return self._work_queue.others

    def go_on(self, most: int) -> int:
        """Read on, so many servers or a few more; returns how many."""
        spent = 0
        while self._work_queue and spent < most:
            spent += self._read_some(most - spent)
        return spent

    def advance(self, most: int) -> int:
        """The same, until nothing is to be read soon."""
        spent = 0
        while self._work_queue.urgent and spent < most:
            spent += self._read_some(most - spent)
        return spent

    def _read_some(self, most: int) -> int:
        if self._key is None or self._work is None:
            (self._key,) = self._work_queue.first(1)
            self._work = SlicedWork(look(self._kernel, self._key, self._known.get(self._key)))
        key, work = self._key, self._work
        spent = 0
        try:
            spent = work.go_on(most)
        except KernelError as error:
            self.forget(key)
            self._unread(key, error)
        if work.done:
            self.forget(key)
            self._found(key, *work.result)
        return max(spent, 1)
