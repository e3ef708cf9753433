"""The memory in which a record lies: a memfd, which whoever has its descriptor can read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from pybal.handover.format import (
    AREA_BYTES,
    HEAD_AT,
    HEAD_BYTES,
    MARK_BYTES,
    RECEIVED_BYTES,
    SIZE_BYTES,
    Entry,
    HandoverError,
    Kind,
    Received,
    area_at,
    decode_entries,
    decode_head,
    encode_entry,
    encode_head,
    encode_mark,
    encode_received,
    mark_at,
    newest_generation,
    newest_received,
    received_at,
)

_READ_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Contents:
    """All that a record says; `received` None: nothing was ever received."""

    document: bytes
    received: Received | None
    entries: tuple[Entry, ...]


class RecordMemory:
    """A record that is written. Raises OSError where the system does, HandoverError where something
    has no room; after either the record must be given up: it is behind."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._generation = 0
        self._written = 0
        self._sequence = 0

    @classmethod
    def create(cls, name: str, document: bytes) -> RecordMemory:
        """A new one; `name` is for people who look at a process's descriptors."""
        descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
        made = cls(descriptor)
        try:
            os.ftruncate(descriptor, SIZE_BYTES)
            os.pwrite(descriptor, encode_head(document), HEAD_AT)
        except BaseException:
            os.close(descriptor)
            raise
        return made

    def read(self) -> Contents:
        """What a former process has written; to write goes on behind it. Raises HandoverError."""
        try:
            return self._read()
        except OSError as error:
            raise HandoverError(f"the record cannot be read: {error.strerror}") from None

    def _read(self) -> Contents:
        descriptor = self.descriptor
        if os.fstat(descriptor).st_size != SIZE_BYTES:
            raise HandoverError("the record has another size")
        document = decode_head(os.pread(descriptor, HEAD_BYTES, HEAD_AT))
        received = newest_received(
            *(os.pread(descriptor, RECEIVED_BYTES, received_at(place)) for place in (0, 1))
        )
        marks = (os.pread(descriptor, MARK_BYTES, mark_at(place)) for place in (0, 1))
        self._generation = newest_generation(*marks)
        entries = tuple(decode_entries(self._area(), self._generation))
        self._written = sum(len(encode_entry(self._generation, entry)) for entry in entries)
        self._sequence = 0 if received is None else received.sequence
        return Contents(document, received, entries)

    def _area(self) -> bytes:
        """As far as something was ever written."""
        start, size = area_at(self._generation), 0
        pieces = []
        while size < AREA_BYTES:
            piece = os.pread(self.descriptor, _READ_BYTES, start + size)
            pieces.append(piece)
            size += len(piece)
            if not piece or not any(piece[-4096:]):
                break
        return b"".join(pieces)[:AREA_BYTES]

    def begin(self, entries: Iterable[Entry]) -> None:
        """A journal with these entries takes the place of the one before, at once. Raises
        HandoverError if they have no room, OSError."""
        generation = self._generation + 1
        data = b"".join(encode_entry(generation, entry) for entry in entries)
        if len(data) > AREA_BYTES // 2:
            raise HandoverError(f"a journal of {len(data)} bytes")
        self._write(data, area_at(generation))
        self._write(encode_mark(generation), mark_at(generation))
        self._generation, self._written = generation, len(data)

    def append(self, kind: Kind, payload: bytes = b"") -> None:
        """One entry more. Raises HandoverError if it has no room, OSError."""
        data = encode_entry(self._generation, Entry(kind, payload))
        if self._written + len(data) > AREA_BYTES:
            raise HandoverError("the journal is full")
        self._write(data, area_at(self._generation) + self._written)
        self._written += len(data)

    @property
    def written_bytes(self) -> int:
        """The journal's size."""
        return self._written

    def received(self, position: int, at: float, rest: bytes) -> None:
        """What was received is read so far. Raises HandoverError, OSError."""
        self._sequence += 1
        data = encode_received(Received(self._sequence, position, at, rest))
        self._write(data, received_at(self._sequence))

    def _write(self, data: bytes, offset: int) -> None:
        if os.pwrite(self.descriptor, data, offset) != len(data):
            raise HandoverError("there is no memory for the record")

    def close(self) -> None:
        """Idempotent. The memory stays while somebody else has it."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
