"""The record of one connection, as it lies in memory that outlives the process. Pure.

It is written in place while the connection lives, so that a process that is killed leaves it as
true as one that ends in order. Its parts, at fixed places:

- the head: format, and the document (JSON), which never changes;
- two places for what was received last, written in turn;
- two marks, written in turn, that say where the journal begins;
- two areas for the journal, in turn: entries one after another. An area that is full gives way to
  the other one, with fewer entries that say the same; then the mark is moved.

All have a checksum. What was being written when the process was killed fails its own, and counts as
not written. An entry of an earlier use of its area fails, too, by its generation.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from pybal.errors import PyBalError

FORMAT = 1
"""Another one's record is not read."""

_MAGIC = b"PyBalHO\0"
_HEAD = struct.Struct("<8sIII")  # magic, format, size of the document, checksum
_RECEIVED = struct.Struct("<IQQdI")  # checksum, sequence, position, when, size
_MARK = struct.Struct("<IQ")  # checksum, generation
_ENTRY = struct.Struct("<IQBI")  # checksum, generation, kind, size

MAX_DOCUMENT_BYTES = 64 * 1024
MAX_RECEIVED_BYTES = 192 * 1024
AREA_BYTES = 32 * 1024 * 1024

HEAD_AT = 0
_RECEIVED_SPACE = 256 * 1024
_MARKS_AT = 128 * 1024
_MARK_SPACE = 64
_RECEIVED_AT = 256 * 1024
_AREAS_AT = 1024 * 1024
SIZE_BYTES = _AREAS_AT + 2 * AREA_BYTES
"""Of all of it. Memory is used only where something was written."""

HEAD_BYTES = _HEAD.size + MAX_DOCUMENT_BYTES
MARK_BYTES = _MARK.size
RECEIVED_BYTES = _RECEIVED.size + MAX_RECEIVED_BYTES


class HandoverError(PyBalError):
    """What the former process has left cannot be used."""


class Kind(IntEnum):
    """What an entry says."""

    BEGIN = 1
    """The first of an area: the position in what was sent that the next SENT begins at."""
    SENT = 2
    """Bytes given to the connection, whether the kernel had taken them yet or not."""
    TOLD = 3
    """Bytes that were sent at some time before, and still hold."""
    NOTE = 4
    """Something else that the owner wants to know, in its own words."""
    ENDED = 5
    """The connection is of no use any more."""
    PENDING = 6
    """Bytes given to the connection that the kernel may not have taken yet; what they mean has been
    said already."""


class Entry(NamedTuple):
    """One entry of the journal."""

    kind: Kind
    payload: bytes = b""


class Received(NamedTuple):
    """How far what the peer sends has been read: `position` counts all bytes of the connection that
    were taken from the kernel, `rest` are the last of them, which wait for more. `at` is the time
    in seconds of CLOCK_BOOTTIME. `sequence` grows with every one written."""

    sequence: int
    position: int
    at: float
    rest: bytes = b""


def encode_head(document: bytes) -> bytes:
    """HandoverError if the document is too large."""
    if len(document) > MAX_DOCUMENT_BYTES:
        raise HandoverError(f"a document of {len(document)} bytes")
    return _HEAD.pack(_MAGIC, FORMAT, len(document), zlib.crc32(document)) + document


def decode_head(data: bytes) -> bytes:
    """The document; HandoverError for anything else than our own format."""
    if len(data) < _HEAD.size:
        raise HandoverError("the record is cut short")
    magic, version, size, checksum = _HEAD.unpack_from(data)
    if magic != _MAGIC:
        raise HandoverError("it is no record of ours")
    if version != FORMAT:
        raise HandoverError(f"the record has format {version}, not {FORMAT}")
    document = data[_HEAD.size : _HEAD.size + size]
    if len(document) != size or zlib.crc32(document) != checksum:
        raise HandoverError("the record's head is damaged")
    return document


def received_at(sequence: int) -> int:
    """Where the one with this sequence number is written."""
    return _RECEIVED_AT + (sequence & 1) * _RECEIVED_SPACE


def encode_received(received: Received) -> bytes:
    """HandoverError if more waits than there is room for."""
    if len(received.rest) > MAX_RECEIVED_BYTES:
        raise HandoverError(f"{len(received.rest)} bytes wait to be understood")
    body = (
        _RECEIVED.pack(0, received.sequence, received.position, received.at, len(received.rest))[4:]
        + received.rest
    )
    return zlib.crc32(body).to_bytes(4, "little") + body


def newest_received(*places: bytes) -> Received | None:
    """The last one that was written whole; None if there is none."""
    found = [one for one in map(_decode_received, places) if one is not None]
    return max(found, key=lambda one: one.sequence, default=None)


def _decode_received(data: bytes) -> Received | None:
    if len(data) < _RECEIVED.size:
        return None
    checksum, sequence, position, at, size = _RECEIVED.unpack_from(data)
    end = _RECEIVED.size + size
    if size > MAX_RECEIVED_BYTES or end > len(data) or zlib.crc32(data[4:end]) != checksum:
        return None
    return Received(sequence, position, at, data[_RECEIVED.size : end])


def mark_at(generation: int) -> int:
    """Where the mark of this generation is written."""
    return _MARKS_AT + (generation & 1) * _MARK_SPACE


def area_at(generation: int) -> int:
    """Where this generation's journal begins."""
    return _AREAS_AT + (generation & 1) * AREA_BYTES


def encode_mark(generation: int) -> bytes:
    """What says that this generation's journal counts: a checksum, and the number."""
    body = generation.to_bytes(8, "little")
    return zlib.crc32(body).to_bytes(4, "little") + body


def newest_generation(*places: bytes) -> int:
    """The one whose journal counts. HandoverError if no mark is whole."""
    found = []
    for data in places:
        if len(data) >= _MARK.size:
            checksum, generation = _MARK.unpack_from(data)
            if zlib.crc32(data[4 : _MARK.size]) == checksum and generation:
                found.append(generation)
    if not found:
        raise HandoverError("the record's marks are damaged")
    return int(max(found))


def encode_entry(generation: int, entry: Entry) -> bytes:
    """One entry of a journal: checksum, generation, kind, length, payload."""
    body = _ENTRY.pack(0, generation, entry.kind, len(entry.payload))[4:] + entry.payload
    return zlib.crc32(body).to_bytes(4, "little") + body


def decode_entries(data: bytes, generation: int) -> Iterator[Entry]:
    """All that were written whole, in order."""
    offset = 0
    while offset + _ENTRY.size <= len(data):
        checksum, found, kind, size = _ENTRY.unpack_from(data, offset)
        end = offset + _ENTRY.size + size
        if found != generation or end > len(data) or zlib.crc32(data[offset + 4 : end]) != checksum:
            return
        try:
            yield Entry(Kind(kind), data[offset + _ENTRY.size : end])
        except ValueError:
            return
        offset = end
