"""A Network whose peers are the test."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pybal.model import IPAddress
from pybal.net.port import ConnectionKeeper, Keepalive, TCPEvents, UDPEvents


def os_error(code: int) -> OSError:
    """What the kernel's errno is in Python."""
    return OSError(code, os.strerror(code))


class FakeChannel:
    """What a monitor did with a socket. The peer's acts fail on one that is closed, since a
    real one is silent from then on."""

    def __init__(
        self,
        address: IPAddress,
        port: int,
        events: TCPEvents | UDPEvents,
        source: IPAddress | None = None,
        keepalive: Keepalive | None = None,
    ) -> None:
        self.address = address
        self.port = port
        self.events = events
        self.source = source
        self.keepalive = keepalive
        self.is_tcp = isinstance(events, TCPEvents)
        self.sent: list[bytes] = []
        self.send_error: OSError | None = None
        self.connected = False
        self.open = True
        self.kept = 0
        self.unseen: Callable[[], None] | None = None
        """What the peer has done, and nobody was told of."""
        self.waited = 0.0
        self.waited_in_all = 0.0

    def keep(self, keeper: ConnectionKeeper) -> int:
        return self.kept

    def send(self, data: bytes) -> None:
        assert self.open
        if self.send_error is not None:
            raise self.send_error
        self.sent.append(data)

    def catch_up(self) -> None:
        """What has come is told."""
        unseen, self.unseen = self.unseen, None
        if unseen is not None:
            unseen()

    def waited_s(self) -> float:
        return self.waited

    def waited_in_all_s(self) -> float:
        return self.waited_in_all

    def close(self) -> None:
        self.open = False

    def connect(self) -> None:
        """The peer accepts."""
        assert self.open and isinstance(self.events, TCPEvents)
        self.connected = True
        self.events.connected()

    def receive(self, data: bytes) -> None:
        """The peer sends."""
        assert self.open
        self.events.received(data)

    def end(self, code: int | None = None) -> None:
        """The connection ends: cleanly, or with an errno."""
        assert self.open and isinstance(self.events, TCPEvents)
        self.open = False
        self.events.closed(os_error(code) if code is not None else None)

    def fail(self, code: int) -> None:
        """ICMP brings an error."""
        assert self.open and isinstance(self.events, UDPEvents)
        self.events.failed(os_error(code))


@contextmanager
def without_garbage(network: FakeNetwork) -> Iterator[None]:
    """Once the network has forgotten its channels, all of ours that has come meanwhile, and gone,
    went at once. (Twisted's coroutines are garbage in older versions.)"""
    gc.disable()
    gc.freeze()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield
        network.channels.clear()
        gc.collect()
        kinds = {f"{type(each).__module__}.{type(each).__name__}" for each in gc.garbage}
        assert not [kind for kind in kinds if kind.startswith("pybal.")]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.unfreeze()
        gc.enable()


class FakeNetwork:
    """Remembers all channels ever opened. While `error` is set, none can be opened."""

    def __init__(self) -> None:
        self.channels: list[FakeChannel] = []
        self.error: Exception | None = None

    @property
    def open(self) -> list[FakeChannel]:
        """The channels that are open now."""
        return [channel for channel in self.channels if channel.open]

    def connect_tcp(
        self,
        address: IPAddress,
        port: int,
        events: TCPEvents,
        *,
        source: IPAddress | None = None,
        keepalive: Keepalive | None = None,
    ) -> FakeChannel:
        return self._add(FakeChannel(address, port, events, source, keepalive))

    def adopt_tcp(
        self,
        connection: socket.socket,
        events: TCPEvents,
        *,
        keepalive: Keepalive | None = None,
    ) -> FakeChannel:
        raise AssertionError("no process was before this one")

    def connect_udp(
        self, address: IPAddress, port: int, events: UDPEvents, *, source: IPAddress | None = None
    ) -> FakeChannel:
        return self._add(FakeChannel(address, port, events, source))

    def connect_ping(
        self, address: IPAddress, events: UDPEvents, *, source: IPAddress | None = None
    ) -> FakeChannel:
        return self._add(FakeChannel(address, 0, events, source))

    def _add(self, channel: FakeChannel) -> FakeChannel:
        if self.error is not None:
            raise self.error
        self.channels.append(channel)
        return channel
