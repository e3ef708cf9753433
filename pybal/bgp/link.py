"""One TCP connection, wanted or present, and its FSM: messages become events, actions are done."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol

from pybal.bgp.adj_rib_out import AdjRIBOut
from pybal.bgp.attributes import Severity
from pybal.bgp.causes import Weight
from pybal.bgp.codec import Received
from pybal.bgp.connection import BGPConnection
from pybal.bgp.constants import ErrorCode, Family, OpenSubcode, RefreshSubtype
from pybal.bgp.diagnosis import faults_in_words
from pybal.bgp.errors import NotificationError
from pybal.bgp.fsm import FSM, Action, Do, Event, EventKind, State
from pybal.bgp.importer import Importer
from pybal.bgp.messages import Keepalive, Message, Notification, Open, RouteRefresh
from pybal.bgp.negotiation import Session
from pybal.bgp.notification import is_collision, shutdown_text, unwrapped
from pybal.bgp.ports import BGPPorts
from pybal.bgp.running_fsm import RunningFSM
from pybal.bgp.settings import Options
from pybal.bgp.update import DecodedUpdate
from pybal.runtime.clock import cancel

_BATCH_MESSAGES = 8  # pulled at a time: a few ms of encoding at most
_GIVES_WAY_S = 1.0
_ASKS_EVERY_S = 1.0  # no more keepalives than that (RFC 4271 section 4.4)

_EVENT_OF_ERROR = {
    ErrorCode.MESSAGE_HEADER: EventKind.BGP_HEADER_ERR,
    ErrorCode.OPEN_MESSAGE: EventKind.BGP_OPEN_MSG_ERR,
    ErrorCode.UPDATE_MESSAGE: EventKind.UPDATE_MSG_ERR,
    ErrorCode.ROUTE_REFRESH_MESSAGE: EventKind.ROUTE_REFRESH_MSG_ERR,
}

_SAID_BY_THE_PEER = (EventKind.NOTIF_MSG, EventKind.NOTIF_MSG_VER_ERR)
"""Where the RFC has a NOTIFICATION answered, the answer must not hide it."""


class Side(Enum):
    """Who opened the TCP connection, as the metrics name it."""

    ACTIVE = "active"
    PASSIVE = "passive"


class LinkOwner(Protocol):
    """The peering, as its links see it."""

    @property
    def importer(self) -> Importer:
        """For what the session's peer says."""

    def dial(self, connection: BGPConnection, failed: Callable[[str], None]) -> Callable[[], None]:
        """BGPNetwork.dial to this peer."""

    def local_open(self) -> Open:
        """The OPEN to send now."""

    def check_open(self, peer: Open, local: Open) -> None:
        """Whether the peer's OPEN may follow ours; raises NotificationError."""

    def gives_way(self, link: Link, peer_open: Open) -> bool:
        """Whether another connection is about to win the collision with `link`."""

    def settle_collision(self, link: Link, peer_open: Open) -> bool:
        """RFC 4271 section 6.8, before `peer_open` is accepted; False if `link` has to go."""

    def negotiate(self, local: Open, peer: Open) -> Session:
        """What the two OPENs, ours and one that has been checked, make of a session."""

    def new_rib(self, session: Session) -> AdjRIBOut:
        """For the session's routes."""

    def connection_closing(self, connection: BGPConnection) -> None:
        """It has been told to close and will end by itself."""

    def session_up(self, link: Link) -> None:
        """`link` is established."""

    def state_changed(self, link: Link, before: State) -> None:
        """`link` has gone from the state `before` to another."""

    def count(self, message: str, direction: str) -> None:
        """A message was `sent` or `received`; its kind in lower case."""

    def note_failure(self, link: Link, text: str, weight: Weight) -> None:
        """Something went wrong, for people."""

    def in_words(self, message: Notification) -> str:
        """A NOTIFICATION of the peer."""

    def silence(self) -> str:
        """What it may mean that an attempt to connect gets no answer."""

    def peer_lacks_capabilities(self) -> None:
        """The peer has refused an OPEN with capabilities."""


