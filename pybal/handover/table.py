"""Many small states in memory that outlives the process, each in a place of its own. Pure.

A place is written over as a whole. What was being written when the process was killed fails its
checksum: that one state is lost, the others stay.
"""

from __future__ import annotations

import struct
import zlib

from pybal.handover.format import HandoverError

SLOT_BYTES = 1024
MAX_SLOTS = 65536
ALIVE_AT = 128 * 1024
SLOTS_AT = 1024 * 1024
TABLE_BYTES = SLOTS_AT + SLOT_BYTES * MAX_SLOTS
"""Memory is used only where something was written."""

_SLOT = struct.Struct("<II")  # checksum, size
_ALIVE = struct.Struct("<Id")  # checksum, when
ALIVE_BYTES = _ALIVE.size
MAX_STATE_BYTES = SLOT_BYTES - _SLOT.size


def encode_slot(state: bytes) -> bytes:
    """HandoverError if it is too large."""
    if len(state) > MAX_STATE_BYTES:
        raise HandoverError(f"a state of {len(state)} bytes")
    return _SLOT.pack(_checksum(state), len(state)) + state


def decode_slot(data: bytes) -> bytes | None:
    """The state; None if there is none, or not a whole one."""
    if len(data) < _SLOT.size:
        return None
    checksum, size = _SLOT.unpack_from(data)
    state = data[_SLOT.size : _SLOT.size + size]
    if size == 0 or len(state) != size or _checksum(state) != checksum:
        return None
    return state


EMPTY_SLOT = bytes(_SLOT.size)


def slot_at(number: int) -> int:
    """Where this one is written."""
    return SLOTS_AT + number * SLOT_BYTES


def encode_alive(at: float) -> bytes:
    """That the process lived at that time, in seconds of CLOCK_BOOTTIME."""
    body = struct.pack("<d", at)
    return zlib.crc32(body).to_bytes(4, "little") + body


def decode_alive(data: bytes) -> float:
    """When it last lived; HandoverError if that is not known."""
    if len(data) < _ALIVE.size or zlib.crc32(data[4 : _ALIVE.size]) != _ALIVE.unpack_from(data)[0]:
        raise HandoverError("when the process before us last lived is not known")
    return float(_ALIVE.unpack_from(data)[1])


def _checksum(state: bytes) -> int:
    # Not that of nothing, which a place that was never written has.
    return zlib.crc32(state, 1)
