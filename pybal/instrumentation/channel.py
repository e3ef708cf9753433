"""HTTP connections: how many there may be, and how long a request may take to come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, HTTPFactory
from zope.interface import implementer

from pybal.runtime.clock import cancel
from pybal.runtime.naming import counted

MAX_CONNECTIONS = 256
"""Enough for every real server's scripts at once; few enough to leave the checks their sockets."""
IDLE_TIMEOUT_S = 60
STUCK_S = 5.0
"""Who takes so long for a piece of an answer gives way to others, where places are short."""
HEAD_TIMEOUT_S = 5
"""From the connection, or from the first byte of a later request, to the end of its head; then as
much again for its body."""
_LOG_INTERVAL_S = 60


class Connections:
    """All connections of a site. If no other is left, a newcomer takes the place of the one that
    has been waiting longest for the client to say what it wants, or else to take its answer."""

    def __init__(self, seconds: Callable[[], float], log: Logger) -> None:
        self.now_s = seconds
        self._log = log
        self._open: dict[BoundedChannel, None] = {}
        """Those that wait for a client are in the order in which they began to."""
        self.on_lost: Callable[[], None] = lambda: None
        """Called whenever a connection is gone."""
        self._on_none: list[Deferred[None]] = []
        self._closed = 0
        self._logged_at_s: float | None = None

    def __len__(self) -> int:
        return len(self._open)

    def make_room(self) -> bool:
        """Whether there is a place for one more; closes one that is not in use if need be."""
        return len(self._open) < MAX_CONNECTIONS or self.close_oldest()

    def close_oldest(self) -> bool:
        """Close the connection that has been waiting longest; False if none waits."""
        waits = next((channel for channel in self._open if not channel.answering), None)
        oldest = waits or self._stuck()
        if oldest is None:
            return False
        self.give_up(oldest, "there are too many connections")
        del self._open[oldest]  # its place is free now, not when the reactor gets round to it
        return True

    def _stuck(self) -> BoundedChannel | None:
        """Who has not been able to write on for longest, and for long."""
        since_s = {
            channel: channel.stuck_since_s
            for channel in self._open
            if channel.stuck_since_s is not None
        }
        longest = min(since_s, key=since_s.__getitem__, default=None)
        if longest is None or self.now_s() - since_s[longest] < STUCK_S:
            return None
        return longest

    def give_up(self, channel: BoundedChannel, why: str) -> None:
        """Cut a connection off. One line of the log stands for all in a minute."""
        channel.transport.abortConnection()
        self._closed += 1
        now_s = self.now_s()
        if self._logged_at_s is None or now_s - self._logged_at_s >= _LOG_INTERVAL_S:
            self._log.warn(
                "Closed {connections} that did not ask in time, or did not take the answer, since"
                " the last such line; the last one as {why}",
                connections=counted(self._closed, "connection"),
                why=why,
            )
            self._closed, self._logged_at_s = 0, now_s

    def waits(self, channel: BoundedChannel) -> None:
        """A connection waits for its client from now on."""
        self._open.pop(channel, None)
        self._open[channel] = None

    def lost(self, channel: BoundedChannel) -> None:
        """A connection is gone."""
        self._open.pop(channel, None)
        self.on_lost()
        if not self._open:
            waiting, self._on_none = self._on_none, []
            for deferred in waiting:
                deferred.callback(None)

    def abort_all(self) -> Deferred[None]:
        """Abort every connection; fires when the last is gone."""
        none_left: Deferred[None] = Deferred()
        if not self._open:
            none_left.callback(None)
            return none_left
        self._on_none.append(none_left)
        for channel in list(self._open):
            channel.transport.abortConnection()
        return none_left


_HTTPChannel: Any = HTTPChannel
"""Twisted's has hardly any types."""


@implementer(IHalfCloseableProtocol)
class BoundedChannel(_HTTPChannel):  # type: ignore[misc]  # as above
    """A connection whose requests must come within seconds. A client that says at once that it
    will ask no more (`printf ... | socat - TCP:...`) still gets its answer."""

    connections: Connections
    answering = False
    """A whole request has come and is not answered yet."""
    stuck_since_s: float | None = None
    """Since when the client has not taken all that was written, and more waits."""

    def __init__(self) -> None:
        super().__init__()
        self._deadline: Any = None

    def connectionMade(self) -> None:
        self.connections.waits(self)
        super().connectionMade()
        self._must_be_here_in_time("its head did not come")

    def dataReceived(self, data: bytes) -> None:
        if not self.answering and self._deadline is None:
            self._must_be_here_in_time("its head did not come")
        super().dataReceived(data)

    def allHeadersReceived(self) -> None:
        self._must_be_here_in_time("its body did not come")
        super().allHeadersReceived()

    def allContentReceived(self) -> None:
        self._forget_deadline()
        self.answering = True
        super().allContentReceived()

    def requestDone(self, request: Any) -> None:  # noqa: N802
        self.answering = False
        self.connections.waits(self)
        super().requestDone(request)

    def pauseProducing(self) -> None:  # noqa: N802
        """The client takes no more for now."""
        self.stuck_since_s = self.connections.now_s()
        super().pauseProducing()

    def resumeProducing(self) -> None:  # noqa: N802
        """It does again."""
        self.stuck_since_s = None
        super().resumeProducing()

    def readConnectionLost(self) -> None:  # noqa: N802
        """The client will ask no more; it may be gone altogether, which would show when it is
        written to. One that is being written to has always been let go of."""
        if self.requests and self.answering and not self.requests[0].startedWriting:
            self.persistent = False
        else:
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:  # noqa: N802
        """Nothing more can be said."""
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure) -> None:
        self._forget_deadline()
        self.connections.lost(self)
        super().connectionLost(reason)

    def _must_be_here_in_time(self, what: str) -> None:
        self._forget_deadline()
        why = f"{what} within {HEAD_TIMEOUT_S} s"
        self._deadline = self.callLater(HEAD_TIMEOUT_S, self.connections.give_up, self, why)

    def _forget_deadline(self) -> None:
        cancel(self._deadline)
        self._deadline = None


class BoundedSite(HTTPFactory):
    """A site of a bounded number of connections: `answer` is called with each request. `reactor`
    provides IReactorTime. Not twisted.web's Site, which brings a tenth of a small daemon's start:
    sessions, templates and remote objects."""

    noisy = False
    protocol: Any = BoundedChannel
    access_log: Logger

    def __init__(
        self,
        answer: Callable[[Any], None],
        request_factory: Callable[..., Any],
        reactor: Any,
        log: Logger,
    ) -> None:
        super().__init__(reactor=reactor, timeout=IDLE_TIMEOUT_S)
        self.answer = answer
        self._request_factory = request_factory
        self.connections = Connections(reactor.seconds, log)
        self._access_log = log
        self._clock = reactor

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """None if there is no place for it."""
        if not self.connections.make_room():
            return None
        channel: Any = super().buildProtocol(addr)
        channel.requestFactory = self._request_factory
        channel.site = self
        channel.connections = self.connections
        channel.callLater = self._clock.callLater
        return channel

    def log(self, request: Any) -> None:
        """The access log goes through ours, where only `--debug` shows it."""
        self._access_log.debug(
            "{client} {method} {uri} {code} {size}",
            client=getattr(request.getClientAddress(), "host", "local"),
            method=printable(request.method),
            uri=printable(request.uri),
            code=request.code,
            size=request.sentLength,
        )


def printable(data: bytes) -> str:
    """Bytes of a request for the log."""
    return data.decode("ascii", "backslashreplace")