class Link:
    """Feeds events to the FSM (running_fsm.py) and does what it says. One per connection.

    `rib` exists while the session is established.
    """

    def __init__(
        self, owner: LinkOwner, side: Side, options: Options, ports: BGPPorts, log: Any
    ) -> None:
        self.side = side
        self.rib: AdjRIBOut | None = None
        self.connection: BGPConnection | None = None
        self._owner = owner
        self._options = options
        self._clock = ports.clock
        self._records = ports.records
        self._log = log
        self._running = RunningFSM(self, options, ports)
        self._give_up: Callable[[], None] | None = None
        self._local_open: Open | None = None
        self._asked_at: float | None = None
        self._waiting: tuple[Open, Any] | None = None  # the peer's OPEN, and until when it waits

    @property
    def fsm(self) -> FSM:
        """As it stands."""
        return self._running.fsm

    @property
    def state(self) -> State:
        """The FSM's."""
        return self.fsm.state

    @property
    def session(self) -> Session | None:
        """What was negotiated; None before both OPENs are there."""
        return self.fsm.session

    def feed(self, event: Event | EventKind) -> None:
        """Take an event; events that its actions cause are taken after it, in order."""
        self._running.feed(event if isinstance(event, Event) else Event(event))

    def end(self, kind: EventKind, notification: Notification, why: str) -> None:
        """Stop for a reason of our own."""
        self.feed(Event(kind, notification=notification, why=why))

    def resume_from(self, fsm: FSM) -> None:
        """Take over what is known of the peer's failures, or another link's back-off."""
        self._running.go_on_from(fsm)

    def attach(self, connection: BGPConnection) -> None:
        """An accepted connection, not yet made."""
        self.connection = connection

    def take_over(self, fsm: FSM, connection: BGPConnection) -> None:
        """Go on with the established session of another process; its routes come next."""
        self.connection = connection
        self._running.go_on_from(fsm)

    def hand_over(self) -> None:
        """Leave the session as it is to the next process."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.hand_over()
        self.rib = None
        self._running.go_on_from(FSM())

    def flush(self) -> None:
        """Send what the Adj-RIB-Out has to say, as far as the transport has room."""
        if self.rib is None or self.connection is None or not self.connection.drained:
            return
        sent = 0
        while sent < _BATCH_MESSAGES and (message := self.rib.next_message()) is not None:
            self._send(message)
            sent += 1
        if self.rib.in_sync:
            self.connection.answered()
        if sent:
            self.feed(EventKind.UPDATES_SENT)

    def ask_for_life(self) -> None:
        """A peer that died, and lives anew, answers what belongs to its former life with a reset:
        long before the hold time is over, or the kernel asks it."""
        if self._asked_at is None or self._clock.seconds() - self._asked_at >= _ASKS_EVERY_S:
            self._asked_at = self._clock.seconds()
            self.say_alive()

    def say_alive(self) -> None:
        """A KEEPALIVE besides the others."""
        self._send(Keepalive())

    def ask_again(self, families: tuple[Family, ...]) -> None:
        """Have the peer say all of these again, if it can (RFC 2918)."""
        if self.session is not None and self.session.route_refresh:
            for family in families:
                self._send(RouteRefresh(family))

    @property
    def flushed(self) -> bool:
        """Whether the kernel holds all that there was to say."""
        connection = self.connection
        return self.rib is None or connection is None or (self.rib.in_sync and connection.drained)

    # FSMOwner

    def state_changed(self, before: State) -> None:
        """See FSMOwner."""
        self._owner.state_changed(self, before)

    def timer_expired(self, kind: EventKind) -> None:
        """See FSMOwner."""
        if kind is EventKind.CONNECT_RETRY_TIMER_EXPIRES and self.state is State.CONNECT:
            silence = self._owner.silence()
            self._owner.note_failure(self, f"connect: {silence}", Weight.UNREACHED)
        self.feed(Event(kind, why=self._reason_of(kind)))

    def _reason_of(self, kind: EventKind) -> str:
        if kind is EventKind.SEND_HOLD_TIMER_EXPIRES:
            return "the peer does not read"
        if kind is not EventKind.HOLD_TIMER_EXPIRES:
            return ""
        if self.session is None:
            return f"no OPEN within {self._options.open_hold_s:.0f} s"
        return f"nothing heard for {self.session.hold_time_s or self._options.open_hold_s:.0f} s"

    def do(self, action: Action, event: Event) -> None:
        """See FSMOwner."""
        match action:
            case Notification():
                self._note_sent(action, event)
                self._send(action)
            case Do.CONNECT:
                self._connect()
            case Do.DISCONNECT:
                self._disconnect()
            case Do.SEND_OPEN:
                self._local_open = self._owner.local_open()
                self._send(self._local_open)
            case Do.SEND_KEEPALIVE:
                self._accept_session()
                self._send(Keepalive())
            case Do.SESSION_UP:
                self._session_up()
            case Do.SESSION_DOWN:
                self.rib = None

    def _note_sent(self, notification: Notification, event: Event) -> None:
        if event.kind in _SAID_BY_THE_PEER or is_collision(notification):
            return  # what the peer said is the cause; another connection stays
        reason = shutdown_text(unwrapped(notification))
        why = f": {event.why}" if event.why else ""
        text = f'{notification} ("{reason}")' if reason else f"{notification}{why}"
        self._owner.note_failure(self, f"sent {text}", _weight(notification))

    def _connect(self) -> None:
        connection = BGPConnection(self._clock, self, self._records)
        self.connection = connection
        self._give_up = self._owner.dial(connection, self._connect_failed)

    def _connect_failed(self, reason: str) -> None:
        if self._give_up is None:
            return
        self._give_up = None
        self.connection = None
        self._owner.note_failure(self, f"connect: {reason}", Weight.UNREACHED)
        self.feed(EventKind.TCP_CONNECTION_FAILS)

    def _disconnect(self) -> None:
        connection, self.connection = self.connection, None
        give_up, self._give_up = self._give_up, None
        self.wait_no_longer()
        if connection is None:
            return
        connection.close()
        if connection.made:
            self._owner.connection_closing(connection)
        elif give_up is not None:
            give_up()

    def _accept_session(self) -> None:
        if self.fsm.session is not None and self.connection is not None:
            self.connection.negotiated(self.fsm.session)

    def _session_up(self) -> None:
        session = self.fsm.session
        if session is None:
            raise AssertionError("established without a session")
        self.rib = self._owner.new_rib(session)
        self._owner.session_up(self)

    def _send(self, message: Message) -> None:
        if self.connection is not None:
            self._owner.count(type(message).__name__.lower(), "sent")
            self.connection.send(message)

    # ConnectionOwner

    def connection_made(self) -> None:
        """See ConnectionOwner."""
        self._give_up = None
        acked = self.side is Side.ACTIVE
        self.feed(EventKind.TCP_CR_ACKED if acked else EventKind.TCP_CONNECTION_CONFIRMED)

    def connection_lost(self, reason: str) -> None:
        """See ConnectionOwner."""
        self.connection = None
        self.wait_no_longer()
        self._owner.note_failure(self, f"connection lost: {reason}", Weight.LOST)
        self.feed(EventKind.TCP_CONNECTION_FAILS)

    def transport_drained(self) -> None:
        """See ConnectionOwner."""
        if self.rib is not None:
            self.feed(EventKind.TRANSPORT_DRAINED)
            self.flush()

    def peer_failed(self, error: NotificationError) -> None:
        """See ConnectionOwner."""
        notification = Notification(error.code, error.subcode, error.data)
        kind = _EVENT_OF_ERROR[ErrorCode(error.code)]
        self.feed(Event(kind, notification=notification, why=error.detail))

    def message_received(self, message: Received) -> None:
        """See ConnectionOwner."""
        name = "update" if isinstance(message, DecodedUpdate) else type(message).__name__.lower()
        self._owner.count(name, "received")
        match message:
            case Open():
                self._open_received(message)
            case DecodedUpdate():
                self._update_received(message)
            case Notification():
                self._notification_received(message)
            case Keepalive():
                self.feed(EventKind.KEEPALIVE_MSG)
            case RouteRefresh():
                self._refresh_received(message)

    def _open_received(self, message: Open) -> None:
        delaying = self.fsm.delay_open_at is not None
        if not delaying and self.state is not State.OPEN_SENT:
            self.feed(EventKind.BGP_OPEN)
            return
        local = self._local_open if self._local_open is not None else self._owner.local_open()
        try:
            self._owner.check_open(message, local)
        except NotificationError as error:
            self.peer_failed(error)
            return
        if self._waiting is None and self._owner.gives_way(self, message):
            self._wait(message)
            return
        self._waiting = None
        if not self._owner.settle_collision(self, message):
            self.feed(EventKind.OPEN_COLLISION_DUMP)
            return
        kind = EventKind.BGP_OPEN_WITH_DELAY_OPEN_TIMER if delaying else EventKind.BGP_OPEN
        self.feed(Event(kind, session=self._owner.negotiate(local, message)))

    def _wait(self, message: Open) -> None:
        """Both sides have connected, and this is the connection that section 6.8 drops. Were it
        confirmed now, each side might take another one for the session, and drop the other's."""
        if self.connection is not None:
            self.connection.hold()
        self._waiting = message, self._clock.callLater(_GIVES_WAY_S, self.wait_no_longer)

    def wait_no_longer(self) -> None:
        """The other connection has not become the session."""
        if self._waiting is None:
            return
        message, call = self._waiting
        cancel(call)
        connection = self.connection
        if connection is not None:
            self._open_received(message)
            connection.release()
        self._waiting = None

    def _update_received(self, message: DecodedUpdate) -> None:
        addresses = self.connection.addresses() if self.connection is not None else None
        if message.severity is not Severity.NONE and addresses is not None:
            self._log.warn(
                "Peer {peer}: UPDATE with errors, {errors}",
                peer=addresses[1], errors=faults_in_words(message.severity, message.faults),
            )  # fmt: skip
        if self.state is State.ESTABLISHED:
            self._owner.importer.take(message.update)
        self.feed(EventKind.UPDATE_MSG)

    def _refresh_received(self, message: RouteRefresh) -> None:
        self.feed(EventKind.ROUTE_REFRESH_MSG)
        if self.rib is None:
            return
        self._owner.importer.marker(message)
        if message.subtype == RefreshSubtype.REQUEST:
            if self.connection is not None:
                self.connection.asked(message.family)
            self.rib.refresh(message.family)
            self.flush()

    def _notification_received(self, message: Notification) -> None:
        words = self._owner.in_words(message)
        self._owner.note_failure(self, f"received {words}", _weight(message))
        self.feed(Event(self._event_of(message), notification=message))

    def _event_of(self, message: Notification) -> EventKind:
        if message.code == ErrorCode.OPEN_MESSAGE:
            if message.subcode == OpenSubcode.UNSUPPORTED_VERSION:
                return EventKind.NOTIF_MSG_VER_ERR
            if message.subcode == OpenSubcode.UNSUPPORTED_OPTIONAL_PARAMETER:
                self._owner.peer_lacks_capabilities()
        return EventKind.NOTIF_MSG


def _weight(notification: Notification) -> Weight:
    return Weight.LOST if is_collision(notification) else Weight.SAID
