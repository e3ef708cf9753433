"""Keeps what all services of the kernel share as pybal.conf wants it: timeouts, sync daemons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

from twisted.logger import Logger

from pybal.errors import KernelError
from pybal.ipvs.kernel import Kernel
from pybal.ipvs.model import SyncDaemon, Timeouts
from pybal.ipvs.options import KernelOptions


class KernelWide:
    """What is not in the options is left alone, whoever set it."""

    def __init__(self, kernel: Kernel, options: KernelOptions, log: Logger) -> None:
        self._kernel = kernel
        self._options = options
        self._log = log
        self._failed: frozenset[str] = frozenset()

    def reconfigure(self, options: KernelOptions) -> None:
        """Keep other values from now on. What is no longer asked for stays as it is."""
        self._options = options
        self.reconcile()

    def reconcile(self) -> None:
        """Read, and change what differs. What fails is logged, once while it lasts; it is tried
        again by the next call."""
        failed: set[str] = set()

        def attempt(change: Callable[[], None]) -> None:
            try:
                change()
            except KernelError as error:
                failed.add(str(error))
                if str(error) not in self._failed:
                    self._log.error("Could not {error}", error=str(error))

        if self._options.timeouts != Timeouts():
            attempt(self._set_timeouts)
        if self._options.sync is not None:
            wanted = self._options.sync
            attempt(lambda: self._stop_others(wanted))
            for daemon in wanted:
                attempt(lambda daemon=daemon: self._start(daemon))  # type: ignore[misc]
        self._failed = frozenset(failed)

    def _set_timeouts(self) -> None:
        wanted, actual = self._options.timeouts, self._kernel.timeouts()
        names = [each.name for each in fields(wanted) if getattr(wanted, each.name)]
        changes = [
            f"{name.removesuffix('_s')} {getattr(wanted, name)} s, was {getattr(actual, name)} s"
            for name in names
            if getattr(wanted, name) != getattr(actual, name)
        ]
        if changes:
            self._kernel.set_timeouts(wanted)
            self._log.info("IPVS timeouts set: {changes}", changes="; ".join(changes))

    def _stop_others(self, wanted: tuple[SyncDaemon, ...]) -> None:
        for daemon in self._kernel.sync_daemons():
            if daemon not in wanted:
                self._kernel.stop_sync(daemon.role)
                self._log.info("Stopped {daemon}", daemon=str(daemon))

    def _start(self, daemon: SyncDaemon) -> None:
        if daemon not in self._kernel.sync_daemons():
            self._kernel.start_sync(daemon)
            self._log.info("Started {daemon}", daemon=str(daemon))
