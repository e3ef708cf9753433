"""How states lie in memory: the program of another version reads it, too."""

from __future__ import annotations

import pytest

from pybal.handover import table
from pybal.handover.format import HandoverError


def test_the_places_are_those_of_every_version_so_far() -> None:
    assert (table.SLOT_BYTES, table.MAX_SLOTS) == (1024, 65536)
    assert (table.ALIVE_AT, table.SLOTS_AT) == (131072, 1048576)
    assert table.TABLE_BYTES == 68157440
    assert [table.slot_at(number) for number in (0, 1, 65535)] == [1048576, 1049600, 68156416]
    assert table.encode_slot(b"ab").hex() == "2c799887020000006162"
    assert table.encode_alive(2.5).hex() == "fd5b92770000000000000440"


def test_a_state_is_read_as_it_was_written_and_not_otherwise() -> None:
    whole = table.encode_slot(b"a")
    assert table.decode_slot(whole) == table.decode_slot(whole + b"rest") == b"a"
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        assert table.decode_slot(bytes(damaged)) is None
        assert table.decode_slot(whole[:at]) is None
    assert table.decode_slot(table.EMPTY_SLOT) is None
    assert table.decode_slot(table.encode_slot(b"")) is None, "nothing is no state"


def test_a_state_fills_its_place_at_most() -> None:
    assert len(table.encode_slot(bytes(1016))) == 1024
    with pytest.raises(HandoverError, match="a state of 1017 bytes"):
        table.encode_slot(bytes(1017))


def test_when_it_last_lived_is_whole_or_not_known() -> None:
    alive = table.encode_alive(2.5)
    assert table.decode_alive(alive + b"rest") == 2.5
    for damaged in (alive[:-1], alive[:-1] + b"?", b"?" + alive[1:], b""):
        with pytest.raises(HandoverError, match="not known"):
            table.decode_alive(damaged)
