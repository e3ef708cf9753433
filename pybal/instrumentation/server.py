"""Listens on every configured address, and keeps trying where it cannot yet."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pybal.instrumentation.late_site import LateSite
from pybal.model import IPAddress
from pybal.net.acceptor import Acceptor
from pybal.net.descriptor_reserve import DescriptorReserve
from pybal.net.listener import Listener
from pybal.runtime.stopping import end_in_turn

if TYPE_CHECKING:
    from pybal.instrumentation.channel import BoundedSite

_BACKLOG = 128
_LOG_INTERVAL_S = 60

Exhausted = Callable[[], None]
"""Told when the process is out of descriptors."""


def listening_socket(address: IPAddress, port: int) -> socket.socket:
    """A socket that listens; OSError if there is none to be had."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    found = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((str(address), port))
        found.listen(_BACKLOG)
    except OSError:
        found.close()
        raise
    return found


class Accepting:
    """How connections are accepted: by whose reactor, from which reserve. `listen` opens a
    socket at an address and port, or raises OSError."""

    def __init__(
        self,
        reactor: Any,
        reserve: DescriptorReserve,
        log: Logger,
        exhausted: Exhausted,
        listen: Callable[[IPAddress, int], socket.socket] = listening_socket,
    ) -> None:
        self.reactor = reactor
        self.listen = listen
        self.log = log
        self._reserve = reserve
        self._tell_exhausted = exhausted
        self._logged_at_s: float | None = None
        self._sites: WeakSet[BoundedSite] = WeakSet()

    def accept(self, listening: socket.socket, site: LateSite) -> Acceptor:
        """Have a listening socket's connections served."""
        acceptor = Acceptor(self.reactor, listening, self._reserve)
        site.when_there(partial(self._begin, acceptor))
        return acceptor

    def _begin(self, acceptor: Acceptor, site: BoundedSite) -> None:
        self._sites.add(site)
        site.connections.on_lost = self._reserve.refill
        acceptor.begin(site, self._exhausted)

    def _exhausted(self, served: bool) -> None:
        self._tell_exhausted()
        now_s = self.reactor.seconds()
        if self._logged_at_s is None or now_s - self._logged_at_s >= _LOG_INTERVAL_S:
            self._logged_at_s = now_s
            self.log.critical(
                "The process is out of descriptors; requests are answered with those in reserve"
            )
        if not served:
            # Whoever has most of them: many who ask nothing must not keep out who asks elsewhere.
            max((site.connections for site in self._sites), key=len).close_oldest()


class InstrumentationServer:
    """Serves a site on `port` of each address.

    An address that cannot be bound is an error in the log, not the end: it is tried again
    with exponential back-off.
    """

    def __init__(
        self,
        accepting: Accepting,
        addresses: Iterable[IPAddress],
        port: int,
        site: LateSite,
        *,
        keeps_trying: bool = True,
    ) -> None:
        self._accepting = accepting
        self._site = site
        self._keeps_trying = keeps_trying
        self._wanted = [(address, port) for address in addresses]
        self._listeners: dict[tuple[IPAddress, int], Listener[Acceptor]] = {}

    def _listener(self, address: IPAddress, port: int) -> Listener[Acceptor]:
        accepting = self._accepting

        def listen() -> Acceptor:
            return accepting.accept(accepting.listen(address, port), self._site)

        return Listener(
            accepting.reactor,
            accepting.log,
            f"{address} port {port}",
            listen,
            Acceptor.close,
            keeps_trying=self._keeps_trying,
        )

    def start(self) -> None:
        """Begin to listen, on each address as soon as possible."""
        for where in self._wanted:
            if where not in self._listeners:
                self._listeners[where] = self._listener(*where)
                self._listeners[where].start()

    async def reconfigure(self, addresses: Iterable[IPAddress], port: int) -> None:
        """Listen there from now on; connections that are open, and listeners that are to stay, are
        not touched."""
        self._wanted = [(address, port) for address in addresses]
        gone = [each for each in self._listeners if each not in self._wanted]
        stops = [self._listeners.pop(where).stop for where in gone]
        await end_in_turn(self._accepting.log, *stops)
        self.start()

    def listening(self) -> list[tuple[str, int]]:
        """Where connections are accepted now: host and port."""
        return [
            listener.port.address()[:2] for listener in self._listeners.values() if listener.port
        ]

    def stop(self) -> Deferred[None]:
        """Close everything, connections included; fires when all is closed. Idempotent."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        stops = (listener.stop for listener in self._listeners.values())
        await end_in_turn(self._accepting.log, *stops, self._site.abort_all)
