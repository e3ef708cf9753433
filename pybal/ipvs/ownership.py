"""Which services of the kernel are PyBal's: a record on disk that survives restarts and crashes.

The kernel's table has no place for a name, so it is written down: the services of this boot and
this network namespace that PyBal has made or managed. A service that stood before PyBal came and
that is configured is managed from the first pool on: who then takes it out of pybal.conf expects
it to go. The record is replaced as a whole, atomically and synced to the disk.

The order of events is what makes it safe to believe:

1. `claim`: the record names the service. Until that is on the disk, `secured` is false and the
   service is not added.
2. The kernel adds the service.
3. The kernel removes the service, and acknowledges it.
4. `release`: the record no longer names the service.

A crash, of the process or the machine,

- before 1 is on the disk: the kernel was not touched, nothing is claimed;
- between 1 and 2: the record names a service that is not there. A start drops what it names and
  does not find in the kernel, so nothing is claimed;
- between 2 and 3, also in the middle of 2, when it is not known whether the kernel has added it:
  whichever it is, the record names it if it stands, and it is claimed rightly;
- between 3 and 4, also in the middle of 3: as before. What stands is PyBal's, what does not is
  dropped by the start;
- within the writing of a record: the old one counts, or the new one. Each names all services that
  PyBal has in the kernel at that moment, because of the order above;
- of the machine: the kernel's table is gone. Another boot's record, or another network
  namespace's, claims nothing.

What cannot be told apart: between a crash and the start that follows, someone else adds a service
of the very protocol, address and port that PyBal was adding or removing as it crashed, or makes a
new network namespace that gets the number of a deleted one. That is taken for PyBal's.

If the record cannot be read, nothing that stands is claimed; if it cannot be written, or that takes
too long, services are added all the same (balancing comes first), and may be taken for unmanaged
services by a later start; each audit tries to write it again. Both are said in the log.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

from twisted.logger import Logger
from twisted.python.failure import Failure

from pybal.errors import said_by
from pybal.ipvs.model import ServiceKey
from pybal.runtime.clock import DelayedCall, Timer, cancel
from pybal.runtime.threads import InThread
from pybal.state.state_file import Document, StateFile, StateFileError
from pybal.state.state_writing import HANGS, HANGS_S

FILE_NAME = "ipvs-services.json"
_FORMAT = 1


class Place(NamedTuple):
    """The IPVS table that a record is about: the kernel's boot id, the network namespace."""

    boot: str
    namespace: str


