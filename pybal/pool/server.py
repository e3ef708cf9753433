"""A real server of one service: the owner of its address watch and of its monitors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import is_not
from typing import Protocol

from twisted.internet.defer import Deferred

from pybal.model import IPAddress, MonitorSnapshot
from pybal.monitors.base import Monitor


class AddressWatch(Protocol):
    """A running watch over one name; after stop() its callback is never called again."""

    def stop(self) -> None: ...


class AddressWatcher(Protocol):
    """Tells the address of a host, at once or later, and every change of it. None: there is
    no address of that family yet; a later call may bring one."""

    def watch(
        self, host: str, family: int, on_change: Callable[[IPAddress | None], None]
    ) -> AddressWatch: ...


class Server:
    """Watches the host's address from start() on and, once admitted to the pool and told to start
    them, keeps a set of monitors running against it.

    `make_monitors(address)` gives fresh monitors; `on_address()` is called when the address
    of an admitted server was found or has changed, after its former monitors were stopped
    and before the new ones start. After stop() nothing is called any more.
    """

    def __init__(
        self,
        host: str,
        make_monitors: Callable[[IPAddress], Sequence[Monitor]],
        on_address: Callable[[], None],
    ) -> None:
        self.host = host
        self.address: IPAddress | None = None
        self.answered: Deferred[None] = Deferred()
        """Fires once the name was looked up for the first time, with whatever outcome."""
        self._make_monitors = make_monitors
        self._on_address = on_address
        self._watch: AddressWatch | None = None
        self._monitors: tuple[Monitor, ...] = ()
        self._snapshots: tuple[MonitorSnapshot, ...] = ()
        self._admitted = False
        self._stopped = False

    def start(self, watcher: AddressWatcher, family: int) -> None:
        """Begin to watch the address; `family` is 4 or 6."""
        self._watch = watcher.watch(self.host, family, self._address_changed)

    def admit(self) -> None:
        """The server is part of the pool now, so that changes of its address matter."""
        self._admitted = True

    def start_monitors(self) -> None:
        """Check the server, as soon as its address is known; if it is checked, go on."""
        if not self._monitors:
            self._start_monitors()

    def stop(self) -> None:
        """End the watch and all monitors. Idempotent."""
        self._stopped = True
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        self._stop_monitors()

    def monitor_snapshots(self) -> tuple[MonitorSnapshot, ...]:
        """Its monitors as they stand; empty while the address is not known. The very same
        object until something changes."""
        snapshots = [monitor.snapshot() for monitor in self._monitors]
        known = self._snapshots
        if len(snapshots) != len(known) or any(map(is_not, snapshots, known)):
            self._snapshots = tuple(snapshots)
        return self._snapshots

    def _address_changed(self, address: IPAddress | None) -> None:
        if self._stopped:
            return
        changed = address != self.address
        self.address = address
        if changed and self._admitted:
            self._stop_monitors()
            self._on_address()
            self._start_monitors()
        if not self.answered.called:
            self.answered.callback(None)

    def _start_monitors(self) -> None:
        if self.address is None or self._stopped:
            return
        self._monitors = tuple(self._make_monitors(self.address))
        for monitor in self._monitors:
            monitor.start()

    def _stop_monitors(self) -> None:
        for monitor in self._monitors:
            monitor.stop()
        self._monitors = ()
