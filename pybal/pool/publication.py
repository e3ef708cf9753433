"""What one service should be in the kernel, from the state of its pool: told when it changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pybal.config.settings import ServiceSettings
from pybal.ipvs.model import ServiceEntry
from pybal.model import IPAddress
from pybal.pool.desired import DesiredEntry
from pybal.pool.pool_state import PoolState
from pybal.pool.ports import DesiredTable
from pybal.pool.server import Server


class Publication:
    """Publishes the service's entry to the `table`. `servers` is a live view; `adopted` is what
    stood in the kernel before the daemon started: nothing takes its place before enough of the
    pool's names are known."""

    def __init__(
        self,
        settings: ServiceSettings,
        table: DesiredTable,
        servers: Mapping[str, Server],
        adopted: ServiceEntry | None,
    ) -> None:
        self._settings = settings
        self._table = table
        self._servers = servers
        self._desired = DesiredEntry(settings)
        self._published: ServiceEntry | None = None
        self._held = False
        self._stood = 0 if adopted is None else len(adopted.destinations)
        """How many servers stand in the kernel, until the first publication."""

    def reconfigure(self, settings: ServiceSettings) -> None:
        """From now on these are the settings."""
        self._settings = settings
        self._desired.reconfigure(settings)

    @contextmanager
    def first_held(self) -> Iterator[None]:
        """Nothing is published within `with` if nothing has been yet: its first list is coming in
        portions. The next update publishes."""
        self._held = self._published is None
        try:
            yield
        finally:
            self._held = False

    def update(self, state: PoolState) -> None:
        """The pool has changed."""
        if self._stood and not self._enough_names(state):
            return
        entry = self._desired.updated(state.members, self._address_of)
        if self._held:
            return
        self._stood = 0
        before, self._published = self._published, entry
        # A list in another order makes another entry that is equal to the one before.
        if entry is not before and entry != before:
            self._table.set_desired(entry, self._settings.drain_timeout_s)

    def _address_of(self, host: str) -> IPAddress | None:
        return self._servers[host].address

    def _enough_names(self, state: PoolState) -> bool:
        """Whether as many addresses are known as must be pooled, or as stand in the kernel. While
        DNS does not answer, what stands in the kernel is better than nothing."""
        known = state.members.counts.ready
        return known > 0 and (known >= state.required or known >= self._stood)
