"""A TCP connection to the first of several addresses that takes one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from pybal.errors import describe_os_error, is_local_fault
from pybal.model import IPAddress
from pybal.net.port import Channel, Network, TCPEvents
from pybal.runtime.clock import cancel

STAGGER_S = 0.25
"""An address that has not answered for so long is tried on beside the next one (RFC 8305)."""


class Connecting:
    """Tries the addresses in their order until one connects, which is then the only one left.

    `connected(address, channel)` is called once, or else `failed(why, fault)`: what became of
    each try, and an error of our own if that was all that hindered us. The connection is then the
    caller's to close; `received(data)` and `closed(error)` are TCPEvents' of it. Nothing but those
    is called after close().
    """

    __slots__ = ("_clock", "_closed", "_connected", "_errors", "_failed", "_left", "_network",
                 "_next", "_port", "_received", "_source", "_tries")  # fmt: skip

    def __init__(
        self,
        clock: Any,
        network: Network,
        connected: Callable[[IPAddress, Channel], None],
        failed: Callable[[str, OSError | None], None],
        received: Callable[[bytes], None],
        closed: Callable[[OSError | None], None],
    ) -> None:
        self._clock = clock
        self._network = network
        self._connected = connected
        self._failed = failed
        self._received = received
        self._closed = closed
        self._tries: dict[IPAddress, Channel] = {}
        self._errors: list[tuple[IPAddress, OSError]] = []
        self._next: Any = None

    def start(self, addresses: Sequence[IPAddress], port: int, source: IPAddress | None) -> None:
        """Begin; there is at least one address. May fail from within."""
        self._left = list(reversed(addresses))
        self._port = port
        self._source = source
        self._try_next()

    def close(self) -> None:
        """End all tries. Idempotent."""
        self._stop_waiting()
        self._left = []
        self._close_tries()

    def _try_next(self) -> None:
        self._stop_waiting()
        while self._left:
            address = self._left.pop()
            events = TCPEvents(
                partial(self._is_connected, address),
                self._received,
                partial(self._is_closed, address),
            )
            try:
                channel = self._network.connect_tcp(
                    address, self._port, events, source=self._source
                )
            except OSError as error:
                self._errors.append((address, error))
                continue
            self._tries[address] = channel
            if self._left:
                self._next = self._clock.callLater(STAGGER_S, self._try_next)
            return
        if not self._tries:
            self._give_up()

    def _is_connected(self, address: IPAddress) -> None:
        self._stop_waiting()
        self._left = []
        channel = self._tries.pop(address)
        self._close_tries()
        self._connected(address, channel)

    def _is_closed(self, address: IPAddress, error: OSError | None) -> None:
        if self._tries.pop(address, None) is None:
            self._closed(error)
        else:
            self._errors.append((address, error or OSError("closed at once")))
            self._try_next()

    def _close_tries(self) -> None:
        tries, self._tries = self._tries, {}
        for channel in tries.values():
            channel.close()

    def _stop_waiting(self) -> None:
        cancel(self._next)
        self._next = None

    def _give_up(self) -> None:
        errors = self._errors
        faults = [error for _, error in errors if is_local_fault(error)]
        if len(errors) == 1:
            why = describe_os_error(errors[0][1])
        else:
            why = ", ".join(f"{address} {describe_os_error(error)}" for address, error in errors)
        self._failed(why, faults[0] if len(faults) == len(errors) else None)
