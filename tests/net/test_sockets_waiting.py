"""A channel knows how long what it has told of had waited for its turn."""

from __future__ import annotations

import socket

import pytest

from pybal.net.port import TCPEvents
from pybal.net.sockets import SocketNetwork
from tests.net.test_epoll import FakeReactor


def test_all_that_a_connection_had_to_wait_is_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pybal.net.epoll._TURN_S", 0.0)
    reactor = FakeReactor()
    told: list[bytes] = []
    network = SocketNetwork(reactor)
    pairs = [socket.socketpair() for _ in range(40)]
    events = TCPEvents(lambda: None, told.append, lambda _: None)
    for ours, _ in pairs:
        ours.setblocking(False)
    channels = [network.adopt_tcp(ours, events) for ours, _ in pairs]
    for _ in range(2):
        for _, far in pairs:
            far.send(b"x")
        reactor.readers[0].doRead()
        reactor.advance(0.5)  # All the turns that are left.
    assert len(told) == 80
    assert channels[0].waited_in_all_s() == 0.0
    last = channels[-1]
    assert last.waited_in_all_s() == 2 * 0.5, "eight are told at once"
    last.close()
    assert last.waited_in_all_s() == 1.0, "and afterwards"
    for channel, (_, far) in zip(channels, pairs, strict=True):
        channel.close()
        far.close()
