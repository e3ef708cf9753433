"""The address book: what was put in is there after a restart, and no fault of the disk matters."""

from __future__ import annotations

import json
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock

from pybal.names.last_known import (
    FILE_NAME,
    MAX_ADDRESSES,
    SAVE_AFTER_S,
    AddressBook,
    addresses_file,
)
from pybal.state.state_file import StateFileError
from pybal.state.state_writing import StateWriting
from tests.fakes.log import FakeLog

A, A2, A6 = ip_address("192.0.2.1"), ip_address("192.0.2.2"), ip_address("2001:db8::1")


class Bench:
    """A book whose writing thread is at hand."""

    def __init__(self, directory: Path, *, read_only: bool = False) -> None:
        self.clock: Any = Clock()
        self.log = FakeLog()
        self.writes: list[tuple[Callable[[], None], Deferred[None]]] = []
        log = self.log.logger("resolver")
        writing = StateWriting(self.clock, self._in_thread)
        self.book = AddressBook(directory, writing, log, read_only=read_only)
        self.book.load()

    def _in_thread(self, function: Callable[[], None]) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        self.writes.append((function, done))
        return done

    def write(self) -> None:
        function, done = self.writes.pop(0)
        execute(function).chainDeferred(done)

    def save(self) -> None:
        self.clock.advance(SAVE_AFTER_S)
        self.write()


def test_what_was_put_in_is_there_in_the_next_run(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "state")
    for name, address in (("a", A), ("a", A6), ("b", A), ("b", A2)):
        bench.book.put(name, address)
    bench.save()
    book = Bench(tmp_path / "state").book
    assert [book.get(n, f) for n, f in (("a", 4), ("a", 6), ("b", 4), ("b", 6), ("c", 4))] == [
        A, A6, A2, None, None,
    ]  # fmt: skip


def test_what_is_no_hosts_address_is_not_taken_over(tmp_path: Path) -> None:
    content = b'{"format": 1, "addresses": [["a", "0.0.0.0"], ["b", "192.0.2.1"]]}'
    (tmp_path / FILE_NAME).write_bytes(content)
    book = Bench(tmp_path).book
    assert (book.get("a", 4), book.get("b", 4)) == (None, A)


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, read_only=True)
    bench.book.put("a", A)
    bench.clock.advance(10 * SAVE_AFTER_S)
    assert bench.book.get("a", 4) == A
    assert bench.writes == []


def test_only_changes_are_written_and_one_at_a_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.book.put("a", A)
    bench.clock.advance(SAVE_AFTER_S)
    bench.book.put("a", A2)
    bench.clock.advance(10 * SAVE_AFTER_S)
    assert len(bench.writes) == 1
    bench.write()
    bench.book.put("a", A2)
    bench.clock.advance(10 * SAVE_AFTER_S)
    assert bench.writes == []
    assert Bench(tmp_path).book.get("a", 4) == A2


def test_at_the_end_nothing_waits_until_it_is_written(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.book.put("a", A)
    bench.book.hurry()
    bench.write()
    bench.book.put("b", A2)
    bench.write()
    assert not bench.clock.getDelayedCalls()
    book = Bench(tmp_path).book
    assert (book.get("a", 4), book.get("b", 4)) == (A, A2)
    book.hurry()


def test_a_disk_that_cannot_be_written_is_said_once_and_tried_on(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    directory.write_text("in the way")
    bench = Bench(directory)
    assert len(bench.log.take()) == 1  # that it cannot be read
    for address in (A, A2):
        bench.book.put("a", address)
        bench.save()
    assert len(bench.log.take()) == 1
    directory.unlink()
    bench.book.put("a", A)
    bench.save()
    assert Bench(directory).book.get("a", 4) == A
    (directory / FILE_NAME).unlink()
    directory.rmdir()
    directory.write_text("in the way again")
    bench.book.put("a", A2)
    bench.save()
    assert len(bench.log.take()) == 1


def test_the_book_does_not_grow_without_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for number in range(MAX_ADDRESSES + 10):
        bench.book.put(f"host{number}", A)
    assert bench.book.get("host9", 4) is None
    assert bench.book.get("host10", 4) == A


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"format": 2, "addresses": []}',
        b'{"format": 1}',
        b'{"format": 1, "addresses": [["a"]]}',
        b'{"format": 1, "addresses": [["a", "no address"]]}',
        b'{"format": 1, "addresses": [["a", 1]]}',
        b'{"format": 1, "addresses": [[["a"], "192.0.2.1"]]}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_a_damaged_file_is_a_line_in_the_log(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    bench = Bench(tmp_path)
    assert bench.book.get("a", 4) is None
    assert len(bench.log.lines) == 1


@given(st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(
    lambda value: json.dumps({"format": 1, "addresses": value}).encode()
))  # fmt: skip
def test_any_content_ends_in_addresses_or_the_declared_error(content: bytes) -> None:
    file = addresses_file(Path("state"))
    try:
        addresses = file.parse(content)
    except StateFileError:
        return
    assert file.parse(file.render(addresses)) == addresses
