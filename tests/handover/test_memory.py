"""A record in memory, written by one process and read by the next."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from pybal.handover.format import (
    AREA_BYTES,
    SIZE_BYTES,
    Entry,
    HandoverError,
    Kind,
    area_at,
    encode_entry,
    mark_at,
)
from pybal.handover.memory import RecordMemory


@pytest.fixture
def memory() -> RecordMemory:
    made = RecordMemory.create("test", b"{}")
    made.begin([Entry(Kind.BEGIN, b"1")])
    return made


def reread(memory: RecordMemory) -> RecordMemory:
    """As another process has it."""
    return RecordMemory(os.dup(memory.descriptor))


def test_the_next_process_reads_all_and_goes_on_behind_it(memory: RecordMemory) -> None:
    memory.append(Kind.SENT, b"abc")
    memory.received(7, 2.5, b"x")
    memory.received(9, 3.5, b"yz")
    other = reread(memory)
    contents = other.read()
    assert contents.document == b"{}"
    assert contents.entries == (Entry(Kind.BEGIN, b"1"), Entry(Kind.SENT, b"abc"))
    assert contents.received is not None
    assert (contents.received.position, contents.received.rest) == (9, b"yz")
    other.append(Kind.SENT, b"def")
    other.received(12, 4.0, b"")
    again = reread(other).read()
    assert [entry.payload for entry in again.entries] == [b"1", b"abc", b"def"]
    assert again.received is not None
    assert (again.received.position, again.received.sequence) == (12, 3)


def test_a_new_journal_takes_the_old_ones_place_with_its_mark(memory: RecordMemory) -> None:
    memory.append(Kind.SENT, b"a" * 5000)
    for number in range(5):
        memory.begin([Entry(Kind.BEGIN, bytes([number]))])
        memory.append(Kind.SENT, b"b")
        assert reread(memory).read().entries == (
            Entry(Kind.BEGIN, bytes([number])),
            Entry(Kind.SENT, b"b"),
        )
    assert memory.written_bytes < 100


def test_a_crash_before_the_mark_leaves_the_journal_before(memory: RecordMemory) -> None:
    memory.append(Kind.SENT, b"a")
    before = reread(memory).read().entries
    memory.begin([Entry(Kind.BEGIN, b"2")])
    os.pwrite(memory.descriptor, bytes(12), mark_at(2))
    assert reread(memory).read().entries == before


def test_large_and_small_entries_are_read_over_the_bounds_of_a_reading(
    memory: RecordMemory,
) -> None:
    for _ in range(40):
        memory.append(Kind.SENT, b"\xff" * 65000)
    assert len(reread(memory).read().entries) == 41


def test_what_is_none_of_ours_is_refused(memory: RecordMemory) -> None:
    os.pwrite(memory.descriptor, b"?", 0)
    with pytest.raises(HandoverError):
        reread(memory).read()
    with pytest.raises(HandoverError):
        RecordMemory(os.memfd_create("other")).read()
    with pytest.raises(HandoverError):
        RecordMemory(-1).read()


def test_what_is_received_is_counted_on_from_what_was() -> None:
    memory = RecordMemory.create("test", b"{}")
    memory.begin([])
    other = reread(memory)
    assert other.read().received is None
    other.received(7, 2.5, b"x")
    contents = reread(memory).read()
    assert contents.received is not None
    assert contents.received.sequence == 1


def test_another_size_is_none_of_ours(memory: RecordMemory) -> None:
    os.ftruncate(memory.descriptor, SIZE_BYTES - 1)
    with pytest.raises(HandoverError, match="another size"):
        reread(memory).read()


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_without_room_for_it_nothing_is_left_open(descriptors: Callable[[], int]) -> None:
    before = descriptors()
    with files_of_at_most(1000), pytest.raises(OSError, match="too large"):
        RecordMemory.create("test", b"{}")
    assert descriptors() == before


def test_what_is_written_in_part_is_an_error(memory: RecordMemory) -> None:
    room = area_at(1) + memory.written_bytes + 100
    with files_of_at_most(room), pytest.raises(HandoverError, match="no memory for the record"):
        memory.append(Kind.SENT, bytes(200))


def test_a_journal_may_begin_with_half_of_its_area_and_fill_the_whole() -> None:
    memory = RecordMemory.create("test", b"{}")
    head = len(encode_entry(1, Entry(Kind.TOLD)))
    memory.begin([Entry(Kind.TOLD, bytes(AREA_BYTES // 2 - head))])
    memory.append(Kind.SENT, bytes(AREA_BYTES // 2 - head))
    assert memory.written_bytes == AREA_BYTES
    with pytest.raises(HandoverError, match="full"):
        memory.append(Kind.SENT)
    memory.close()


def test_closing_it_leaves_the_memory_to_others(memory: RecordMemory) -> None:
    other, descriptor = reread(memory), memory.descriptor
    memory.close()
    assert memory.descriptor == -1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    assert other.read().document == b"{}"


def test_a_full_journal_is_an_error(memory: RecordMemory) -> None:
    with pytest.raises(HandoverError, match="full"):
        memory.append(Kind.SENT, bytes(AREA_BYTES))
    with pytest.raises(HandoverError, match="journal of"):
        memory.begin([Entry(Kind.TOLD, bytes(AREA_BYTES // 2))])
    assert area_at(1) != area_at(2)
    memory.close()
    memory.close()
