"""Listens on every configured address, and keeps trying where it cannot yet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory

from pybal.model import IPAddress

# Enough for every real server's scripts at once; few enough to leave the checks their sockets.
_MAX_CONNECTIONS = 256

_FIRST_RETRY_S = 1.0
_MAX_RETRY_S = 60.0


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
        self._listeners = [
            _Listener(reactor, address, port, self._connections, log) for address in addresses
        ]

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


class _Listener:
    """One address: listens, or waits to try again. `port` is the IListeningPort while it is
    open."""

    def __init__(
        self, reactor: Any, address: IPAddress, number: int, factory: _LimitedFactory, log: Logger
    ) -> None:
        self.port: Any = None
        self._reactor = reactor
        self._address = address
        self._number = number
        self._factory = factory
        self._log = log
        self._retry_s = _FIRST_RETRY_S
        self._retry: Any = None
        self._last_error = ""

    def start(self) -> None:
        self._retry = None
        try:
            self.port = self._reactor.listenTCP(
                self._number, self._factory, interface=str(self._address)
            )
        except (CannotListenError, OSError) as error:
            self._try_again(error)
        else:
            self._log.info(
                "Listening on {address} port {port}", address=self._address, port=self._number
            )

    def _try_again(self, error: Exception) -> None:
        reason = str(getattr(error, "socketError", error))
        # The same error again is no news.
        tell = self._log.debug if reason == self._last_error else self._log.error
        tell(
            "Cannot listen on {address} port {port}: {reason}; trying again until it works",
            address=self._address,
            port=self._number,
            reason=reason,
        )
        self._last_error = reason
        self._retry = self._reactor.callLater(self._retry_s, self.start)
        self._retry_s = min(self._retry_s * 2, _MAX_RETRY_S)

    async def stop(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        port, self.port = self.port, None
        if port is not None:
            await maybeDeferred(port.stopListening)


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
