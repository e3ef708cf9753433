"""Servers whose addresses the kernel refuses: not pooled, and offered to it again after a while."""

from __future__ import annotations

from collections.abc import Callable, Collection

from pybal.config.settings import ServiceSettings
from pybal.ipvs.model import DestinationKey
from pybal.pool.address_warnings import AddressWarnings
from pybal.pool.desired import destination_key
from pybal.pool.events import AddressRefused
from pybal.pool.pool_state import PoolState
from pybal.runtime.clock import Clock, DelayedCall, cancel

REFUSED_FOR_S = 300.0
"""So long a server whose address the kernel refuses is not offered to it again."""


class Refusals:
    """Of one service; `handle` takes the events that come of it."""

    def __init__(
        self,
        clock: Clock,
        addresses: AddressWarnings,
        state: Callable[[], PoolState],
        handle: Callable[[AddressRefused], None],
    ) -> None:
        self._clock = clock
        self._addresses = addresses
        self._state = state
        self._handle = handle
        self._ask_again: DelayedCall | None = None
        self._stopped = False

    def refused(self, keys: Collection[DestinationKey], settings: ServiceSettings) -> None:
        """The kernel does not take these servers. It is asked again after REFUSED_FOR_S."""
        for key in keys:
            if destination_key(settings, key.address) == key:
                for host in self._addresses.at(key.address):
                    self._handle(AddressRefused(host, refused=True))
        if not self._stopped and (self._ask_again is None or not self._ask_again.active()):
            self._ask_again = self._clock.callLater(REFUSED_FOR_S, self._ask)

    def stop(self) -> None:
        """Ask no more. Idempotent."""
        self._stopped = True
        cancel(self._ask_again)

    def _ask(self) -> None:
        for host, member in self._state().members.items():
            if member.refused:
                self._handle(AddressRefused(host, refused=False))
