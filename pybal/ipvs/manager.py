"""Keeps the kernel's IPVS table as the services want it. The table's only writer.

What a service should be is published; it is compared with what the kernel is known to hold,
and the difference is applied in the reactor's next turns, some milliseconds each.
The kernel's acknowledgements tell what it holds then; wherever they tell of a failure, that
service is read again, and tried again after a growing delay. An audit reads all services again.

All that may be long is done in pieces, some each turn. What is published while a service is being
changed is added to what is outstanding; that is dropped, and found anew, when anything but its own
operations changes what is known of the service. A service is read only while it is not changed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from twisted.logger import Logger

from pybal.errors import KernelError
from pybal.ipvs.audit import Audits, listing_of
from pybal.ipvs.batch import OPERATIONS_PER_TURN, Batch, batches
from pybal.ipvs.drift import Drift
from pybal.ipvs.kernel import Kernel, OperationResult
from pybal.ipvs.known_table import KnownTable
from pybal.ipvs.managed_service import (
    LOST_AFTER_S,
    Managed,
    Staleness,
    Subscribers,
    log_refusals,
    missing,
    missing_of,
    summary,
)
from pybal.ipvs.model import ServiceEntry, ServiceKey, Table
from pybal.ipvs.operations import Operation, of_each_service
from pybal.ipvs.outstanding import Outstanding
from pybal.ipvs.ownership import NoRecord, Owner
from pybal.ipvs.reading import Reader
from pybal.ipvs.refused_operations import RefusedOperations
from pybal.ipvs.settings import Cleanup
from pybal.ipvs.snapshot import IPVSSnapshot, KernelErrorSnapshot, MissingSnapshot
from pybal.ipvs.unmanaged import UnmanagedServices
from pybal.ipvs.work_queue import WorkQueue
from pybal.runtime.backoff import doubling_s
from pybal.runtime.clock import Clock, DelayedCall, cancel

# What one turn of the reactor may do: some milliseconds (bench/ipvs_load.py).
SERVERS_READ_PER_TURN = 200
SERVICES_LOOKED_AT_PER_TURN = 200

RETRY_FIRST_S = 0.5
RETRY_MAX_S = 60.0


class IPVSManager:
    """Publishes services to a kernel. `now()` is Unix seconds; `owner` keeps on record which
    services are ours, `cleanup` says which of those that are not configured go. Without anyone
    who calls `audit` (`audited`), drift is over when it is repaired."""

    def __init__(
        self,
        clock: Clock,
        kernel: Kernel,
        now: Callable[[], float],
        *,
        dry_run: bool,
        owner: Owner | None = None,
        cleanup: Cleanup = Cleanup.OWNED,
        audited: bool = True,
        operations_per_turn: int = OPERATIONS_PER_TURN,
    ) -> None:
        self._clock = clock
        self._kernel = kernel
        self._now = now
        self._dry_run = dry_run
        self._owner: Owner = owner or NoRecord()
        self._log = Logger(namespace="ipvs")
        self._known = KnownTable(kernel, self._log, dry_run=dry_run)
        self._managed: dict[ServiceKey, Managed] = {}
        self._to_change = WorkQueue()  # urgent: what stands, so that a depool does not wait
        self._reader = Reader(kernel, self._known, self._found, self._unread)
        self._unmanaged = UnmanagedServices(clock, cleanup, self._owner, self._remove_unmanaged)
        self._turn: DelayedCall | None = None
        self._operations_per_turn = operations_per_turn
        self._running = False
        self.news = Subscribers(self._log)
        """Are told when a published state first stands, even if servers that the kernel refuses are
        missing, and after each later change; not when withdrawn."""
        self.refusals = Subscribers(self._log)
        """Are told, as RefusedServers, of servers that the kernel never takes."""
        self.losses = Subscribers(self._log)  # of what stood, and the kernel does not take back
        self.drift = Subscribers(self._log)  # told, in words, what others have done to a service
        self._audits = Audits(now, self.drift.tell, others_follow=audited)
        self._changes_total = 0
        self._errors_total = 0
        self._last_error: KernelErrorSnapshot | None = None

    @property
    def table(self) -> Table:
        """What the kernel is known to hold, services of others included."""
        return self._known

    @property
    def published(self) -> Iterable[ServiceKey]:
        """The services that are published, or on their way out."""
        return self._managed.keys()

    def start(self) -> None:
        """Read the kernel's table. KernelError, with what to do about it, if that fails.

        Called before the reactor runs: the reading is one piece. Nothing changes before something
        is published. The caller asks `adopted` for every configured service before the reactor's
        next turn; what else stands is then reported, or removed once all that is configured stands.
        """
        self._kernel.open()
        listing = self._kernel.services()
        for service in listing.services:
            self._known.learn(service.key, self._kernel.read(service.key))
        self._owner.start(self._known)
        self._running = True
        self._unmanaged.start(self._known, listing.foreign)

    def stop(self) -> int:
        """Leave the kernel as it is; returns how many services differ then. Idempotent."""
        if not self._running:
            return 0
        self._running = False
        self._unmanaged.stop()
        self._reader.drop()
        self._audits.drop()
        for managed in self._managed.values():
            managed.no_retry()
        cancel(self._turn)
        self._kernel.close()
        return len(self._to_change)

    def adopted(self, key: ServiceKey) -> ServiceEntry | None:
        """What stands in the kernel for a configured service, which is managed from then on."""
        if self._unmanaged.begun and key not in self._managed:
            # Of what came after the start audits know no more than that it stands.
            with contextlib.suppress(KernelError):
                self._known.learn(key, self._kernel.read(key))
        self._unmanaged.configured(key)
        return self._known.get(key)

    def publish(self, entry: ServiceEntry) -> None:
        """Say what a service should be. The last word before the next turn counts."""
        key = entry.service.key
        self._unmanaged.configured(key)
        self._managed.setdefault(key, Managed(entry)).want(entry)
        if self._running:
            self._owner.claim(key)
        self._wake(key)

    def withdraw(self, key: ServiceKey) -> None:
        """The service is no longer configured: remove it from the kernel, if that may be."""
        if self._unmanaged.stay:
            self._leave(key)
            return
        self._managed.setdefault(key, Managed(None)).want(None)
        self._wake(key)

    def stands(self, key: ServiceKey) -> bool:
        """Whether a published state of the service has been in the kernel, and was not lost."""
        return key in self._managed and self._managed[key].stands

    def reconfigure(self, cleanup: Cleanup, *, audited: bool) -> None:
        """Go over to another policy for what is not configured, by the next audit."""
        self._unmanaged.reconfigure(cleanup)
        self._audits.reconfigure(others_follow=audited)

    def audit(self) -> None:
        """Read the whole table again in the coming turns, and repair what differs."""
        if self._running and not self._audits.under_way:
            self._owner.retry()
            self._audits.begin(
                listing_of(self._kernel, self._known, self._managed, self._unmanaged, self._reader)
            )
            self._schedule()

    def recorded(self, keys: Iterable[ServiceKey]) -> None:
        """These may be added now, as far as the record is concerned."""
        for key in keys:
            if key in self._managed and self._managed[key].unrecorded:
                self._wake(key)

    def snapshot(self) -> IPVSSnapshot:
        """The published services as they stand in the kernel."""
        ours = [self._known[key] for key in self._managed if key in self._known]
        failing = any(each.failures or each.unrecorded for each in self._managed.values())
        return IPVSSnapshot(
            in_sync=self._running and not self.pressing and not failing,
            dry_run=self._dry_run,
            services=len(ours),
            destinations=sum(len(entry.destinations) for entry in ours),
            changes_total=self._changes_total,
            errors_total=self._errors_total,
            last_error=self._last_error,
            audit=self._audits.snapshot(),
            unmanaged=self._unmanaged.reported,
            ownership_error=self._owner.error,
            missing=missing(self._managed, self._known),
        )

    def missing(self, key: ServiceKey) -> MissingSnapshot | None:
        """What the kernel, having been asked for it, does not hold of a service."""
        return missing_of(key, self._managed.get(key), self._known.get(key))

    # -- one turn ---------------------------------------------------------------------------

    def _wake(self, key: ServiceKey) -> None:
        """Have the service looked at in the next turn."""
        managed = self._managed[key]
        managed.no_retry()
        if not self._running:
            return
        if managed.staleness:
            self._reader.look(key)
        else:
            self._to_change.add(key, urgent=key in self._known)
        self._schedule()

    @property
    def pressing(self) -> bool:
        """Whether anything is known to differ that the next turns will change."""
        return bool(self._to_change) or self._reader.urgent

    def _schedule(self) -> None:
        if self._turn is None:
            self._turn = self._clock.callLater(0, self._take_turn)

    def _take_turn(self) -> None:
        self._turn = None
        self._work_guarded()
        if self.pressing or self._reader.auditing or self._audits.under_way:
            self._schedule()

    def _work_guarded(self) -> None:
        batch = Batch()
        try:
            spent = self._reader.advance(SERVERS_READ_PER_TURN)
            for batch in batches(self._operations_per_turn, self._clock.seconds):
                self._change(batch)
            self._read(SERVERS_READ_PER_TURN - spent)
        except Exception:  # noqa: BLE001 - a fault here must not end the balancing
            self._errors_total += 1
            self._log.failure("A change of the IPVS table failed unexpectedly")
            self._audits.drop()
            for key in {*batch.services, *self._reader.drop()} & self._managed.keys():
                self._retry_later(key)

    def _change(self, batch: Batch) -> None:
        """Take the next steps of the services that come first, and apply them."""
        for key in self._to_change.first(SERVICES_LOOKED_AT_PER_TURN):
            if not self._reader.is_reading(key) and self._may_be_planned(key):
                batch.take(key, self._known.servers(key), self._steps(key))
            if batch.full:
                break
        failed = self._apply(batch.operations)
        for key in batch.services:
            if key not in self._managed:
                continue  # Who was told of another service has taken this one back.
            if key in failed:
                self._fail(key, failed[key], complete=key != batch.begun)
            elif key == batch.begun and batch.of_many_operations:
                self._to_change.defer(key)
            elif key == batch.begun:
                self._to_change.let_pass(key)
            elif not self._managed[key].is_done:
                continue  # Or has published it anew.
            elif self._managed[key].refused_for_good:
                self._stand_but_for_refusals(key)
            else:
                self._succeed(key)

    def _may_be_planned(self, key: ServiceKey) -> bool:
        """Not if it would be added before it is on record; `recorded` tells when it is."""
        managed = self._managed[key]
        adding = managed.wanted is not None and key not in self._known
        managed.unrecorded = adding and not self._owner.secured(key)
        if managed.unrecorded:
            self._to_change.discard(key)
        return not managed.unrecorded

    def _steps(self, key: ServiceKey) -> Iterator[Operation | int]:
        managed = self._managed[key]
        if managed.outstanding is None:
            managed.outstanding = Outstanding(key)
            managed.refused_for_good = False
        return managed.outstanding.steps(self._known.get(key), managed.wanted)

    def _apply(self, operations: Sequence[Operation]) -> dict[ServiceKey, list[OperationResult]]:
        """One batch. Returns what the kernel has not accepted."""
        accepted, failed = self._known.apply(operations)
        for key, together in of_each_service(accepted):
            self._managed[key].changes.update(map(type, together))
        self._changes_total += len(accepted)
        return failed

    # -- reading ----------------------------------------------------------------------------

    def _read(self, most: int) -> None:
        """Go on with an audit, so many servers or a few more."""
        try:
            most -= self._audits.go_on(most)
        except KernelError as error:
            self._note(error)
            self._log.error("Could not audit: {error}", error=str(error))
        self._reader.go_on(most)
        self._audits.finish(reading=self._reader.auditing)

    def _found(self, key: ServiceKey, entry: ServiceEntry | None, drift: tuple[Drift, ...]) -> None:
        """This is what the kernel holds."""
        managed = self._managed[key]
        if not drift:
            self._audits.over(key)
        elif managed.staleness is not Staleness.LOST:
            words = self._audits.found(key, drift)
            self._log.warn("{key} is not as it was left: {drift}", key=str(key), drift=words)
        if drift or managed.staleness:
            self._to_change.add(key, urgent=entry is not None)
        managed.outstanding = None
        managed.staleness = Staleness.NONE
        if entry is None and key in self._known:
            managed.failures = 0  # Refusals of a server must not delay the return of the whole.
        if drift:
            self._known.learn(key, entry)

    def _unread(self, key: ServiceKey, error: KernelError) -> None:
        self._note(error)
        self._log.error("Could not {error}", error=str(error))
        self._retry_later(key)

    # -- what becomes of a service ------------------------------------------------------------

    def _succeed(self, key: ServiceKey) -> None:
        """The kernel holds what is wanted of the service."""
        managed = self._managed[key]
        self._to_change.discard(key)
        managed.outstanding = None
        if managed.wanted is not None:
            # It is equal. As the very same object it is cheap to compare with what follows.
            self._known.learn(key, managed.wanted)
        managed.succeed()
        self._done(key, stands=True)
        if managed.wanted is None:
            self._leave(key)
            self._owner.release(key)

    def _stand_but_for_refusals(self, key: ServiceKey) -> None:
        """A bad address, or a scheduler without its module where another balances, keeps no service
        from being announced. What the kernel holds is known: all but that was acknowledged."""
        self._retry_refused(key, Staleness.NONE)
        self._done(key, stands=self._managed[key].may_stand(self._known.get(key)))

    def _retry_refused(self, key: ServiceKey, staleness: Staleness = Staleness.LOST) -> None:
        """Soon, while that decides whether what stood is lost."""
        managed = self._managed[key]
        is_lost = managed.lose(self._known.get(key), self._clock.seconds())
        self._retry_later(key, staleness, LOST_AFTER_S if managed.in_doubt else RETRY_MAX_S)
        if is_lost:
            self.losses.tell(key)

    def _done(self, key: ServiceKey, *, stands: bool) -> None:
        """All that can be done for now."""
        managed = self._managed[key]
        if managed.changes:
            self._log.info("{key}: {changes}", key=str(key), changes=summary(managed.changes))
        self._audits.repaired(key, managed.changes.total())
        news = bool(managed.changes) or not managed.stands
        managed.changes.clear()
        managed.looked = False
        managed.stands = managed.stands or stands
        if managed.wanted is not None and news and managed.stands:
            self._unmanaged.stands(key)
            self.news.tell(key)

    def _fail(self, key: ServiceKey, results: Sequence[OperationResult], *, complete: bool) -> None:
        """The kernel has refused something: read the service again, at once if its table is not
        what it was taken for, and else, or if that does not help, after a delay. `complete`: all
        that was to be done was tried; what is left comes before a delay for one."""
        refused = RefusedOperations(results)
        for error in refused.errors:
            self._note(error)
        log_refusals(self._log, key, refused.errors)
        managed = self._managed[key]
        managed.refusal = str(refused.errors[0])
        if not refused.are_drift:
            if not refused.leave_it_standing:
                self._retry_refused(key)
            elif complete:
                self._stand_but_for_refusals(key)
            else:
                managed.refused_for_good = True
                self._to_change.let_pass(key)
            if refused.servers:
                self.refusals.tell(key, refused.servers)
            return
        managed.mark_stale(Staleness.LOOK)
        if managed.looked:
            self._retry_refused(key)
            return
        managed.looked = True
        managed.failures += 1
        self._to_change.discard(key)
        self._reader.look(key)

    def _retry_later(
        self,
        key: ServiceKey,
        staleness: Staleness = Staleness.LOST,
        at_most_s: float = RETRY_MAX_S,
    ) -> None:
        managed = self._managed[key]
        managed.mark_stale(staleness)
        managed.failures += 1
        delay_s = doubling_s(managed.failures - 1, RETRY_FIRST_S, at_most_s)
        self._to_change.discard(key)
        self._reader.forget(key)
        managed.no_retry()
        if self._running:
            managed.retry = self._clock.callLater(delay_s, self._wake, key)

    def _note(self, error: KernelError) -> None:
        self._errors_total += 1
        self._last_error = KernelErrorSnapshot(self._now(), str(error))

    def _leave(self, key: ServiceKey) -> None:
        """The service is ours no more."""
        managed = self._managed.pop(key, None)
        if managed is not None:
            managed.no_retry()
        self._to_change.discard(key)
        self._reader.forget(key)
        self._audits.over(key)
        self._unmanaged.left(key)

    def _remove_unmanaged(self, key: ServiceKey) -> None:
        if key not in self._managed:
            self.withdraw(key)
