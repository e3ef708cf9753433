"""Listens on every configured address, and keeps trying where it cannot yet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory

from pybal.model import IPAddress
from pybal.net.listener import Listener

# Enough for every real server's scripts at once; few enough to leave the checks their sockets.
_MAX_CONNECTIONS = 256


class InstrumentationServer:
    """Serves `factory` on `port` of each address.

    An address that cannot be bound is an error in the log, not the end: it is tried again
    with exponential back-off. `reactor` provides IReactorTCP and IReactorTime.
    """

    def __init__(
        self,
        reactor: Any,
        addresses: Iterable[IPAddress],
        port: int,
        factory: Factory[Any],
        log: Logger,
    ) -> None:
        self._connections = _LimitedFactory(factory)
        self._listeners = [self._listener(reactor, address, port, log) for address in addresses]

    def _listener(self, reactor: Any, address: IPAddress, port: int, log: Logger) -> Listener[Any]:
        def listen() -> Any:
            return reactor.listenTCP(port, self._connections, interface=str(address))

        return Listener(reactor, log, address, port, listen, lambda opened: opened.stopListening())

    def start(self) -> None:
        """Begin to listen, on each address as soon as possible."""
        for listener in self._listeners:
            listener.start()

    def listening(self) -> list[Any]:
        """Where connections are accepted now, as Twisted's addresses (host and port)."""
        return [listener.port.getHost() for listener in self._listeners if listener.port]

    def stop(self) -> Deferred[None]:
        """Close everything, connections included; fires when all is closed. Idempotent."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for listener in self._listeners:
            await listener.stop()
        await self._connections.abort_all()


class _LimitedFactory(WrappingFactory):
    """Knows its open connections: refuses more than a few hundred, and can abort them all."""

    noisy = False

    def __init__(self, factory: Factory[Any]) -> None:
        super().__init__(factory)  # type: ignore[no-untyped-call]  # Twisted's has no types
        self._on_idle: list[Deferred[None]] = []

    def buildProtocol(self, addr: IAddress | None) -> Any:
        if len(self.protocols) >= _MAX_CONNECTIONS:
            return None
        return super().buildProtocol(addr)

    def unregisterProtocol(self, p: ProtocolWrapper) -> None:  # noqa: N802
        super().unregisterProtocol(p)  # type: ignore[no-untyped-call]  # as above
        if not self.protocols:
            waiting, self._on_idle = self._on_idle, []
            for deferred in waiting:
                deferred.callback(None)

    def abort_all(self) -> Deferred[None]:
        """Abort every connection; fires when the last is gone."""
        idle: Deferred[None] = Deferred()
        if not self.protocols:
            idle.callback(None)
            return idle
        self._on_idle.append(idle)
        for connection in list(self.protocols):
            connection.abortConnection()
        return idle
