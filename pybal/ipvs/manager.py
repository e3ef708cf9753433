"""Keeps the kernel's IPVS table as the services want it. The table's only writer.

What a service should be is published; it is compared with what the kernel is known to hold,
and the difference is applied in the reactor's next turn, one exchange with the kernel a turn.
The kernel's acknowledgements tell what it holds then; wherever they tell of a failure, that
service is read again, and tried again after a growing delay. An audit reads all services again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence

from twisted.logger import Logger

from pybal.errors import KernelError
from pybal.ipvs.agenda import Agenda, Urgency
from pybal.ipvs.drift import DriftBook, compare
from pybal.ipvs.ipvsadm import command
from pybal.ipvs.kernel import Kernel, Outcome, is_drift
from pybal.ipvs.managed import (
    DelayedCall,
    Doubt,
    Managed,
    Timer,
    causes,
    log_refusals,
    summary,
)
from pybal.ipvs.model import ServiceEntry, ServiceKey, Table
from pybal.ipvs.ownership import NoRecord, Owner
from pybal.ipvs.plan import Operation, applied, plan
from pybal.ipvs.settings import Cleanup
from pybal.ipvs.strangers import Strangers
from pybal.model import AuditSnapshot, IPVSSnapshot, KernelErrorSnapshot

# What one turn of the reactor may do: some milliseconds (bench/ipvs_load.py).
OPERATIONS_PER_TURN = 100
DESTINATIONS_READ_PER_TURN = 200
DESTINATIONS_COMPARED_PER_TURN = 1000

RETRY_FIRST_S = 0.5
RETRY_MAX_S = 60.0


class IPVSManager:
    """Publishes services to a kernel. `now()` is Unix seconds; `owner` keeps on record which
    services are ours, `cleanup` says which of those that are not configured go. Without anyone
    who calls `audit` (`audited`), drift is over when it is repaired."""

    def __init__(
        self,
        clock: Timer,
        kernel: Kernel,
        now: Callable[[], float],
        dry_run: bool,
        owner: Owner | None = None,
        cleanup: Cleanup = Cleanup.OWNED,
        *,
        audited: bool = True,
    ) -> None:
        self._clock = clock
        self._kernel = kernel
        self._now = now
        self._dry_run = dry_run
        self._owner: Owner = owner or NoRecord()
        self._log = Logger(namespace="ipvs")
        self._known: Table = {}
        self._managed: dict[ServiceKey, Managed] = {}
        self._agenda = Agenda()
        self._strangers = Strangers(clock, cleanup, self._owner, self._remove_stranger)
        self._turn: DelayedCall | None = None
        self._running = False
        self._subscribers: list[Callable[[ServiceKey], None]] = []
        self._drift = DriftBook()
        self._auditing = False
        self._audited = audited
        self._audits_total = 0
        self._audited_at: float | None = None
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

        Nothing changes before something is published. The caller asks `adopted` for every
        configured service before the reactor's next turn; what else stands is then reported,
        and removed, if it is to be, once all that is configured stands.
        """
        self._kernel.open()
        listing = self._kernel.services()
        entries = (self._kernel.read(service.key) for service in listing.services)
        self._known = {entry.service.key: entry for entry in entries if entry is not None}
        self._owner.start(self._known)
        self._running = True
        self._strangers.start(self._known, listing.foreign)

    def stop(self) -> None:
        """Apply what is published, then leave the kernel as it is. Idempotent."""
        if not self._running:
            return
        while self._agenda.pressing:
            self._work_guarded()
        self._running = False
        self._strangers.stop()
        for managed in self._managed.values():
            managed.no_retry()
        if self._turn is not None and self._turn.active():
            self._turn.cancel()
        self._kernel.close()

    def adopted(self, key: ServiceKey) -> ServiceEntry | None:
        """What stands in the kernel for a configured service, which is no stranger then."""
        if self._strangers.begun and key not in self._managed:
            # Of what came after the start audits know no more than that it stands.
            with contextlib.suppress(KernelError):
                self._learn(key, self._kernel.read(key))
        self._strangers.configured(key)
        return self._known.get(key)

    def publish(self, entry: ServiceEntry) -> None:
        """Say what a service should be. The last word before the next turn counts."""
        key = entry.service.key
        self._strangers.configured(key)
        self._managed.setdefault(key, Managed(entry)).wanted = entry
        if self._running:
            self._owner.claim(key)
        self._wake(key)

    def withdraw(self, key: ServiceKey) -> None:
        """The service is no longer configured: remove it from the kernel, if that may be."""
        if self._strangers.stay:
            self._leave(key)
            return
        self._managed.setdefault(key, Managed(None)).wanted = None
        self._wake(key)

    def audit(self) -> None:
        """Read the whole table again in the coming turns, and repair what differs."""
        if not self._running or self._auditing:
            return
        try:
            listing = self._kernel.services()
        except KernelError as error:
            self._note(error)
            self._log.error("Could not audit: {error}", error=str(error))
            return
        standing = {service.key: service for service in listing.services}
        others = {
            key: self._known.get(key, ServiceEntry(service, {}))
            for key, service in standing.items()
            if key not in self._managed
        }
        ours = {key: entry for key, entry in self._known.items() if key in self._managed}
        self._known = ours | others
        self._strangers.audited(others, listing.foreign)
        self._auditing = True
        for key, managed in self._managed.items():
            managed.doubted(Doubt.AUDIT)
            self._agenda.add(key, Urgency.AUDIT)
        self._schedule()

    def recorded(self, keys: Iterable[ServiceKey]) -> None:
        """These may be added now, as far as the record is concerned."""
        for key in keys:
            if key in self._managed and self._managed[key].unrecorded:
                self._wake(key)

    def subscribe(self, callback: Callable[[ServiceKey], None]) -> None:
        """Have `callback` called when a published state first stands in the kernel, and after
        each later change of the service; not when it is withdrawn."""
        self._subscribers.append(callback)

    def snapshot(self) -> IPVSSnapshot:
        """The published services as they stand in the kernel."""
        ours = [self._known[key] for key in self._managed if key in self._known]
        failing = any(each.failures or each.unrecorded for each in self._managed.values())
        return IPVSSnapshot(
            in_sync=self._running and not self._agenda.pressing and not failing,
            dry_run=self._dry_run,
            services=len(ours),
            destinations=sum(len(entry.destinations) for entry in ours),
            changes_total=self._changes_total,
            errors_total=self._errors_total,
            last_error=self._last_error,
            audit=AuditSnapshot(
                self._audits_total,
                self._audited_at,
                self._drift.open,
                self._drift.totals,
                self._drift.repairs_total,
            ),
            strangers=self._strangers.reported,
            ownership_error=self._owner.error,
        )

    # -- one turn ---------------------------------------------------------------------------

    def _wake(self, key: ServiceKey) -> None:
        """Have the service looked at in the next turn."""
        self._managed[key].no_retry()
        if self._running:
            self._agenda.add(key, Urgency.CHANGE if key in self._known else Urgency.LOAD)
            self._schedule()

    def _schedule(self) -> None:
        if self._turn is None:
            self._turn = self._clock.callLater(0, self._take_turn)

    def _take_turn(self) -> None:
        self._turn = None
        self._work_guarded()
        if self._auditing and not self._agenda.auditing:
            self._auditing = False
            self._audits_total += 1
            self._audited_at = self._now()
        if self._agenda:
            self._schedule()

    def _work_guarded(self) -> None:
        try:
            self._work()
        except Exception:  # noqa: BLE001 - a fault here must not end the balancing
            self._errors_total += 1
            self._log.failure("A change of the IPVS table failed unexpectedly")
            for key in self._agenda.in_order():
                self._retry_later(key)

    def _work(self) -> None:
        """Plan for the services that come first, as many as make one exchange; apply that."""
        operations: list[Operation] = []
        reached: list[ServiceKey] = []
        read = compared = 0
        for key in self._agenda.in_order():
            if (
                len(operations) >= OPERATIONS_PER_TURN
                or read >= DESTINATIONS_READ_PER_TURN
                or compared >= DESTINATIONS_COMPARED_PER_TURN
            ):
                break
            idle = self._agenda.only_audit(key)
            if idle or self._managed[key].doubt > Doubt.AUDIT:
                same = self._read(key)
                read += 1 + self._size(key)
                if same is None:
                    continue
                if same and idle:
                    self._agenda.discard(key)
                    continue
            compared += 1 + self._size(key)
            if self._may_be_planned(key):
                operations += self._plan(key)
                reached.append(key)
        cut = reached.pop() if len(operations) > OPERATIONS_PER_TURN else None
        failed = self._apply(operations[:OPERATIONS_PER_TURN])
        if cut is not None:
            if cut in failed:
                reached.append(cut)
            else:
                self._agenda.defer(cut)
        for key in reached:
            if key in failed:
                self._fail(key, failed[key])
            else:
                self._succeed(key)

    def _read(self, key: ServiceKey) -> bool | None:
        """Learn what the kernel holds for a service: whether that was known; None if it could not
        be read, and is tried again later."""
        managed = self._managed[key]
        try:
            entry = self._kernel.read(key)
        except KernelError as error:
            self._note(error)
            self._log.error("Could not {error}", error=str(error))
            self._retry_later(key)
            return None
        left = self._known.get(key)
        drift = compare(left, entry)
        if not drift:
            self._drift.over(key)
        elif managed.doubt < Doubt.LOST:
            self._drift.note(key, drift, self._now())
            self._log.warn(
                "{key} is not as it was left: {drift}", key=str(key), drift=self._drift.words(key)
            )
        self._learn(key, entry)
        managed.doubt = Doubt.NONE
        return not drift

    def _learn(self, key: ServiceKey, entry: ServiceEntry | None) -> None:
        table = {known: each for known, each in self._known.items() if known != key}
        if entry is not None:
            table[key] = entry
        self._known = table

    def _size(self, key: ServiceKey) -> int:
        return len(self._known[key].destinations) if key in self._known else 0

    def _may_be_planned(self, key: ServiceKey) -> bool:
        """Not if it would be added before it is on record; `recorded` tells when it is."""
        managed = self._managed[key]
        adding = managed.wanted is not None and key not in self._known
        managed.unrecorded = adding and not self._owner.secured(key)
        if managed.unrecorded:
            self._agenda.discard(key)
        return not managed.unrecorded

    def _plan(self, key: ServiceKey) -> tuple[Operation, ...]:
        wanted = self._managed[key].wanted
        actual = {key: self._known[key]} if key in self._known else {}
        return plan(actual, {} if wanted is None else {key: wanted}, {key})

    def _apply(self, operations: Sequence[Operation]) -> dict[ServiceKey, list[Outcome]]:
        """One exchange. Notes what the kernel has accepted; returns what it has not."""
        accepted: list[Operation] = []
        failed: dict[ServiceKey, list[Outcome]] = {}
        for outcome in self._kernel.apply(operations) if operations else ():
            if outcome.error is None:
                accepted.append(outcome.operation)
                self._managed[outcome.operation.key].changes[type(outcome.operation)] += 1
            else:
                failed.setdefault(outcome.operation.key, []).append(outcome)
        if accepted and not self._dry_run:
            # Written out only where DEBUG is shown: thousands of commands cost more than the
            # changes themselves.
            self._log.debug("{commands()}", commands=lambda: "; ".join(map(command, accepted)))
        self._known = applied(self._known, accepted)
        self._changes_total += len(accepted)
        return failed

    # -- what becomes of a service ------------------------------------------------------------

    def _succeed(self, key: ServiceKey) -> None:
        """The kernel holds what is wanted of the service."""
        managed = self._managed[key]
        self._agenda.discard(key)
        managed.no_retry()
        managed.failures = 0
        if managed.changes:
            self._log.info("{key}: {changes}", key=str(key), changes=summary(managed.changes))
        if key in self._drift:
            self._drift.repaired(key, managed.changes.total())
            if not self._audited:
                self._drift.over(key)
        news = bool(managed.changes) or not managed.stands
        managed.changes.clear()
        managed.stands = True
        if managed.wanted is None:
            self._leave(key)
            self._owner.release(key)
        elif news:
            self._strangers.stands(key)
            self._tell(key)
        if managed.doubt is Doubt.AUDIT and key in self._managed:
            self._agenda.add(key, Urgency.AUDIT)

    def _fail(self, key: ServiceKey, outcomes: Sequence[Outcome]) -> None:
        """The kernel has refused something: read the service again, at once if its table is not
        what it was taken for, and else, or if that does not help, after a delay."""
        refused = causes(outcomes)
        for _, error in refused:
            self._note(error)
        log_refusals(self._log, key, [error for _, error in refused])
        managed = self._managed[key]
        if any(is_drift(outcome.operation, error.errno) for outcome, error in refused):
            managed.doubted(Doubt.LOOK)
            if not managed.failures:
                managed.failures = 1
                return
        self._retry_later(key)

    def _retry_later(self, key: ServiceKey) -> None:
        managed = self._managed[key]
        managed.doubted(Doubt.LOST)
        managed.failures += 1
        delay_s = min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(managed.failures - 1, 16))
        self._agenda.discard(key)
        if self._running:
            managed.retry = self._clock.callLater(delay_s, self._wake, key)

    def _note(self, error: KernelError) -> None:
        self._errors_total += 1
        self._last_error = KernelErrorSnapshot(self._now(), str(error))

    def _tell(self, key: ServiceKey) -> None:
        for callback in self._subscribers:
            try:
                callback(key)
            except Exception:  # noqa: BLE001 - another room's fault must not stop this one
                self._log.failure("Telling of the change of {key} failed", key=str(key))

    def _leave(self, key: ServiceKey) -> None:
        """The service is ours no more."""
        managed = self._managed.pop(key, None)
        if managed is not None:
            managed.no_retry()
        self._agenda.discard(key)
        self._drift.over(key)
        self._strangers.left(key)

    def _remove_stranger(self, key: ServiceKey) -> None:
        if key not in self._managed:
            self.withdraw(key)
