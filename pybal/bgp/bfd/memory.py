"""BFD's sessions for the next process: written before a packet is sent that depends on them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Any

from pybal.bgp.bfd.kept import KeptBFD, decode_kept, encode_kept
from pybal.bgp.descriptor_names import BFD_PREFIX
from pybal.errors import said_by
from pybal.handover.format import HandoverError
from pybal.handover.states import StateTable, by_age, read_states
from pybal.handover.store import DescriptorStore

STALE_S = 60.0
"""No session outlives its end for so long, if it was not asked to."""
_TAKEN_WITHIN_S = 60.0
"""Of the start; who is configured later begins anew."""


class BFDMemory:
    """`store` None: nothing is kept; `left` are the descriptors of the process before us, `place`
    this boot and network namespace. Begins with the first session that is up."""

    def __init__(
        self,
        store: DescriptorStore | None,
        place: str,
        left: Mapping[str, list[int]],
        clock: Any,
        log: Any,
    ) -> None:
        self._store = store
        self._place = place
        self._clock = clock
        self._log = log
        self._left = {name: own for name, own in left.items() if name.startswith(BFD_PREFIX)}
        self._former: dict[str, KeptBFD] = {}
        self._read_at = 0.0
        self._table: StateTable | None = None
        self._name = ""
        self._slots: dict[str, int] = {}
        self._written: dict[str, KeptBFD] = {}

    @property
    def keeps(self) -> bool:
        """Whether somebody has it for the next process."""
        return self._store is not None

    def former(self, peer: str) -> KeptBFD | None:
        """The session of the process before us with this peer, once."""
        if self._former and self._clock.seconds() > self._read_at + _TAKEN_WITHIN_S:
            self._former.clear()
        return self._former.pop(peer, None)

    def read(self) -> None:
        """What was left. The store has it until we begin our own. Idempotent."""
        self._read_at = float(self._clock.seconds()) if self._left else 0.0
        for _, descriptors in by_age(self._left):
            while descriptors:
                descriptor = descriptors.pop()
                if self._store is not None:
                    self._read_table(descriptor)
                with contextlib.suppress(OSError):
                    os.close(descriptor)

    def _read_table(self, descriptor: int) -> None:
        try:
            for state in read_states(descriptor, self._place, self._clock.seconds() - STALE_S):
                with contextlib.suppress(HandoverError):
                    peer, former = decode_kept(state)
                    self._former[peer] = former
        except (OSError, HandoverError, ValueError) as error:
            self._log.warn(
                "What BFD knew before this start is not used: {error}", error=said_by(error)
            )

    def write(self, peer: str, state: KeptBFD | None) -> None:
        """What holds from now on; None: there is no session."""
        if self._store is None or self._written.get(peer) == state:
            return
        try:
            if state is None:
                del self._written[peer]
                if self._table is not None:
                    self._table.erase(self._slots.pop(peer))
                return
            table = self._table or self._begin(self._store)
            slot = table.write(self._slots.get(peer), encode_kept(peer, state))
            if slot is not None:
                self._slots[peer], self._written[peer] = slot, state
        except OSError as error:
            self._log.warn("BFD is not kept over a restart: {error}", error=said_by(error))
            self.end()

    def _begin(self, store: DescriptorStore) -> StateTable:
        self._table = table = StateTable("pybal bfd", self._place)
        self._name = table.keep(store, BFD_PREFIX, self._clock)
        for name in self._left:
            if name != self._name:
                store.forget(name)
        return table

    def leave(self) -> None:
        """To the next process, as all is now; nothing is written any more."""
        self._close()

    def end(self) -> None:
        """There is nothing to be kept. Idempotent."""
        if self._store is not None:
            for name in {self._name, *self._left} - {""}:
                self._store.forget(name)
        self._close()

    def _close(self) -> None:
        self._store = None
        table, self._table = self._table, None
        if table is not None:
            table.close()
