"""A kill may come at any moment of a reading: each byte is read once all the same."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from twisted.internet.main import CONNECTION_LOST

from pybal.bgp.codec import encode
from pybal.bgp.kept_session import as_taken
from pybal.bgp.messages import Keepalive
from pybal.bgp.reading import note_before_reading
from pybal.handover.connection import byte_counts
from pybal.handover.format import HandoverError, Received
from tests.bgp.test_recorder import PEER, SPEAKER, Rig, rig
from tests.sockets import reset

__all__ = ["rig"]

DATA = encode(Keepalive()) * 3


class Killed(BaseException):
    """The process goes no further."""


class Transport:
    """As Twisted's transports are on a socket."""

    bufferSize = 1000  # noqa: N815

    def __init__(self, handle: socket.socket) -> None:
        self._handle = handle
        self.read: list[bytes] = []

    def getHandle(self) -> socket.socket:  # noqa: N802
        return self._handle

    def doRead(self) -> Any:  # noqa: N802
        self.read.append(self._handle.recv(self.bufferSize))
        return "as ever"


class Bench:
    """A reader of our end; `dies_at` says at which step it is killed."""

    def __init__(self, rig: Rig, dies_at: str = "") -> None:
        self.rig, self.dies_at = rig, dies_at
        self.wanted = True
        self.taken = b""
        self.transport = Transport(rig.ours)
        note_before_reading(self.transport, lambda: self.wanted, self._note, self._take)

    def read(self, data: bytes) -> Any:
        self.rig.peer.send(data)
        return self.transport.doRead()

    def _step(self, step: str) -> None:
        if step == self.dies_at:
            raise Killed

    def _note(self, data: bytes) -> None:
        assert byte_counts(self.rig.ours).taken == len(self.taken)
        self._step("seen")
        self.rig.recorder.received(len(data), self.taken + data)
        self._step("noted")

    def _take(self, data: bytes) -> None:
        self._step("taken")
        self.taken += data


@pytest.mark.parametrize("dies_at", ["seen", "noted", "taken", ""])
@pytest.mark.parametrize("before", [0, 7, 19])
def test_wherever_a_reading_ends_the_next_process_reads_each_byte_once(
    rig: Rig, dies_at: str, before: int
) -> None:
    rig.establish()
    bench = Bench(rig)
    if before:
        bench.read(DATA[:before])
    bench.dies_at = dies_at
    if dies_at:
        with pytest.raises(Killed):
            bench.read(DATA[before:])
    else:
        bench.read(DATA[before:])
    rig.ours.close()
    for _ in range(2):  # One that was taken over is left again, before anything was read.
        left = rig.left()
        taken = left.take(SPEAKER, PEER)
        rest = taken.received.rest
        waiting = left.connection.recv(1000, socket.MSG_PEEK) if len(rest) < len(DATA) else b""
        assert rest + waiting == DATA
        left.connection.close()


def test_what_is_not_wanted_is_read_as_ever(rig: Rig) -> None:
    bench = Bench(rig)
    bench.wanted = False
    assert bench.read(DATA) == "as ever"
    assert (bench.transport.read, bench.taken) == ([DATA], b"")


def test_the_end_is_read_as_ever_and_nothing_before_it_is_lost(rig: Rig) -> None:
    rig.establish()
    bench = Bench(rig)
    seen: list[bytes] = []
    note_before_reading(bench.transport, lambda: True, seen.append, bench._take)
    rig.peer.send(DATA)
    rig.peer.shutdown(socket.SHUT_WR)
    bench.transport.doRead()
    assert bench.taken == DATA
    assert bench.transport.doRead() == "as ever"
    assert bench.transport.read == [b""]


def test_a_reset_is_told_as_one_once_all_before_it_was_read(rig: Rig) -> None:
    """Looking takes the kernel's error away: what is read afterwards looks like a clean end."""
    rig.establish()
    bench = Bench(rig)
    rig.peer.send(DATA)
    reset(rig.peer)
    assert bench.transport.doRead() is None
    assert bench.taken == DATA
    assert bench.transport.doRead() is CONNECTION_LOST
    assert bench.transport.read == []


def test_a_reset_that_comes_between_two_looks_takes_nothing_away(rig: Rig) -> None:
    rig.establish()
    bench = Bench(rig)
    rig.peer.send(DATA)

    note_before_reading(bench.transport, lambda: True, lambda _: reset(rig.peer), bench._take)
    bench.transport.doRead()
    assert bench.taken == DATA


def test_what_is_urgent_is_no_part_of_what_is_read(rig: Rig) -> None:
    bench = Bench(rig)
    seen: list[bytes] = []
    note_before_reading(bench.transport, lambda: True, seen.append, bench._take)
    rig.ours.setblocking(False)
    rig.peer.send(DATA)
    rig.peer.send(b"!", socket.MSG_OOB)
    rig.peer.send(DATA)
    for _ in range(3):
        assert bench.transport.doRead() is None
    assert bench.taken == b"".join(seen) == DATA * 2
    assert bench.transport.read == []


def test_a_descriptor_that_is_gone_is_a_lost_connection(rig: Rig) -> None:
    bench = Bench(rig)
    rig.ours.close()
    for _ in range(2):
        assert bench.transport.doRead() is CONNECTION_LOST


def test_more_than_a_reading_takes_is_read_in_parts(rig: Rig) -> None:
    rig.establish()
    bench = Bench(rig)
    bench.transport.bufferSize = 10
    rig.peer.send(DATA)
    while bench.taken != DATA:
        assert bench.transport.doRead() is None
    assert bench.transport.read == []


def received(position: int, rest: bytes) -> Received:
    return Received(3, position, 7.0, rest)


def test_what_the_kernel_still_has_is_not_taken_for_read() -> None:
    assert as_taken(received(100, b"abcd"), 100) == received(100, b"abcd")
    assert as_taken(received(100, b"abcd"), 98) == received(98, b"ab")
    assert as_taken(received(100, b"abcd"), 96) == received(96, b"")


@pytest.mark.parametrize("taken", [95, 101, 0])
def test_what_cannot_be_is_refused(taken: int) -> None:
    with pytest.raises(HandoverError, match="something was read that is not known"):
        as_taken(received(100, b"abcd"), taken)
    with pytest.raises(HandoverError, match="something was read"):
        as_taken(None, 0)
