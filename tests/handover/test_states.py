"""Many states in memory: each in a place of its own, for the next process of the same boot."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Iterator

import pytest
from twisted.internet.task import Clock

from pybal.handover.format import HandoverError
from pybal.handover.states import StateTable, by_age, name_by_age, read_states
from pybal.handover.table import MAX_SLOTS, MAX_STATE_BYTES


@pytest.fixture
def table() -> Iterator[StateTable]:
    made = StateTable("test", "here")
    made.say_alive(100.0)
    yield made
    made.close()


def states(table: StateTable) -> list[bytes]:
    return sorted(read_states(table.descriptor, "here", 100.0))


def test_of_what_was_left_the_oldest_comes_first_whatever_the_manager_hands_out_first() -> None:
    moments = (0.016, 3.0, 3.001, 9.5, 5000.0, 99999.0)
    names = [name_by_age("bfd.", moment) for moment in moments]
    assert len(set(names)) == len(moments)
    assert [name for name, _ in by_age({name: [] for name in reversed(names)})] == names
    assert name_by_age("bfd.", 3.0) == "bfd.bb8"


def test_the_next_process_reads_what_was_written_last(table: StateTable) -> None:
    one = table.write(None, b"one")
    two = table.write(None, b"two")
    assert one is not None and two is not None and one != two
    assert table.write(one, b"eins") == one
    assert states(table) == [b"eins", b"two"]
    table.erase(two)
    assert states(table) == [b"eins"]
    assert table.write(None, b"three") == two, "a place that is free again is taken again"
    assert states(table) == [b"eins", b"three"]


def test_what_was_written_once_is_written_over_without_a_system_call(
    table: StateTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = table.write(None, b"one")
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", lambda *_: pytest.fail("a system call"))
        table.write(one, b"eins")
    assert states(table) == [b"eins"]


def test_the_memory_of_a_place_is_asked_for_in_a_way_that_can_fail(
    table: StateTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", no_memory)
        with pytest.raises(OSError, match="No space"):
            table.write(None, b"one")


def test_a_state_that_is_too_large_is_not_remembered_nor_is_what_was_there(
    table: StateTable,
) -> None:
    place = table.write(None, b"x" * MAX_STATE_BYTES)
    assert states(table) == [b"x" * MAX_STATE_BYTES]
    assert table.write(place, b"x" * (MAX_STATE_BYTES + 1)) == place
    assert states(table) == []


@pytest.mark.slow
def test_there_is_room_for_65536_and_for_no_more(table: StateTable) -> None:
    places = [table.write(None, b"%d" % number) for number in range(65536)]
    assert set(places) == set(range(MAX_SLOTS))
    assert table.write(None, b"one more") is None
    assert table.write(places[7], b"seven") == places[7]
    found = states(table)
    assert len(found) == 65536 and b"seven" in found and b"65535" in found


def test_states_hold_for_their_place_and_as_long_as_they_are_young(table: StateTable) -> None:
    table.write(None, b"one")
    with pytest.raises(HandoverError, match="another boot, or another network namespace"):
        list(read_states(table.descriptor, "elsewhere", 100.0))
    with pytest.raises(HandoverError, match="too old"):
        list(read_states(table.descriptor, "here", 100.1))
    table.say_alive(100.1)
    assert list(read_states(table.descriptor, "here", 100.1)) == [b"one"]
    os.ftruncate(table.descriptor, 4096)
    with pytest.raises(HandoverError, match="size"):
        list(read_states(table.descriptor, "here", 100.0))


def test_the_memory_stays_while_somebody_else_has_it() -> None:
    table = StateTable("test", "here")
    descriptor = table.descriptor
    kept = os.dup(descriptor)
    table.say_alive(1.0)
    table.write(None, b"one")
    table.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    assert table.descriptor == -1
    table.close()
    assert list(read_states(kept, "here", 1.0)) == [b"one"]
    os.close(kept)


def test_without_room_for_it_nothing_is_left_open(descriptors: Callable[[], int]) -> None:
    before = descriptors()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            StateTable("test", "here")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert descriptors() == before


def test_a_table_that_lives_says_so_each_second_until_it_is_closed() -> None:
    clock, table = Clock(), StateTable("test", "here")
    copy = os.dup(table.descriptor)
    clock.advance(50)
    table.live(clock)
    for later in (0, 1, 1, 1):
        clock.advance(later)
        now = clock.seconds()
        assert list(read_states(copy, "here", now)) == []
        with pytest.raises(HandoverError, match="too old"):
            list(read_states(copy, "here", now + 0.5))
    table.close()
    table.close()
    assert clock.getDelayedCalls() == []
    os.close(copy)
