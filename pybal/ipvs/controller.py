"""The IPVS table as one: the manager, draining, statistics, audits, kernel-wide settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger

from pybal.ipvs.drainer import Drainer
from pybal.ipvs.kernel import Kernel
from pybal.ipvs.kernel_wide import KernelWide
from pybal.ipvs.managed_service import RefusedServers
from pybal.ipvs.manager import IPVSManager
from pybal.ipvs.model import ServiceEntry, ServiceKey, Table
from pybal.ipvs.ownership import Ownership, RecordFile
from pybal.ipvs.quick_look import QuickLook
from pybal.ipvs.settings import IPVSSettings
from pybal.ipvs.snapshot import IPVSSnapshot, MissingSnapshot
from pybal.ipvs.statistics import StatisticsReader
from pybal.runtime.clock import Clock, DelayedCall, cancel
from pybal.runtime.naming import counted
from pybal.runtime.stopping import end_each
from pybal.runtime.threads import InThread


class IPVSPorts(NamedTuple):
    """What the controller touches outside of itself. `now()` is Unix seconds; `in_thread` runs a
    function off the reactor's thread. Without a `record` no service is known to be ours."""

    clock: Clock
    kernel: Kernel
    now: Callable[[], float]
    in_thread: InThread
    record: RecordFile | None = None


class IPVSController:
    """Brings the kernel's table to what the services want, drains servers that leave, audits the
    table and reads its statistics."""

    def __init__(self, settings: IPVSSettings, ports: IPVSPorts, *, dry_run: bool) -> None:
        self._settings = settings
        self._clock = ports.clock
        self._log = Logger(namespace="ipvs")
        ownership: Ownership | None = None
        if ports.record is not None:
            ownership = Ownership(ports.record, ports.in_thread, ports.clock, read_only=dry_run)
        self._manager = IPVSManager(
            ports.clock,
            ports.kernel,
            ports.now,
            dry_run=dry_run,
            owner=ownership,
            cleanup=settings.cleanup,
            audited=settings.audit_interval_s > 0,
        )
        if ownership is not None:
            ownership.subscribe(self._manager.recorded)
        self._drainer = Drainer(ports.clock, ports.kernel, self._manager)
        self._statistics = StatisticsReader(ports.clock, ports.kernel, ports.now, self._published)
        self._kernel_wide = KernelWide(ports.kernel, settings.kernel, self._log)
        self._audit: DelayedCall | None = None
        self._quick_look = QuickLook(
            ports.clock, ports.kernel, self.table, self._published, self._manager.audit
        )

    @property
    def table(self) -> Table:
        """See IPVSManager."""
        return self._manager.table

    def start(self) -> None:
        """Read the kernel's table; KernelError. What follows is as IPVSManager.start says."""
        self._manager.start()
        self._kernel_wide.reconcile()
        self._audit_later()

    async def settle(self, within_s: float) -> None:
        """Before a stop: let the coming turns apply what is published, those of services that stand
        first, for so long at most. A service manager, and whoever waits for a restart, have no time
        for a load of tens of thousands of servers. Cancelling ends the wait."""
        late_s = self._clock.seconds() + within_s
        with suppress(CancelledError):
            while self._manager.pressing and self._clock.seconds() < late_s:
                turn: Deferred[None] = Deferred()
                self._clock.callLater(0, turn.callback, None)
                await turn

    def stop(self) -> None:
        """Leave the kernel as it is. Idempotent."""
        cancel(self._audit)
        end_each(self._log, self._quick_look.stop, self._drainer.stop, self._statistics.stop)
        left = self._manager.stop()
        if left:
            self._log.warn(
                "Stopped amid changes: not as it should be, and left so: {left}",
                left=counted(left, "service"),
            )

    def reconfigure(self, settings: IPVSSettings) -> None:
        """Go over to other settings; the services stay as they are."""
        before, self._settings = self._settings, settings
        if settings.audit_interval_s != before.audit_interval_s:
            cancel(self._audit)
            self._quick_look.stop()
            self._audit_later()
        self._manager.reconfigure(settings.cleanup, audited=settings.audit_interval_s > 0)
        if settings.kernel != before.kernel:
            self._kernel_wide.reconfigure(settings.kernel)
        if settings.cleanup is not before.cleanup:
            self._manager.audit()

    def stands(self, key: ServiceKey) -> bool:
        """See IPVSManager."""
        return self._manager.stands(key)

    def adopted(self, key: ServiceKey) -> ServiceEntry | None:
        """What stands in the kernel for a configured service."""
        return self._manager.adopted(key)

    def set_desired(self, entry: ServiceEntry, drain_timeout_s: float | None) -> None:
        """From now on the service should stand so. A server that leaves it keeps its connections
        for so long; None: it leaves at once."""
        self._manager.publish(self._drainer.with_draining(entry, drain_timeout_s))

    def withdraw(self, key: ServiceKey) -> None:
        """The service is no longer configured."""
        self._drainer.withdraw(key)
        self._manager.withdraw(key)

    def subscribe(self, callback: Callable[[ServiceKey], None]) -> None:
        """Have `callback` called when a service first stands, and after each later change."""
        self._manager.news.add(callback)

    def subscribe_refusals(self, callback: RefusedServers) -> None:
        """Have `callback` told of servers whose addresses the kernel refuses."""
        self._manager.refusals.add(callback)

    def subscribe_losses(self, callback: Callable[[ServiceKey], None]) -> None:
        """Have `callback` told of services that stood, and that the kernel does not take back."""
        self._manager.losses.add(callback)

    def subscribe_drift(self, callback: Callable[[ServiceKey, str], None]) -> None:
        """Have `callback` told what others have done to a service, in words."""
        self._manager.drift.add(callback)

    def refresh(self) -> Deferred[None]:
        """Refresh the statistics for the next snapshot. Fires when that is done; never fails."""
        return self._statistics.refresh() if self._settings.statistics else succeed(None)

    def snapshot(self) -> IPVSSnapshot:
        """The table as it stands; statistics as they were last read."""
        return self._manager.snapshot()._replace(
            draining=self._drainer.snapshot(),
            statistics=self._statistics.latest if self._settings.statistics else None,
            statistics_at=self._statistics.read_at,
        )

    def missing(self, key: ServiceKey) -> MissingSnapshot | None:
        """What the kernel, having been asked for it, does not hold of a service."""
        return self._manager.missing(key)

    def _published(self) -> Iterable[ServiceKey]:
        return self._manager.published

    def _audit_later(self) -> None:
        if self._settings.audit_interval_s > 0:
            self._audit = self._clock.callLater(self._settings.audit_interval_s, self._audit_now)
            self._quick_look.start()

    def _audit_now(self) -> None:
        self._audit_later()
        self._manager.audit()
        self._kernel_wide.reconcile()
