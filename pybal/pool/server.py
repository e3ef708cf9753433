"""A real server of one service: the owner of its address watch and of its monitors."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import is_not
from typing import Any, Protocol

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from pybal.model import IPAddress, MonitorSnapshot
from pybal.monitors.base import Monitor
from pybal.pool.address_trial import AddressTrial
from pybal.pool.events import ReportRetracted
from pybal.runtime.stopping import end_each
from pybal.runtime.time_slices import TimeSlices

_STOPPED_AT_ONCE = 10


class AddressWatch(Protocol):
    """A running watch of one name; after stop() its callback is never called again."""

    def stop(self) -> None:
        """Idempotent."""


class AddressWatcher(Protocol):
    """Tells the address of a host, at once or later, and every change of it. None: no address of
    that family is known; a later call may bring one. `service` is whose server it is."""

    def watch(
        self, host: str, family: int, on_change: Callable[[IPAddress | None], None], service: str
    ) -> AddressWatch:
        """`family` is 4 or 6; `on_change` may be called before this returns."""

    def remembered(self, host: str, family: int) -> IPAddress | None:
        """The address that the last run had last; None if that is not known."""
        ...


class ServerOwner(Protocol):
    """What a Server asks of its pool; PoolServers (pool_servers.py) answers."""

    def make_monitors(self, server: Server, address: IPAddress) -> Sequence[Monitor]:
        """New monitors of the server, not yet started; sets its `incarnation`."""

    def more_monitors(
        self, server: Server, address: IPAddress, names: frozenset[str]
    ) -> Sequence[Monitor]:
        """New monitors of these names, as far as the service has them, for the present
        `incarnation`; not yet started."""

    def missing_monitors(
        self, server: Server, address: IPAddress, present: Collection[str]
    ) -> Sequence[Monitor]:
        """Those that could not be made before, in the same way: all but those of these names."""

    def address_changed(self, server: Server) -> None:
        """The address of an admitted server was found or has changed. Its former monitors are
        stopped, the new ones not started."""

    def try_address(self, server: Server, trial: AddressTrial) -> Sequence[Monitor]:
        """The name of an admitted server has moved. Monitors for the trial, not yet started; none
        if the server is to move at once."""

    def may_move(self, server: Server, address: IPAddress) -> bool:
        """Whether a server that was found up at its new address may move there. If not, it is to
        be told `move_if_proven` later."""

    def address_proven(self, server: Server) -> None:
        """The same as address_changed, of a server that was found up at its new address."""

    def cannot_be_checked(self, server: Server) -> None:
        """The checks of an admitted server have failed to begin, by the exception that is being
        handled. `start_monitors` is to be called later, for as long as the server is there."""


class Server:
    """Watches the host's address from start() on. Runs a set of monitors against it once the
    server is admitted to the pool and start_monitors() was called. After stop() the owner is not
    called any more.

    It worked at its `former` address (None: that is not known) when the last run ended. It is there
    if its name says something else now, and moves as one whose name moves."""

    def __init__(self, host: str, owner: ServerOwner, former: IPAddress | None = None) -> None:
        self.host = host
        self._former = former
        self._moved_to: IPAddress | None = None
        self.address: IPAddress | None = None
        self.answered: Deferred[None] = Deferred()
        """Fires once the name was looked up for the first time, with whatever outcome."""
        self.incarnation = 0
        """The number of the present set of monitors, see HealthReport; 0 while there is none."""
        self.retractions: dict[str, ReportRetracted] = {}
        """By monitor: the event that would undo its last report."""
        self._owner = owner
        self._watch: AddressWatch | None = None
        self._monitors: tuple[Monitor, ...] = ()
        self._snapshots: tuple[MonitorSnapshot, ...] = ()
        self._trial: AddressTrial | None = None
        self.is_admitted = False
        """Whether it is part of the pool."""
        self._at_once = False
        self._stopped = False

    def start(self, watcher: AddressWatcher, family: int, service: str) -> None:
        """Begin to watch the address; `family` is 4 or 6, `service` whose server this is."""
        self._watch = watcher.watch(self.host, family, self._address_changed, service)

    def admit(self) -> None:
        """The server is part of the pool now: from here on the owner hears of its address."""
        self.is_admitted = True

    def start_monitors(self, *, at_once: bool = False) -> None:
        """Check the server as soon as its address is known, and not just when it is its turn if
        others wait for the outcome. Idempotent: only those are begun that could not be made."""
        self._at_once = at_once
        moved_to = self._moved_to
        with self._or_later(moved_to):
            if self._monitors:
                self._start_missing()
            else:
                self._start_monitors()
            if moved_to is not None:
                self._take_address(moved_to)

    def change_monitors(self, changed: frozenset[str], order: Sequence[str]) -> None:
        """End the monitors that have changed, by name, and start those that the owner has of them
        now; all others go on, with their state. `order` is that of all names. Idempotent."""
        if self.address is None or not self.incarnation:
            return
        moved_to = self._trial.address if self._trial is not None else None
        with self._or_later(moved_to):
            self._change_monitors(self.address, changed, order)
            if moved_to is not None:
                self._end_trial()
                self._take_address(moved_to)

    def _change_monitors(
        self, address: IPAddress, changed: frozenset[str], order: Sequence[str]
    ) -> None:
        kept = [monitor for monitor in self._monitors if monitor.name not in changed]
        for monitor in self._monitors:
            if monitor.name in changed:
                monitor.stop()
                self.retractions.pop(monitor.name, None)
        new = self._owner.more_monitors(self, address, changed)
        self._monitors = tuple(sorted((*kept, *new), key=lambda each: order.index(each.name)))
        for monitor in new:
            monitor.start()

    def leave(self) -> None:
        """The owner is not called any more; `stop` is to follow, which may take a while."""
        self._stopped = True

    def stop(self) -> None:
        """End the watch and all monitors. Idempotent."""
        self._stopped = True
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        self._end_trial()
        self._stop_monitors()

    @property
    def is_moving(self) -> bool:
        """Whether it stays where it is until it is found up where its name has moved to."""
        return self._trial is not None or self._moved_to is not None

    def monitor_snapshots(self) -> tuple[MonitorSnapshot, ...]:
        """Its monitors as they stand; empty while the address is not known. The same object until
        something changes."""
        snapshots = [monitor.snapshot() for monitor in self._monitors]
        known = self._snapshots
        if len(snapshots) != len(known) or any(map(is_not, snapshots, known)):
            self._snapshots = tuple(snapshots)
        return self._snapshots

    def _address_changed(self, address: IPAddress | None) -> None:
        if self._stopped:
            return
        with self._or_later(address):
            self._take_address(address)
        if not self.answered.called:
            self.answered.callback(None)

    @contextmanager
    def _or_later(self, heading_for: IPAddress | None) -> Iterator[None]:
        """Where checks fail to begin none run until all can, and where the name has moved is not
        forgotten until then."""
        try:
            yield
        except Exception:  # noqa: BLE001 - it must not leave the server unchecked for ever
            self._owner.cannot_be_checked(self)
            self._end_trial()
            self._moved_to = None if heading_for == self.address else heading_for
            self._stop_monitors()

    def _take_address(self, address: IPAddress | None) -> None:
        self._moved_to = None
        if not self.is_admitted and address is not None and self._former is not None:
            self._moved_to = None if address == self._former else address
            address = self._former
        if address == self.address or not self._is_tried(address):
            self._end_trial()
            self._move(address, self._owner.address_changed)

    def _move(self, address: IPAddress | None, tell: Callable[[Server], None]) -> None:
        changed = address != self.address
        self.address = address
        if changed and self.is_admitted:
            self._stop_monitors()
            tell(self)
            self._start_monitors()

    def _is_tried(self, address: IPAddress | None) -> bool:
        """Whether the server stays where it is until it is found up at its new address."""
        if address is None or self.address is None or not self.is_admitted:
            return False
        if self._trial is not None and self._trial.address == address:
            return True
        self._end_trial()
        trial = AddressTrial(address, self.move_if_proven)
        monitors = self._owner.try_address(self, trial)
        if not monitors:
            return False
        self._trial = trial
        trial.start(monitors)
        return True

    def move_if_proven(self) -> bool:
        """Move where the server was found up, unless its owner objects. Whether it has."""
        trial = self._trial
        if self._stopped or trial is None or not trial.is_proven:
            return False
        if not self._owner.may_move(self, trial.address):
            return False
        with self._or_later(trial.address):
            self._end_trial()
            self._move(trial.address, self._owner.address_proven)
        return True

    def _end_trial(self) -> None:
        trial, self._trial = self._trial, None
        if trial is not None:
            trial.stop()

    def _start_monitors(self) -> None:
        if self.address is None or self._stopped:
            return
        self._monitors = tuple(self._owner.make_monitors(self, self.address))
        for monitor in self._monitors:
            monitor.start()
            if self._at_once:
                monitor.check_soon()

    def _start_missing(self) -> None:
        if self.address is None or self._stopped:
            return
        present = [monitor.name for monitor in self._monitors]
        new = self._owner.missing_monitors(self, self.address, present)
        self._monitors = (*self._monitors, *new)
        for monitor in new:
            monitor.start()

    def _stop_monitors(self) -> None:
        monitors, self._monitors = self._monitors, ()
        self.incarnation = 0
        self.retractions.clear()
        for monitor in monitors:
            monitor.stop()


async def answered(servers: Iterable[Server], clock: Any, most_s: float) -> None:
    """Wait until the names of all of them have been looked up once, no longer than `most_s`."""
    waiting = [each.answered for each in servers if not each.answered.called]
    if waiting:
        all_answered = DeferredList(waiting, consumeErrors=True)
        all_answered.addTimeout(most_s, clock, lambda *_: None)
        await all_answered


async def stop_in_portions(servers: Iterable[Server], time_slices: TimeSlices, log: Logger) -> None:
    """Stop all of them; those of a large pool, or of many that stop together, in several turns of
    the reactor."""
    for number, server in enumerate(servers):
        if number % _STOPPED_AT_ONCE == 0:
            await time_slices.pause()
        end_each(log, server.stop)
