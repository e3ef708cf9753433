"""Many small states in memory that outlives the process: a table.py in a memfd."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from mmap import mmap

from pybal.handover.format import HEAD_AT, HEAD_BYTES, HandoverError, decode_head, encode_head
from pybal.handover.store import DescriptorStore
from pybal.handover.table import (
    ALIVE_AT,
    ALIVE_BYTES,
    EMPTY_SLOT,
    MAX_SLOTS,
    SLOT_BYTES,
    SLOTS_AT,
    TABLE_BYTES,
    decode_alive,
    decode_slot,
    encode_alive,
    encode_slot,
    slot_at,
)
from pybal.runtime.clock import Clock, DelayedCall, cancel

_READ_SLOTS = 256
_ALIVE_EVERY_S = 1.0


def name_by_age(prefix: str, now_s: float) -> str:
    """What a process calls its own in the store; see by_age()."""
    return f"{prefix}{int(now_s * 1000):x}"


def by_age(left: Mapping[str, list[int]]) -> list[tuple[str, list[int]]]:
    """What was left, of each prefix the oldest first: a manager hands out the newest first, and
    what an older one says must not replace that."""
    return sorted(left.items(), key=lambda item: (len(item[0]), item[0]))


class StateTable:
    """One that is written. Raises OSError where the system does: it must be given up then."""

    def __init__(self, name: str, place: str) -> None:
        """`name` is for people who look at a process's descriptors; `place` is this boot and
        network namespace."""
        self.descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
        self._alive: DelayedCall | None = None
        self._never_used = 0
        """From this slot on none was ever written: most daemons use a few of 65,536."""
        self._free: list[int] = []
        try:
            os.ftruncate(self.descriptor, TABLE_BYTES)
            os.pwrite(self.descriptor, encode_head(place.encode()), HEAD_AT)
            self._mapped = mmap(self.descriptor, TABLE_BYTES)
        except BaseException:
            os.close(self.descriptor)
            raise

    def write(self, slot: int | None, state: bytes) -> int | None:
        """Remember a state; the place in which it now is, to be given with the next. None: there is
        no room. One that is too large is not remembered, nor is what was there."""
        try:
            data = encode_slot(state)
        except HandoverError:
            data = EMPTY_SLOT
        if slot is not None:
            self._overwrite(slot, data)
            return slot
        slot = self._take_slot()
        if slot is not None:
            os.pwrite(self.descriptor, data, slot_at(slot))
            # So that its memory is ours when there is more to do.
            self._overwrite(slot, data)
        return slot

    def _overwrite(self, slot: int, data: bytes) -> None:
        """When a whole pool dies, a system call for each server would take longer. Only what was
        written before has its memory: where there is none for more, pwrite() raises OSError, and
        this would end the process."""
        self._mapped[slot_at(slot) : slot_at(slot) + len(data)] = data

    def _take_slot(self) -> int | None:
        if self._free:
            return self._free.pop()
        if self._never_used == MAX_SLOTS:
            return None
        self._never_used += 1
        return self._never_used - 1

    def erase(self, slot: int) -> None:
        """Nobody is to go on with that one."""
        self._free.append(slot)
        self._overwrite(slot, EMPTY_SLOT)

    def say_alive(self, at: float) -> None:
        """That the states held then, in seconds of CLOCK_BOOTTIME."""
        os.pwrite(self.descriptor, encode_alive(at), ALIVE_AT)

    def keep(self, store: DescriptorStore, prefix: str, clock: Clock) -> str:
        """For the next process: under which name the store has it from now on. OSError if it does
        not. `clock` counts CLOCK_BOOTTIME."""
        name = name_by_age(prefix, clock.seconds())
        self.live(clock)
        if not store.keep(name, [self.descriptor]):
            raise OSError("nobody keeps it")
        return name

    def live(self, clock: Clock) -> None:
        """Say so now and each second, until it is closed. `clock` counts CLOCK_BOOTTIME."""
        with contextlib.suppress(OSError):
            self.say_alive(clock.seconds())
        self._alive = clock.callLater(_ALIVE_EVERY_S, self.live, clock)

    def close(self) -> None:
        """Idempotent. The memory stays while somebody else has it."""
        cancel(self._alive)
        self._mapped.close()
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def read_states(descriptor: int, place: str, not_before: float) -> Iterator[bytes]:
    """Those of the process before us, if it is of this place, and lived at `not_before` or later.
    Raises OSError, HandoverError."""
    if os.fstat(descriptor).st_size != TABLE_BYTES:
        raise HandoverError("its size is another one")
    if decode_head(os.pread(descriptor, HEAD_BYTES, HEAD_AT)) != place.encode():
        raise HandoverError("it is of another boot, or another network namespace")
    if decode_alive(os.pread(descriptor, ALIVE_BYTES, ALIVE_AT)) < not_before:
        raise HandoverError("it is too old")
    for start in range(0, MAX_SLOTS, _READ_SLOTS):
        data = os.pread(descriptor, _READ_SLOTS * SLOT_BYTES, SLOTS_AT + start * SLOT_BYTES)
        if not any(data):
            return
        for number in range(_READ_SLOTS):
            state = decode_slot(data[number * SLOT_BYTES : (number + 1) * SLOT_BYTES])
            if state is not None:
                yield state
