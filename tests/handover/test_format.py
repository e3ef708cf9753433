"""The record's parts: what was written whole is read, what was not counts as not written."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.handover import format as layout
from pybal.handover.format import (
    MAX_DOCUMENT_BYTES,
    Entry,
    HandoverError,
    Kind,
    Received,
    decode_entries,
    decode_head,
    encode_entry,
    encode_head,
    encode_mark,
    encode_received,
    newest_generation,
    newest_received,
)

ENTRIES = st.lists(st.builds(Entry, st.sampled_from(Kind), st.binary(max_size=60)), max_size=8)
RECEIVED = st.builds(
    Received,
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    st.floats(0, 1e9),
    st.binary(max_size=60),
)


def journal(entries: list[Entry], generation: int = 3) -> bytes:
    return b"".join(encode_entry(generation, entry) for entry in entries)


@given(ENTRIES)
def test_a_journal_is_read_as_it_was_written(entries: list[Entry]) -> None:
    assert list(decode_entries(journal(entries) + bytes(100), 3)) == entries


@given(ENTRIES, st.data())
def test_a_journal_that_is_cut_anywhere_holds_what_was_whole(
    entries: list[Entry], data: st.DataObject
) -> None:
    text = journal(entries)
    cut = data.draw(st.integers(0, len(text)))
    found = list(decode_entries(text[:cut], 3))
    assert found == entries[: len(found)]
    assert len(journal(found)) <= cut < len(journal(entries[: len(found) + 1])) or found == entries


@given(ENTRIES.filter(bool), st.data())
def test_a_damaged_byte_ends_the_journal_before_its_entry(
    entries: list[Entry], data: st.DataObject
) -> None:
    text = bytearray(journal(entries))
    at = data.draw(st.integers(0, len(text) - 1))
    text[at] ^= data.draw(st.integers(1, 255))
    found = list(decode_entries(bytes(text), 3))
    assert found == entries[: len(found)]
    assert len(journal(found)) <= at


@given(ENTRIES, ENTRIES)
def test_entries_of_an_earlier_use_of_the_area_do_not_count(
    new: list[Entry], old: list[Entry]
) -> None:
    former, text = journal(old, 1), journal(new)
    assert list(decode_entries(text + former[len(text) :], 3)) == new


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    list(decode_entries(data, 0))
    newest_received(data, data[::-1])
    for read in (decode_head, newest_generation):
        with contextlib.suppress(HandoverError):
            read(data)


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(1, 255))
def test_the_head_is_whole_or_refused(document: bytes, at: int, change: int) -> None:
    head = bytearray(encode_head(document))
    assert decode_head(bytes(head) + bytes(50)) == document
    if at < len(head):
        head[at] ^= change
        with pytest.raises(HandoverError):
            decode_head(bytes(head))
        with pytest.raises(HandoverError):
            decode_head(bytes(head[:at]))


def test_a_head_that_is_cut_or_damaged_in_its_document_is_refused() -> None:
    assert decode_head(encode_head(b"")) == b""
    head = encode_head(b"{}")
    for damaged in (head[:-1], head[:-1] + b"?"):
        with pytest.raises(HandoverError, match="head is damaged"):
            decode_head(damaged)
    with pytest.raises(HandoverError, match="cut short"):
        decode_head(head[:19])
    with pytest.raises(HandoverError, match="no record of ours"):
        decode_head(b"?" + head[1:])


def test_another_format_is_said_to_be_one() -> None:
    head = bytearray(encode_head(b"{}"))
    head[8] = 7
    with pytest.raises(HandoverError, match="format 7"):
        decode_head(bytes(head))
    with pytest.raises(HandoverError, match="document"):
        encode_head(bytes(MAX_DOCUMENT_BYTES + 1))


@given(RECEIVED, RECEIVED)
def test_the_newer_of_two_that_are_whole_counts(one: Received, other: Received) -> None:
    newer = max(one, other, key=lambda each: each.sequence)
    places = encode_received(one), encode_received(other)
    found = newest_received(*places)
    assert found is not None
    assert found.sequence == newer.sequence
    assert newest_received(places[0], places[1][:-1] + b"?") in (one, other)
    assert newest_received(places[0], bytes(100)) == one
    assert newest_received(b"", bytes(100)) is None


def test_the_newest_mark_that_is_whole_counts() -> None:
    assert newest_generation(encode_mark(4), encode_mark(5)) == 5
    assert newest_generation(encode_mark(4), encode_mark(5)[:-1] + b"?") == 4
    with pytest.raises(HandoverError, match="marks"):
        newest_generation(bytes(12), bytes(12))


def test_the_places_are_those_of_every_version_so_far() -> None:
    """An upgrade goes on with what the version before has written."""
    assert layout.FORMAT == 1
    assert (layout.MAX_DOCUMENT_BYTES, layout.MAX_RECEIVED_BYTES) == (65536, 196608)
    assert (layout.AREA_BYTES, layout.SIZE_BYTES, layout.HEAD_AT) == (33554432, 68157440, 0)
    assert (layout.HEAD_BYTES, layout.MARK_BYTES, layout.RECEIVED_BYTES) == (65556, 12, 196640)
    assert [layout.received_at(number) for number in (0, 1, 2, 3)] == [262144, 524288] * 2
    assert [layout.mark_at(number) for number in (0, 1, 2, 3)] == [131072, 131136] * 2
    assert [layout.area_at(number) for number in (0, 1, 2, 3)] == [1048576, 34603008] * 2
    assert [kind.value for kind in Kind] == [1, 2, 3, 4, 5, 6]


def test_the_bytes_are_those_of_every_version_so_far() -> None:
    assert encode_head(b"{}").hex() == "507942616c484f00010000000200000043bfa6a37b7d"
    assert encode_received(Received(3, 258, 2.5, b"x")).hex() == (
        "b06a56b70300000000000000020100000000000000000000000004400100000078"
    )
    assert encode_mark(5).hex() == "0dd1c22d0500000000000000"
    assert encode_entry(3, Entry(Kind.SENT, b"ab")).hex() == (
        "2e83a3c3030000000000000002020000006162"
    )


def test_what_waits_to_be_understood_has_a_limit() -> None:
    most = Received(1, 2, 3.0, bytes(196608))
    assert newest_received(encode_received(most)) == most
    with pytest.raises(HandoverError, match="196609 bytes wait"):
        encode_received(Received(1, 2, 3.0, bytes(196609)))
    assert decode_head(encode_head(bytes(65536))) == bytes(65536)


def test_no_mark_is_of_generation_0() -> None:
    with pytest.raises(HandoverError, match="marks"):
        newest_generation(encode_mark(0))
    assert newest_generation(encode_mark(1) + b"rest") == 1
    assert newest_generation(encode_mark(2)[:-1], encode_mark(1)) == 1