def this_place() -> Place:
    """This boot of the kernel, and this thread's network namespace; OSError without /proc."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    namespace = os.stat("/proc/thread-self/ns/net")
    return Place(boot, f"{namespace.st_dev}:{namespace.st_ino}")


class RecordFile(Protocol):
    """Where the names of our services in one place are kept. Both block on the disk."""

    def load(self) -> frozenset[str] | None:
        """The names; None if there is no record. Raises StateFileError."""

    def save(self, value: frozenset[str]) -> None:
        """Replace the record atomically; on return it is on the disk. Raises OSError."""


def record_file(state_directory: Path, place: Place) -> StateFile[frozenset[str]]:
    """The record of one place; what it says of another place is that nothing is ours."""
    return StateFile(
        state_directory / FILE_NAME,
        _FORMAT,
        lambda services: _encode(place, services),
        lambda document: _decode(document, place),
    )


def _encode(place: Place, services: frozenset[str]) -> Document:
    return {"boot": place.boot, "namespace": place.namespace, "services": sorted(services)}


def _decode(document: Document, place: Place) -> frozenset[str]:
    services, elsewhere = document["services"], Place(document["boot"], document["namespace"])
    if not isinstance(services, list) or not all(isinstance(each, str) for each in services):
        raise StateFileError("it is damaged (its services are no names)")
    return frozenset(services) if elsewhere == place else frozenset()


class Owner(Protocol):
    """What the manager asks of a record."""

    @property
    def error(self) -> str:
        """Why the record cannot be relied on; empty if it can."""

    def start(self, standing: Iterable[ServiceKey]) -> None:
        """Learn which of the standing services are ours."""

    def owns(self, key: ServiceKey) -> bool:
        """Whether the service is ours."""

    def claim(self, key: ServiceKey) -> None:
        """The service is to be ours."""

    def secured(self, key: ServiceKey) -> bool:
        """Whether a claimed service may be added now; if not, subscribers are called later."""

    def release(self, key: ServiceKey) -> None:
        """The kernel has acknowledged that the service is gone."""

    def retry(self) -> None:
        """Write again what could not be written."""


class NoRecord:
    """Nothing is kept: no service that stands at the start is ours, and each may be added."""

    error = ""

    def start(self, standing: Iterable[ServiceKey]) -> None:
        """Nothing to learn."""

    def owns(self, key: ServiceKey) -> bool:  # noqa: ARG002 - as the port has it
        """See Owner."""
        return False

    def claim(self, key: ServiceKey) -> None:
        """Nothing to note."""

    def secured(self, key: ServiceKey) -> bool:  # noqa: ARG002 - as the port has it
        """See Owner."""
        return True

    def release(self, key: ServiceKey) -> None:
        """Nothing to note."""

    def retry(self) -> None:
        """Nothing to write."""


class Ownership:
    """The record of one IPVS table. One writing at a time, off the reactor's thread.

    Subscribers hear which services may be added now. With `read_only` (a dry run) the record is
    read and never written.
    """

    def __init__(
        self,
        file: RecordFile,
        in_thread: InThread,
        clock: Timer,
        *,
        read_only: bool = False,
    ) -> None:
        self._file = file
        self._in_thread = in_thread
        self._clock = clock
        self._subscribers: list[Callable[[Iterable[ServiceKey]], None]] = []
        self._read_only = read_only
        self._log = Logger(namespace="ipvs")
        self._ours: set[str] = set()
        self._on_disk: frozenset[str] = frozenset()
        self._being_written: frozenset[str] | None = None
        self._overdue: DelayedCall | None = None
        """While it is being written; called once the disk hangs."""
        self._waiting: set[ServiceKey] = set()
        self._error = ""

    @property
    def error(self) -> str:
        """See Owner."""
        return self._error

    def subscribe(self, callback: Callable[[Iterable[ServiceKey]], None]) -> None:
        """Have `callback(keys)` called when services that were not secured may be added."""
        self._subscribers.append(callback)

    def start(self, standing: Iterable[ServiceKey]) -> None:
        """Read the record (blocks on the disk, once), and drop what does not stand."""
        try:
            recorded = self._file.load() or frozenset()
        except StateFileError as error:
            self._fail(f"the record of PyBal's services cannot be read: {error}")
            return
        self._on_disk = recorded
        self._ours = {str(key) for key in standing} & recorded
        self._write()

    def owns(self, key: ServiceKey) -> bool:
        """See Owner."""
        return str(key) in self._ours

    def claim(self, key: ServiceKey) -> None:
        """See Owner."""
        if str(key) not in self._ours:
            self._ours.add(str(key))
            self._write()

    def secured(self, key: ServiceKey) -> bool:
        """See Owner."""
        name = str(key)
        safe = name in self._on_disk and (
            self._being_written is None or name in self._being_written
        )
        waits = self._overdue is not None and self._overdue.active()
        if safe or self._read_only or (self._error and not waits):
            return True
        self._waiting.add(key)
        return False

    def release(self, key: ServiceKey) -> None:
        """See Owner."""
        if str(key) in self._ours:
            self._ours.remove(str(key))
            self._write()

    def retry(self) -> None:
        """See Owner."""
        if self._error:
            self._write()

    def _write(self) -> None:
        """Bring the disk up to date, now or after the writing that is under way."""
        if self._read_only or self._being_written is not None:
            return
        if self._on_disk == self._ours and not self._error:
            return
        names = self._being_written = frozenset(self._ours)
        self._overdue = self._clock.callLater(HANGS_S, self._hangs)
        written = self._in_thread(lambda: self._file.save(names))
        written.addCallbacks(lambda _: self._written(names), self._not_written)
        written.addErrback(lambda f: self._log.failure("The record's writing failed", failure=f))

    def _hangs(self) -> None:
        self._fail(f"the record of PyBal's services cannot be written: {HANGS}")
        self._tell()

    def _written(self, names: frozenset[str]) -> None:
        cancel(self._overdue)
        self._on_disk, self._being_written, self._error = names, None, ""
        self._write()
        self._tell()

    def _not_written(self, failure: Failure) -> None:
        cancel(self._overdue)
        self._being_written = None
        self._fail(f"the record of PyBal's services cannot be written: {said_by(failure.value)}")
        self._tell()

    def _tell(self) -> None:
        """Whoever still has to wait says so again."""
        waiting, self._waiting = self._waiting, set()
        if waiting:
            for callback in self._subscribers:
                callback(waiting)

    def _fail(self, error: str) -> None:
        if error != self._error:
            self._log.warn(
                "{error}; services that are no longer configured may stay for ever", error=error
            )
        self._error = error
