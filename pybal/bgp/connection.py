"""One TCP connection of BGP: bytes to messages and back, a clean end. No protocol decisions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from pybal.bgp.codec import Decoder, Received, encode
from pybal.bgp.constants import Family
from pybal.bgp.errors import NotificationError
from pybal.bgp.messages import Message
from pybal.bgp.negotiation import Session
from pybal.bgp.reading import note_before_reading
from pybal.bgp.recorder import Recorder, Records
from pybal.bgp.settings import PeerSettings
from pybal.runtime.clock import cancel

# What a flooding peer may have of one turn of the reactor: the rest is for everybody else.
_MESSAGES_A_TURN, _TURN_S = 64, 0.002
LINGER_S = 1.0  # a router that lives answers within a round trip


class ConnectionOwner(Protocol):
    """Who decides: told of everything that happens, until the connection is closed."""

    def connection_made(self) -> None:
        """It stands."""

    def message_received(self, message: Received) -> None:
        """A whole message that is free of errors, or an UPDATE with those it has."""

    def peer_failed(self, error: NotificationError) -> None:
        """The peer broke the protocol; nothing more comes."""

    def connection_lost(self, reason: str) -> None:
        """It has ended, because of `reason`; not by our closing it."""

    def transport_drained(self) -> None:
        """All that was sent has left this process."""


@implementer(IPullProducer)
class BGPConnection(TwistedProtocol):
    """Owned by one Link. As a pull producer it learns when all that was written has left.

    `ended` fires when the connection, once made, is gone. `prepare` is called with the
    transport before anything is sent or read; an OSError of it ends the connection. `peer` is whom
    a connection that was accepted comes from. `recorder`, where there is one, is told of every
    byte, so that another process could go on.
    """

    def __init__(self, clock: Any, owner: ConnectionOwner, records: Records | None) -> None:
        self.ended: Deferred[None] = Deferred()
        self.prepare: Callable[[Any], None] | None = None
        self.peer: PeerSettings | None = None
        self.drained = False
        self.recorder: Recorder | None = None
        self._records = records
        self._pending = b""
        self._clock = clock
        self._owner: ConnectionOwner | None = owner
        self._decoder = Decoder()
        self._session: Session | None = None
        self._linger: Any = None
        self._paused = False
        self._held = False
        self._turn: Any = None
        self._addresses: tuple[str, str] | None = None  # a system call each to ask for

    @property
    def made(self) -> bool:
        """Whether it stands, or stood."""
        return self.transport is not None

    def addresses(self) -> tuple[str, str] | None:
        """(local, remote) addresses, None before the connection is made."""
        if self._addresses is None and self.transport is not None:
            transport: Any = self.transport
            self._addresses = transport.getHost().host, transport.getPeer().host
        return self._addresses

    def negotiated(self, session: Session) -> None:
        """From the next message on the session's sizes and ASN width are in force."""
        self._session = session
        self._decoder.scope = session.scope
        self._decoder.max_size = session.receive_size

    def send(self, message: Message) -> None:
        """Encode and queue a message; nothing happens once the connection is closing."""
        transport: Any = self.transport
        if transport is None or self._owner is None:
            return
        session = self._session
        if session is None:
            data = encode(message)
        else:
            data = encode(message, session.scope, session.send_size)
        self.drained = False
        if self.recorder is not None:
            self.recorder.sent(data)
        transport.write(data)

    def hold(self) -> None:
        """Take no more messages until `release`."""
        self._held = True

    def release(self) -> None:
        """Go on where it was held, in another turn of the reactor."""
        if self._held:
            self._held = False
            if self._owner is not None and self._turn is None:
                self._turn = self._clock.callLater(0, self._take_turn)

    def resume(self, session: Session, recorder: Recorder, rest: bytes, pending: bytes) -> None:
        """Before it is made: go on with a connection of another process, which has read `rest` and
        not understood it yet, and has not written `pending`."""
        self.negotiated(session)
        self.recorder = recorder
        self._decoder.feed(rest)
        self._pending = pending

    @property
    def waiting(self) -> bytes:
        """What was read and not understood yet."""
        return self._decoder.waiting

    @property
    def is_kept(self) -> bool:
        """Whether another process could go on with it."""
        return self.recorder is not None and self.recorder.is_kept

    def hand_over(self) -> None:
        """Leave it as it is to the next process: from now on nothing is read or written."""
        self._owner = None
        cancel(self._turn)
        self._turn = None
        transport: Any = self.transport
        transport.unregisterProducer()
        transport.stopReading()
        transport.stopWriting()

    def asked(self, family: Family) -> None:
        """The peer wants to hear all of a family again."""
        if self.recorder is not None:
            self.recorder.asked(family)

    def answered(self) -> None:
        """It has heard all that it wanted to."""
        if self.recorder is not None:
            self.recorder.answered()

    def close(self) -> None:
        """Flush what was sent, say FIN, wait briefly for the peer's, then end it.

        An immediate close with unread bytes would become a reset, and the peer might lose our
        last NOTIFICATION.
        """
        if self._owner is None:
            return
        self._owner = None
        if self.recorder is not None:
            self.recorder.end()
        cancel(self._turn)
        self._turn = None
        transport: Any = self.transport
        if transport is None:
            return
        transport.unregisterProducer()
        if self._paused:
            transport.resumeProducing()
        transport.loseWriteConnection()
        self._linger = self._clock.callLater(LINGER_S, transport.abortConnection)

    # Twisted's side

    def connectionMade(self) -> None:
        transport: Any = self.transport
        if self._owner is None:
            transport.abortConnection()
            return
        if self.prepare is not None:
            try:
                self.prepare(transport)
            except OSError:
                transport.abortConnection()
                return
        if self.recorder is not None:
            self.recorder.moved_to(transport.getHandle())
        elif self._records is not None:
            self.recorder = self._records.open(transport)
        if self.recorder is not None:
            note_before_reading(transport, self._is_noted, self._note, self._take)
        transport.registerProducer(self, False)
        if self._pending:
            self.drained = False
            transport.write(self._pending)
        if self._decoder.waiting:
            self._turn = self._clock.callLater(0, self._take_turn)
        self._owner.connection_made()

    def dataReceived(self, data: bytes) -> None:
        self._note(data)
        self._take(data)

    def _is_noted(self) -> bool:
        """Whether what is read now has to be noted before."""
        return self._owner is not None and self.is_kept

    def _note(self, data: bytes) -> None:
        """This has arrived."""
        if self._owner is not None and self.recorder is not None:
            self.recorder.received(len(data), self._decoder.waiting + data)

    def _take(self, data: bytes) -> None:
        if self._owner is None:
            return
        self._decoder.feed(data)
        if self._turn is None:
            self._take_turn()

    def _take_turn(self) -> None:
        self._turn = None
        until = self._clock.seconds() + _TURN_S
        for _ in range(_MESSAGES_A_TURN):
            # The owner may close or hold us at any message.
            if self._owner is None:
                return
            if self._held:
                self._pause(True)
                return
            try:
                message = self._decoder.next_message()
            except NotificationError as error:
                self._owner.peer_failed(error)
                self.close()
                return
            if message is None:
                self._note_understood()
                self._pause(False)
                return
            self._owner.message_received(message)
            if self._clock.seconds() > until:
                break
        if self._owner is not None:
            self._note_understood()
            self._pause(True)
        if self._owner is not None and not self._held:
            self._turn = self._clock.callLater(0, self._take_turn)

    def _note_understood(self) -> None:
        if self.recorder is not None:
            self.recorder.understood(self._decoder.waiting)

    def _pause(self, pause: bool) -> None:
        if pause == self._paused:
            return
        self._paused = pause
        transport: Any = self.transport
        (transport.pauseProducing if pause else transport.resumeProducing)()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        cancel(self._turn)
        self._turn = None
        cancel(self._linger)
        owner, self._owner = self._owner, None
        if self.recorder is not None:
            self.recorder.end()
        if owner is not None:
            owner.connection_lost(reason.getErrorMessage().rstrip("."))
        self.ended.callback(None)

    # IPullProducer

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        self.drained = True
        if self._owner is not None:
            self._owner.transport_drained()

    def stopProducing(self) -> None:  # noqa: N802 - Twisted's name
        """Called when the transport is lost; connectionLost follows."""
