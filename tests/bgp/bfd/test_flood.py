"""What is no BFD packet of a peer's session costs next to nothing."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from pybal.bgp.bfd.filter import program
from pybal.bgp.bfd.packet import BFDPacketError, BFDState, ControlPacket, decode_packet
from pybal.bgp.bfd.packet import encode_packet as encoded
from pybal.bgp.bfd.sockets import _Reader, attach
from tests.bgp.bfd.test_bfd import A, Joined

GOOD = ControlPacket(BFDState.UP, 0, 3, 7, 12345, 300_000, 300_000)
DOWN = replace(GOOD, state=BFDState.DOWN, your_discriminator=0)
END = encoded(replace(GOOD, my_discriminator=0xE0E0E0E0))


@contextlib.contextmanager
def filtered(version: int, *, multihop: bool) -> Iterator[socket.socket]:
    """A socket that only gets what the kernel lets through."""
    family, address = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))[version == 6]
    with socket.socket(family, socket.SOCK_DGRAM) as receiver:
        attach(receiver, program(version, multihop=multihop))
        receiver.bind((address, 0))
        receiver.setblocking(False)
        yield receiver


def arriving(receiver: socket.socket, sent: list[bytes], ttl: int = 255) -> list[bytes]:
    with socket.socket(receiver.family, socket.SOCK_DGRAM) as sender:
        for data, of in ((sent, ttl), ([END], 255)):
            if receiver.family == socket.AF_INET:
                sender.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, of)
            else:
                sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, of)
            for each in data:
                sender.sendto(each, receiver.getsockname())
    found: list[bytes] = []
    while not found or found[-1] != END:
        select.select([receiver], [], [], 5)
        found.append(receiver.recv(512))
    return found[:-1]


def changed(at: int, value: int, data: bytes = encoded(GOOD)) -> bytes:
    return data[:at] + bytes([value]) + data[at + 1 :]


def is_packet(data: bytes) -> bool:
    try:
        decode_packet(data)
    except BFDPacketError:
        return False
    return True


VARIANTS = [
    b"", b"x", encoded(GOOD)[:23], encoded(GOOD) + b"trailing", encoded(DOWN), encoded(GOOD),
    *(changed(at, value) for at in range(24) for value in (0, 1, 3, 24, 25, 32, 255)),
    *(changed(at, value, encoded(DOWN)) for at in (0, 1, 2, 3, 19) for value in (0, 64, 128, 255)),
    *(encoded(replace(DOWN, state=state)) for state in BFDState),
    encoded(replace(GOOD, my_discriminator=1 << 24, your_discriminator=1)),
    encoded(replace(GOOD, your_discriminator=1 << 24, desired_min_tx_us=1)),
]  # fmt: skip


@pytest.mark.parametrize("multihop", [False, True])
@pytest.mark.parametrize("version", [4, 6])
def test_the_kernel_lets_through_what_the_decoder_takes(version: int, multihop: bool) -> None:
    with filtered(version, multihop=multihop) as receiver:
        found = arriving(receiver, VARIANTS)
    taken = [data for data in found if is_packet(data)]
    assert taken == [data for data in VARIANTS if is_packet(data)]
    assert len(taken) > 30
    # It does not know of authentication, whose section has a length of its own.
    assert all(data[1] & 4 for data in found if not is_packet(data))


@pytest.mark.parametrize("version", [4, 6])
def test_what_has_crossed_a_router_is_dropped_unless_the_peer_is_behind_one(version: int) -> None:
    with filtered(version, multihop=False) as receiver:
        assert arriving(receiver, [encoded(GOOD)], ttl=254) == []
    with filtered(version, multihop=True) as receiver:
        assert arriving(receiver, [encoded(GOOD)], ttl=254) == [encoded(GOOD)]


def test_packets_that_anybody_could_send_count_up_to_a_few_a_second() -> None:
    joined = Joined()
    joined.wait(3)
    detector, clock = joined.detectors[A], joined.clock
    taken = sum(detector.takes(encoded(DOWN)) for _ in range(1000))
    assert 1 <= taken <= 20
    ours = encoded(replace(GOOD, your_discriminator=detector.session.my_discriminator))
    assert all(detector.takes(ours) for _ in range(1000))
    clock.advance(1)
    assert sum(detector.takes(encoded(DOWN)) for _ in range(1000)) == 10


def test_a_packet_that_cannot_be_handled_is_not_the_last_that_is_heard() -> None:
    heard: list[bytes] = []

    def received(data: bytes, _: object, __: int) -> None:
        heard.append(data)
        if len(heard) == 1:
            raise ZeroDivisionError

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for each in (b"one", b"two"):
                sender.sendto(each, receiver.getsockname())
        select.select([receiver], [], [], 5)
        _Reader(receiver, received).doRead()
    assert heard == [b"one", b"two"]
