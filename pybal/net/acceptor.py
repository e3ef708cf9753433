"""Accepts a listening socket's connections, also when the process is out of descriptors."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from pybal.net.descriptor_reserve import DescriptorReserve
from pybal.runtime.clock import cancel

_AT_ONCE = 50
"""Connections accepted in one turn of the reactor."""
_FOR_ONE = 2
"""Descriptors that a connection takes while it is adopted; one of them stays with it."""
_PAUSE_S = 0.2
_log = Logger(namespace="network")
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@implementer(IReadDescriptor)
class Acceptor:
    """Hands each connection to a factory, once it has begun; who connects before waits in the
    kernel's queue. The socket listens, does not block, and is the acceptor's from now on. `reactor`
    provides IReactorFDSet, IReactorSocket and IReactorTime.

    Not Twisted's own port: that closes connections it has no descriptor for, and sets a UNIX
    socket's permissions to what suits it.
    """

    def __init__(
        self,
        reactor: Any,
        listening: socket.socket,
        reserve: DescriptorReserve,
    ) -> None:
        self._reactor = reactor
        self._socket = listening
        self._factory: Factory[Any] | None = None
        self._exhausted: Callable[[bool], None] = lambda _: None
        self._reserve = reserve
        self._pause: Any = None
        self._waiting: socket.socket | None = None
        """A connection that is accepted, and waits for a descriptor to be adopted."""

    def begin(self, factory: Factory[Any], exhausted: Callable[[bool], None]) -> None:
        """Hand each connection to `factory`, unless closed already. `exhausted` is told whenever
        there is no descriptor for one but those of the reserve, with whether that had one."""
        if self._socket.fileno() < 0:
            return
        self._factory = factory
        self._exhausted = exhausted
        factory.doStart()
        self._reactor.addReader(self)

    def fileno(self) -> int:
        """The reactor asks for it, also of one that is closed."""
        return self._socket.fileno()

    def logPrefix(self) -> str:  # noqa: N802
        """The reactor's word for us."""
        return "acceptor"

    def address(self) -> Any:
        """Where it listens, as the socket says it."""
        return self._socket.getsockname()

    def doRead(self) -> None:  # noqa: N802
        """Somebody waits."""
        for _ in range(_AT_ONCE):
            try:
                connection, _ = self._socket.accept()
            except OSError as error:
                # Else nobody is left, or they left.
                if error.errno in _EXHAUSTED:
                    self._accept_by_reserve()
                return
            if not self._adopt(connection):
                self._without_descriptors(served=False)
                return

    def _accept_by_reserve(self) -> None:
        """One connection; the reserve is filled again as descriptors come free."""
        served = self._reserve.lend(_FOR_ONE) and self._accept_one()
        self._reserve.refill()
        self._without_descriptors(served=served)

    def _without_descriptors(self, *, served: bool) -> None:
        self._exhausted(served)
        if not served and self._pause is None:
            # The reactor would tell us again at once, and again.
            self._reactor.removeReader(self)
            self._pause = self._reactor.callLater(_PAUSE_S, self._go_on)

    def _accept_one(self) -> bool:
        try:
            connection, _ = self._socket.accept()
        except OSError:
            return False
        return self._adopt(connection)

    def _go_on(self) -> None:
        self._pause = None
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not self._adopt(waiting):
            self._without_descriptors(served=False)
            return
        self._reserve.refill()
        self._reactor.addReader(self)

    def _adopt(self, connection: socket.socket) -> bool:
        """False if it has to wait for a descriptor."""
        connection.setblocking(False)
        try:
            self._hand_over(connection)
        except OSError as error:
            # Else they have left already.
            if error.errno in _EXHAUSTED:
                if not self._reserve.lend(1):
                    self._waiting = connection
                    return False
                with contextlib.suppress(OSError):
                    self._hand_over(connection)
        except Exception:  # noqa: BLE001 - one connection must not end all listening
            _log.failure("A connection was not accepted")
        connection.close()
        return True

    def _hand_over(self, connection: socket.socket) -> None:
        """The reactor makes a descriptor of its own for it."""
        self._reactor.adoptStreamConnection(connection.fileno(), connection.family, self._factory)

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002
        """The reactor gives it up, with all that it has."""
        self.close()

    def close(self) -> None:
        """Accept no more; what was accepted goes on. Idempotent."""
        if self._socket.fileno() < 0:
            return
        cancel(self._pause)
        self._pause = None
        self._reactor.removeReader(self)
        self._socket.close()
        if self._waiting is not None:
            self._waiting.close()
        if self._factory is not None:
            self._factory.doStop()
