"""What one service should be in the kernel, from the state of its pool: told when it changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from twisted.logger import Logger

from pybal.config.settings import ServiceSettings
from pybal.ipvs.model import DestinationKey, ServiceEntry
from pybal.kept_change import ListPast
from pybal.model import IPAddress, ServerSnapshot
from pybal.pool.desired import Changes, DesiredEntry, destination_key
from pybal.pool.pool_state import PoolState
from pybal.pool.ports import DesiredTable
from pybal.pool.server import Server
from pybal.pool.snapshots import not_held
from pybal.pool.still_standing import StillStanding
from pybal.pool.withdrawal import Health, health
from pybal.runtime.naming import counted, named


class Publication:
    """Publishes the service's entry to the `table`, from its first pool list on. `servers` is a
    live view; `adopted` is what stood in the kernel before the daemon started: of that stays what
    may be a server whose name has not answered yet (pybal/pool/still_standing.py)."""

    def __init__(
        self,
        settings: ServiceSettings,
        table: DesiredTable,
        servers: Mapping[str, Server],
        adopted: ServiceEntry | None,
        log: Logger,
    ) -> None:
        self._settings = settings
        self._table = table
        self._servers = servers
        self._log = log
        stood = {} if adopted is None else adopted.destinations
        self._standing = StillStanding(stood)
        self._desired = DesiredEntry(settings, stood)
        self._state = PoolState(settings.depool_threshold, ())
        self._held_are_needed = True
        """Whether those that are pooled though down are to stand in the kernel."""
        self._published: ServiceEntry | None = None
        self._waits = False
        self._made_of: tuple[ServerSnapshot, ...] = ()
        self._stand: tuple[ServerSnapshot, ...] = ()

    def reconfigure(self, settings: ServiceSettings) -> None:
        """From now on these are the settings."""
        self._settings = settings
        self._desired.reconfigure(settings)

    @contextmanager
    def first_held(self) -> Iterator[None]:
        """Nothing is published within `with` if nothing has been yet: its first list is coming in
        portions. The next update publishes."""
        self._waits = self._published is None
        try:
            yield
        finally:
            self._waits = False

    def update(self, state: PoolState) -> None:
        """The pool has changed."""
        if self._published is None and not state.members:
            return  # Its first list has not come: what has changed are settings.
        self._state = state
        changes = self._desired.changes(state.members)
        if self._standing.stay:
            self._look_at_standing(changes)
        needed = self._are_held_needed(state)
        if needed is not self._held_are_needed:
            self._held_are_needed = needed
            changes = changes.and_also(state.members.held())
        entry = self._desired.updated(changes, self._address_of)
        if self._waits:
            return
        before = self._published
        # Servers at one address that change places make another entry that is equal.
        if entry is not before and entry != before:
            self._table.set_desired(entry, self._settings.drain_timeout_s)
        # Only now: one that could not be handed on is handed on the next time.
        self._published = entry

    def list_came(self, removed: Iterable[IPAddress], past: ListPast | None) -> None:
        """A list, which names the servers that were there no longer; with the first one, what the
        last run left behind."""
        self.were_removed(removed)
        if past is not None:
            self._standing.are_doubted(past.unproven)

    def were_removed(self, addresses: Iterable[IPAddress | None]) -> None:
        """Servers were there that the list no longer names."""
        if self._standing.stay:
            self._standing.were_removed(self._key(each) for each in addresses if each is not None)

    @property
    def standing(self) -> tuple[str, ...]:
        """The addresses of those that get connections as they did before the daemon started."""
        return tuple(map(str, self._standing.serving))

    def as_they_stand(self, servers: tuple[ServerSnapshot, ...]) -> tuple[ServerSnapshot, ...]:
        """Those whom the policy holds for want of others are not pooled while what stood before is
        enough. The same object until something changes."""
        if self._held_are_needed:
            return servers
        if servers is not self._made_of:
            self._made_of, self._stand = servers, tuple(map(not_held, servers))
        return self._stand

    def end_standing(self) -> tuple[str, ...]:
        """An operator wants none of those any longer; gives their addresses. Before the first list
        has come, which may name them, they stay, and there are none to give."""
        if not self._state.members:
            return ()
        addresses = self.standing
        if self._standing.stay:
            self._desired.without(self._standing.end())
            self.update(self._state)
        return addresses

    def health(self, state: PoolState) -> Health:
        """What BGP is to know of the pool. Nothing speaks against those that stay."""
        found, stay = health(state), self._standing.count
        return found._replace(
            up=found.up + stay,
            confirmed=found.confirmed + stay,
            weight_up=found.weight_up + self._standing.weight,
        )

    def _look_at_standing(self, changes: Changes) -> None:
        stood = self._standing.count
        looked_at = changes.and_all_of_another_list()
        gone = self._standing.look(looked_at, self._key_of, whole=not self._waits)
        self._desired.without(gone)
        if self._published is None and self._standing.count and not self._waits:
            self._tell_of_standing()
        elif self._published is not None and stood and not self._standing.stay:
            self._log.info("Nothing stays any longer just because it stood when PyBal started")

    def _tell_of_standing(self) -> None:
        self._log.warn(
            "{servers} kept as found in the kernel, unchecked: {addresses}, which may be of"
            " {hosts}, whose addresses are not known, or who have not been found up there",
            servers=counted(self._standing.count, "server"),
            addresses=named(self.standing),
            hosts=named(self._standing.awaited),
        )

    def _are_held_needed(self, state: PoolState) -> bool:
        """A server that is down is pooled for want of others; but while some stay as they stood,
        these may be enough."""
        stay = self._standing.count
        return not stay or state.up_count + stay < state.least_up

    def _address_of(self, host: str) -> IPAddress | None:
        if not self._held_are_needed and self._state.members[host].held:
            return None
        return self._servers[host].address

    def _key_of(self, host: str) -> DestinationKey | None:
        address = self._servers[host].address
        return None if address is None else self._key(address)

    def _key(self, address: IPAddress) -> DestinationKey:
        return destination_key(self._settings, address)
