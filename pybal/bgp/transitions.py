"""The transitions of RFC 4271 section 8.2.2: a table of state x event -> what is done. Pure.

Deliberate readings, where the text leaves a choice:
- one FSM is one connection, so a second OPEN on it (event 19 in OpenConfirm or Established)
  is an unexpected message; collisions between connections are the peering's (section 6.8);
- CollisionDetectEstablishedState is off, as section 6.8 has it unless configured: a connection
  that is opened beside an established session loses, so nobody ends a session by connecting.
  A peer that died unseen is found by the hold timer, BFD, or its word that it restarted gracefully;
- a header error in Established is answered with its own NOTIFICATION (section 6.1), although
  section 8.2.2 lists event 21 under "any other event";
- whoever is configured to be passive never connects: ConnectRetryTimer does not run then;
- with damping, every return to Idle but a ManualStop's arms IdleHoldTimer (see Options).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pybal.bgp.constants import CeaseSubcode, ErrorCode, FSMSubcode, MessageType
from pybal.bgp.fsm import FSM, Action, Do, Event, EventKind, State
from pybal.bgp.fsm_step import Step
from pybal.bgp.messages import Notification
from pybal.bgp.settings import Options

_CEASE = Notification(ErrorCode.CEASE, CeaseSubcode.UNSPECIFIC)


def step(
    fsm: FSM, event: Event, now: float, jitter: float, options: Options
) -> tuple[FSM, tuple[Action, ...]]:
    """What `event` at time `now` makes of `fsm`. Total: defined for every state and event.

    `jitter`, 0.75 to 1, is what timers that peers must not share are multiplied with
    (RFC 4271 section 10).
    """
    work = Step(fsm, event, now, jitter, options)
    table = _TABLE[fsm.state]
    table.get(event.kind, _OTHERWISE[fsm.state])(work)
    return work.fsm, tuple(work.actions)


def _ignore(_: Step) -> None:
    pass


# Idle


def _start(s: Step) -> None:
    s.fsm = replace(s.fsm, connect_retry_counter=0, idle_hold_at=None)
    s.start_connect_retry()
    s.do(Do.CONNECT)
    s.to(State.CONNECT)


def _start_passive(s: Step) -> None:
    s.fsm = replace(s.fsm, connect_retry_counter=0, idle_hold_at=None)
    if not s.options.passive:
        s.start_connect_retry()
    s.to(State.ACTIVE)


def _start_damped(s: Step) -> None:
    if s.fsm.idle_hold_at is None:
        _start(s)


def _start_damped_passive(s: Step) -> None:
    if s.fsm.idle_hold_at is None:
        _start_passive(s)


def _idle_hold_over(s: Step) -> None:
    counter = s.fsm.connect_retry_counter
    (_start_passive if s.options.passive else _start)(s)
    # The counter tells of failures in a row; only an operator's start clears it.
    s.fsm = replace(s.fsm, connect_retry_counter=counter)


def _stop_in_idle(s: Step) -> None:
    s.fsm = replace(s.fsm, idle_hold_at=None)


# Connect and Active


def _stop_before_open(s: Step) -> None:
    if s.fsm.delay_open_at is not None and s.options.notification_without_open:
        s.do(s.event.notification or _CEASE)
    s.stop()


def _retry_connect(s: Step) -> None:
    """The retry timer expired: in Connect the attempt under way is given up first."""
    if s.fsm.state is State.CONNECT:
        s.do(Do.DISCONNECT)
    s.fsm = replace(s.fsm, delay_open_at=None)
    s.start_connect_retry()
    s.do(Do.CONNECT)
    s.to(State.CONNECT)


def _send_open(s: Step) -> None:
    s.stop_connect_retry()
    s.do(Do.SEND_OPEN)
    s.fsm = replace(s.fsm, delay_open_at=None, hold_at=s.now + s.options.open_hold_s)
    s.to(State.OPEN_SENT)


def _tcp_up(s: Step) -> None:
    if s.options.delay_open_s:
        s.stop_connect_retry()
        at = s.now + s.options.delay_open_s * s.jitter
        s.fsm = replace(s.fsm, delay_open_at=at)
    else:
        _send_open(s)


def _connect_failed(s: Step) -> None:
    if s.fsm.delay_open_at is None:
        s.idle(count=False)
        return
    s.fsm = replace(s.fsm, delay_open_at=None)
    s.start_connect_retry()
    s.do(Do.DISCONNECT)
    s.to(State.ACTIVE)


def _open_while_delaying(s: Step) -> None:
    s.do(Do.SEND_OPEN)
    s.fsm = replace(s.fsm, delay_open_at=None)
    _accept_open(s)


def _error_before_open(s: Step) -> None:
    if s.options.notification_without_open and s.event.notification is not None:
        s.do(s.event.notification)
    s.idle(count=True)


def _version_error_before_open(s: Step) -> None:
    s.idle(count=s.fsm.delay_open_at is None)


def _fail(s: Step) -> None:
    s.idle(count=True)


# OpenSent, OpenConfirm, Established


def _accept_open(s: Step) -> None:
    s.fsm = replace(s.fsm, session=s.event.session, connect_retry_at=None, delay_open_at=None)
    s.do(Do.SEND_KEEPALIVE)
    s.start_keepalive()
    s.start_hold()
    if s.fsm.hold_at is None:
        # A hold time of 0 is no leave to never confirm the session.
        s.fsm = replace(s.fsm, hold_at=s.now + s.options.open_hold_s)
    s.to(State.OPEN_CONFIRM)


def _cease_manually(s: Step) -> None:
    s.do(s.event.notification or _CEASE)
    s.stop()


def _cease(s: Step) -> None:
    s.do(s.event.notification or _CEASE)
    s.idle(count=True)


def _collision(s: Step) -> None:
    s.do(Notification(ErrorCode.CEASE, CeaseSubcode.CONNECTION_COLLISION))
    s.idle(count=True)


def _hold_expired(s: Step) -> None:
    s.do(Notification(ErrorCode.HOLD_TIMER_EXPIRED, 0))
    s.idle(count=True)


def _send_hold_expired(s: Step) -> None:
    s.do(Notification(ErrorCode.SEND_HOLD_TIMER_EXPIRED, 0))
    s.idle(count=True)


def _report(s: Step) -> None:
    """The peer broke the protocol: tell it how, and end."""
    s.do(s.event.notification or Notification(ErrorCode.FSM, FSMSubcode.UNSPECIFIED))
    s.idle(count=True)


def _tcp_lost_in_open_sent(s: Step) -> None:
    s.do(Do.DISCONNECT)
    s.fsm = replace(s.fsm, hold_at=None)
    # As after a refusal: a router that is just starting closes what it has accepted.
    s.start_connect_retry(s.options.retry_s)
    s.to(State.ACTIVE)


def _version_error(s: Step) -> None:
    """The peer speaks another version: no fault of the path to it, so not counted."""
    s.idle(count=False)


def _keepalive_due(s: Step) -> None:
    s.do(Do.SEND_KEEPALIVE)
    s.start_keepalive()


def _establish(s: Step) -> None:
    s.start_hold()
    s.start_send_hold()
    s.fsm = replace(s.fsm, established_at=s.now)
    s.do(Do.SESSION_UP)
    s.to(State.ESTABLISHED)


def _alive(s: Step) -> None:
    s.start_hold()


def _drained(s: Step) -> None:
    s.start_send_hold()


def _updates_sent(s: Step) -> None:
    s.start_keepalive()


_UNEXPECTED_SUBCODE = {
    State.OPEN_SENT: FSMSubcode.UNEXPECTED_IN_OPEN_SENT,
    State.OPEN_CONFIRM: FSMSubcode.UNEXPECTED_IN_OPEN_CONFIRM,
    State.ESTABLISHED: FSMSubcode.UNEXPECTED_IN_ESTABLISHED,
}
_MESSAGE_OF_EVENT = {
    EventKind.BGP_OPEN: MessageType.OPEN,
    EventKind.BGP_OPEN_WITH_DELAY_OPEN_TIMER: MessageType.OPEN,
    EventKind.BGP_OPEN_MSG_ERR: MessageType.OPEN,
    EventKind.NOTIF_MSG: MessageType.NOTIFICATION,
    EventKind.KEEPALIVE_MSG: MessageType.KEEPALIVE,
    EventKind.UPDATE_MSG: MessageType.UPDATE,
    EventKind.UPDATE_MSG_ERR: MessageType.UPDATE,
    EventKind.ROUTE_REFRESH_MSG: MessageType.ROUTE_REFRESH,
    EventKind.ROUTE_REFRESH_MSG_ERR: MessageType.ROUTE_REFRESH,
}


def _unexpected(s: Step) -> None:
    """FSM Error; for a message with RFC 6608's subcode and the message's type as data."""
    message = _MESSAGE_OF_EVENT.get(s.event.kind)
    if message is None:
        s.do(Notification(ErrorCode.FSM, FSMSubcode.UNSPECIFIED))
    else:
        subcode = _UNEXPECTED_SUBCODE[s.fsm.state]
        s.do(Notification(ErrorCode.FSM, subcode, bytes((message,))))
    s.idle(count=True)


_Handler = Callable[[Step], None]
_K = EventKind
_STARTS: dict[EventKind, _Handler] = dict.fromkeys(
    (
        _K.MANUAL_START,
        _K.AUTOMATIC_START,
        _K.MANUAL_START_PASSIVE,
        _K.AUTOMATIC_START_PASSIVE,
        _K.AUTOMATIC_START_DAMPED,
        _K.AUTOMATIC_START_DAMPED_PASSIVE,
    ),
    _ignore,
)
# A second connection of the same peer, and what we learn late of our transport.
_ASIDE: dict[EventKind, _Handler] = {
    **_STARTS,
    _K.TCP_CONNECTION_VALID: _ignore,
    _K.TCP_CR_INVALID: _ignore,
    _K.TRANSPORT_DRAINED: _ignore,
    _K.UPDATES_SENT: _ignore,
}
_WITHOUT_OPEN: dict[EventKind, _Handler] = {
    **_ASIDE,
    _K.MANUAL_STOP: _stop_before_open,
    _K.CONNECT_RETRY_TIMER_EXPIRES: _retry_connect,
    _K.DELAY_OPEN_TIMER_EXPIRES: _send_open,
    _K.TCP_CR_ACKED: _tcp_up,
    _K.TCP_CONNECTION_CONFIRMED: _tcp_up,
    _K.BGP_OPEN_WITH_DELAY_OPEN_TIMER: _open_while_delaying,
    _K.BGP_HEADER_ERR: _error_before_open,
    _K.BGP_OPEN_MSG_ERR: _error_before_open,
    _K.NOTIF_MSG_VER_ERR: _version_error_before_open,
}
_WITH_OPEN: dict[EventKind, _Handler] = {
    **_ASIDE,
    _K.TCP_CR_ACKED: _ignore,
    _K.TCP_CONNECTION_CONFIRMED: _ignore,
    _K.MANUAL_STOP: _cease_manually,
    _K.AUTOMATIC_STOP: _cease,
    _K.HOLD_TIMER_EXPIRES: _hold_expired,
    _K.BGP_HEADER_ERR: _report,
    _K.BGP_OPEN_MSG_ERR: _report,
    _K.OPEN_COLLISION_DUMP: _collision,
    _K.NOTIF_MSG_VER_ERR: _version_error,
}
_TABLE: dict[State, dict[EventKind, _Handler]] = {
    State.IDLE: {
        _K.MANUAL_START: _start,
        _K.AUTOMATIC_START: _start,
        _K.MANUAL_START_PASSIVE: _start_passive,
        _K.AUTOMATIC_START_PASSIVE: _start_passive,
        _K.AUTOMATIC_START_DAMPED: _start_damped,
        _K.AUTOMATIC_START_DAMPED_PASSIVE: _start_damped_passive,
        _K.IDLE_HOLD_TIMER_EXPIRES: _idle_hold_over,
        _K.MANUAL_STOP: _stop_in_idle,
        _K.AUTOMATIC_STOP: _stop_in_idle,
    },
    State.CONNECT: {**_WITHOUT_OPEN, _K.TCP_CONNECTION_FAILS: _connect_failed},
    State.ACTIVE: {**_WITHOUT_OPEN, _K.TCP_CONNECTION_FAILS: _fail},
    State.OPEN_SENT: {
        **_WITH_OPEN,
        _K.TCP_CONNECTION_FAILS: _tcp_lost_in_open_sent,
        _K.BGP_OPEN: _accept_open,
    },
    State.OPEN_CONFIRM: {
        **_WITH_OPEN,
        _K.KEEPALIVE_TIMER_EXPIRES: _keepalive_due,
        _K.TCP_CONNECTION_FAILS: _fail,
        _K.NOTIF_MSG: _fail,
        _K.KEEPALIVE_MSG: _establish,
    },
    State.ESTABLISHED: {
        **_WITH_OPEN,
        _K.KEEPALIVE_TIMER_EXPIRES: _keepalive_due,
        _K.SEND_HOLD_TIMER_EXPIRES: _send_hold_expired,
        _K.TCP_CONNECTION_FAILS: _fail,
        _K.NOTIF_MSG: _fail,
        _K.NOTIF_MSG_VER_ERR: _fail,
        _K.KEEPALIVE_MSG: _alive,
        _K.UPDATE_MSG: _alive,
        _K.ROUTE_REFRESH_MSG: _alive,
        _K.UPDATE_MSG_ERR: _report,
        _K.ROUTE_REFRESH_MSG_ERR: _report,
        _K.BGP_OPEN_MSG_ERR: _unexpected,
        _K.TRANSPORT_DRAINED: _drained,
        _K.UPDATES_SENT: _updates_sent,
    },
}
_OTHERWISE: dict[State, _Handler] = {
    State.IDLE: _ignore,
    State.CONNECT: _fail,
    State.ACTIVE: _fail,
    State.OPEN_SENT: _unexpected,
    State.OPEN_CONFIRM: _unexpected,
    State.ESTABLISHED: _unexpected,
}
