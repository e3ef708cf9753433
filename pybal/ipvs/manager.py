"""Keeps the kernel's IPVS table as the services want it. The table's only writer.

What a service should be is published; it is compared with what the kernel is known to hold,
and the difference is applied in the reactor's next turn, one exchange with the kernel a turn.
The kernel's acknowledgements tell what it holds then; wherever they tell of a failure, that
service is read again, and tried again after a growing delay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from twisted.logger import Logger

from pybal.errors import KernelError
from pybal.ipvs.ipvsadm import command
from pybal.ipvs.kernel import Kernel, Outcome, is_drift
from pybal.ipvs.model import ServiceEntry, ServiceKey, Table
from pybal.ipvs.plan import (
    AddDestination,
    AddService,
    EditDestination,
    EditService,
    Operation,
    RemoveDestination,
    RemoveService,
    applied,
    plan,
)
from pybal.model import IPVSSnapshot, KernelErrorSnapshot

# What one turn of the reactor may do: some milliseconds (bench/ipvs_load.py).
OPERATIONS_PER_TURN = 100
DESTINATIONS_READ_PER_TURN = 200

RETRY_FIRST_S = 0.5
RETRY_MAX_S = 60.0
_ERRORS_LOGGED = 5

_SUMMARY = {
    AddService: "service added",
    EditService: "service changed",
    RemoveService: "service removed",
    AddDestination: "{} added",
    EditDestination: "{} changed",
    RemoveDestination: "{} removed",
}


class DelayedCall(Protocol):
    """The part of IDelayedCall that is needed."""

    def active(self) -> bool: ...

    def cancel(self) -> None: ...


class Timer(Protocol):
    """The part of IReactorTime that is needed."""

    def callLater(
        self, delay_s: float, call: Callable[..., object], /, *args: object
    ) -> DelayedCall: ...


@dataclass(slots=True)
class _Managed:
    """One service. `wanted` None: it is to go. `uncertain`: what the kernel holds must be read
    before the next plan. `stands`: the wanted state has been in the kernel once."""

    wanted: ServiceEntry | None
    uncertain: bool = False
    stands: bool = False
    failures: int = 0
    retry: DelayedCall | None = None
    changes: Counter[type] = field(default_factory=Counter)


class IPVSManager:
    """Publishes services to a kernel. `now()` is Unix seconds."""

    def __init__(
        self, clock: Timer, kernel: Kernel, now: Callable[[], float], dry_run: bool
    ) -> None:
        self._clock = clock
        self._kernel = kernel
        self._now = now
        self._dry_run = dry_run
        self._log = Logger(namespace="ipvs")
        self._known: Table = {}
        self._claimed: set[ServiceKey] = set()
        self._managed: dict[ServiceKey, _Managed] = {}
        self._due: dict[ServiceKey, None] = {}
        self._turn: DelayedCall | None = None
        self._running = False
        self._subscribers: list[Callable[[ServiceKey], None]] = []
        self._changes_total = 0
        self._errors_total = 0
        self._last_error: KernelErrorSnapshot | None = None

    @property
    def table(self) -> Table:
        """What the kernel is known to hold, services of others included."""
        return self._known

    def start(self) -> None:
        """Read the kernel's table. KernelError, with what to do about it, if that fails.

        Nothing changes before something is published. The caller asks `adopted` for every
        configured service before the reactor's next turn; what else stands is then reported.
        """
        self._kernel.open()
        listing = self._kernel.services()
        entries = (self._kernel.read(service.key) for service in listing.services)
        self._known = {entry.service.key: entry for entry in entries if entry is not None}
        self._running = True
        self._clock.callLater(0, self._report_strangers, listing.foreign)

    def stop(self) -> None:
        """Apply what is published, then leave the kernel as it is. Idempotent."""
        if not self._running:
            return
        while self._due:
            self._work_guarded()
        self._running = False
        calls = [self._turn, *(managed.retry for managed in self._managed.values())]
        for call in calls:
            if call is not None and call.active():
                call.cancel()
        self._kernel.close()

    def adopted(self, key: ServiceKey) -> ServiceEntry | None:
        """What stands in the kernel for a configured service, which is no stranger then."""
        self._claimed.add(key)
        return self._known.get(key)

    def publish(self, entry: ServiceEntry) -> None:
        """Say what a service should be. The last word before the next turn counts."""
        key = entry.service.key
        self._claimed.add(key)
        self._managed.setdefault(key, _Managed(entry)).wanted = entry
        self._wake(key)

    def withdraw(self, key: ServiceKey) -> None:
        """The service is no longer configured: remove it from the kernel."""
        self._managed.setdefault(key, _Managed(None)).wanted = None
        self._wake(key)

    def audit(self) -> None:
        """Read every published service again in the coming turns, and repair what differs."""
        for key, managed in self._managed.items():
            managed.uncertain = True
            self._wake(key)

    def subscribe(self, callback: Callable[[ServiceKey], None]) -> None:
        """Have `callback` called when a published state first stands in the kernel, and after
        each later change of the service; not when it is withdrawn."""
        self._subscribers.append(callback)

    def snapshot(self) -> IPVSSnapshot:
        """The published services as they stand in the kernel."""
        ours = [self._known[key] for key in self._managed if key in self._known]
        failing = any(managed.failures for managed in self._managed.values())
        return IPVSSnapshot(
            in_sync=self._running and not self._due and not failing,
            dry_run=self._dry_run,
            services=len(ours),
            destinations=sum(len(entry.destinations) for entry in ours),
            changes_total=self._changes_total,
            errors_total=self._errors_total,
            last_error=self._last_error,
        )

    # -- one turn ---------------------------------------------------------------------------

    def _wake(self, key: ServiceKey) -> None:
        """Have the service looked at in the next turn."""
        managed = self._managed[key]
        if managed.retry is not None and managed.retry.active():
            managed.retry.cancel()
        managed.retry = None
        if self._running:
            self._due[key] = None
            self._schedule()

    def _schedule(self) -> None:
        if self._turn is None:
            self._turn = self._clock.callLater(0, self._take_turn)

    def _take_turn(self) -> None:
        self._turn = None
        self._work_guarded()
        if self._due:
            self._schedule()

    def _work_guarded(self) -> None:
        try:
            self._work()
        except Exception:  # noqa: BLE001 - a fault here must not end the balancing
            self._errors_total += 1
            self._log.failure("A change of the IPVS table failed unexpectedly")
            for key in tuple(self._due):
                self._retry_later(key)

    def _work(self) -> None:
        """Plan for the services that are due, as many as make one exchange, and apply that."""
        operations: list[Operation] = []
        reached: list[ServiceKey] = []
        read = 0
        for key in tuple(self._due):
            if len(operations) >= OPERATIONS_PER_TURN or read >= DESTINATIONS_READ_PER_TURN:
                break
            if self._managed[key].uncertain:
                if not self._read(key):
                    continue
                read += 1 + self._size(key)
            operations += self._plan(key)
            reached.append(key)
        cut = reached.pop() if len(operations) > OPERATIONS_PER_TURN else None
        failed = self._apply(operations[:OPERATIONS_PER_TURN])
        if cut is not None and cut in failed:
            reached.append(cut)
        for key in reached:
            if key in failed:
                self._fail(key, failed[key])
            else:
                self._succeed(key)

    def _read(self, key: ServiceKey) -> bool:
        """Learn what the kernel holds for a service; False, and tried again later, on failure."""
        try:
            entry = self._kernel.read(key)
        except KernelError as error:
            self._note(error)
            self._log.error("Could not {error}", error=str(error))
            self._retry_later(key)
            return False
        table = dict(self._known)
        table.pop(key, None)
        if entry is not None:
            table[key] = entry
        self._known = table
        self._managed[key].uncertain = False
        return True

    def _size(self, key: ServiceKey) -> int:
        return len(self._known[key].destinations) if key in self._known else 0

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
        del self._due[key]
        managed.failures = 0
        if managed.changes:
            self._log.info("{key}: {changes}", key=str(key), changes=_summary(managed.changes))
        news = bool(managed.changes) or not managed.stands
        managed.changes.clear()
        managed.stands = True
        if managed.wanted is None:
            del self._managed[key]
        elif news:
            self._tell(key)

    def _fail(self, key: ServiceKey, outcomes: Sequence[Outcome]) -> None:
        """The kernel has refused something: read the service again, at once if its table is not
        what it was taken for, and else, or if that does not help, after a delay."""
        # Without its service no server can be added: that one refusal says it all.
        causes = [o for o in outcomes if isinstance(o.operation, AddService)] or outcomes
        errors = [outcome.error for outcome in causes if outcome.error is not None]
        for error in errors:
            self._note(error)
        for error in errors[:_ERRORS_LOGGED]:
            self._log.error("Could not {error}", error=str(error))
        if len(errors) > _ERRORS_LOGGED:
            self._log.error(
                "{key}: and {count} more", key=str(key), count=len(errors) - _ERRORS_LOGGED
            )
        managed = self._managed[key]
        managed.uncertain = True
        drifted = any(is_drift(o.operation, o.error.errno) for o in causes if o.error)
        if drifted and not managed.failures:
            managed.failures = 1
        else:
            self._retry_later(key)

    def _retry_later(self, key: ServiceKey) -> None:
        managed = self._managed[key]
        managed.uncertain = True
        managed.failures += 1
        delay_s = min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(managed.failures - 1, 16))
        del self._due[key]
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

    def _report_strangers(self, foreign: Sequence[str]) -> None:
        strangers = [str(key) for key in self._known if key not in self._claimed]
        for stranger in (*strangers, *foreign):
            self._log.warn(
                "{service} stands in IPVS but is not configured: left alone", service=stranger
            )


def _summary(changes: Counter[type]) -> str:
    """`service added, 3 servers added, 1 server removed`."""
    return ", ".join(
        words.format("1 server" if changes[kind] == 1 else f"{changes[kind]} servers")
        for kind, words in _SUMMARY.items()
        if changes[kind]
    )
