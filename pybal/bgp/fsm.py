"""The finite state machine of RFC 4271 section 8 as a pure function over values. Pure.

One FSM stands for one connection, wanted or present. Time and randomness are arguments;
timers are deadlines. The transitions themselves are in transitions.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Union

from pybal.bgp.messages import Notification
from pybal.bgp.negotiation import Session


class State(Enum):
    """RFC 4271 section 8.2.2."""

    IDLE = "Idle"
    CONNECT = "Connect"
    ACTIVE = "Active"
    OPEN_SENT = "OpenSent"
    OPEN_CONFIRM = "OpenConfirm"
    ESTABLISHED = "Established"


class EventKind(IntEnum):
    """RFC 4271 section 8.1, by the numbers of its events; 29 is RFC 9687's.

    Those from 100 on are ours: a ROUTE-REFRESH (its RFC names no event), the transport's word
    that all bytes given to it have left, and that we have sent UPDATEs.
    """

    MANUAL_START = 1
    MANUAL_STOP = 2
    AUTOMATIC_START = 3
    MANUAL_START_PASSIVE = 4
    AUTOMATIC_START_PASSIVE = 5
    AUTOMATIC_START_DAMPED = 6
    AUTOMATIC_START_DAMPED_PASSIVE = 7
    AUTOMATIC_STOP = 8
    CONNECT_RETRY_TIMER_EXPIRES = 9
    HOLD_TIMER_EXPIRES = 10
    KEEPALIVE_TIMER_EXPIRES = 11
    DELAY_OPEN_TIMER_EXPIRES = 12
    IDLE_HOLD_TIMER_EXPIRES = 13
    TCP_CONNECTION_VALID = 14
    TCP_CR_INVALID = 15
    TCP_CR_ACKED = 16
    TCP_CONNECTION_CONFIRMED = 17
    TCP_CONNECTION_FAILS = 18
    BGP_OPEN = 19
    BGP_OPEN_WITH_DELAY_OPEN_TIMER = 20
    BGP_HEADER_ERR = 21
    BGP_OPEN_MSG_ERR = 22
    OPEN_COLLISION_DUMP = 23
    NOTIF_MSG_VER_ERR = 24
    NOTIF_MSG = 25
    KEEPALIVE_MSG = 26
    UPDATE_MSG = 27
    UPDATE_MSG_ERR = 28
    SEND_HOLD_TIMER_EXPIRES = 29
    ROUTE_REFRESH_MSG = 100
    ROUTE_REFRESH_MSG_ERR = 101
    TRANSPORT_DRAINED = 102
    UPDATES_SENT = 103


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a connection.

    `session` comes with the two OPEN events. `notification` comes with the error events
    (what the peer's fault asks us to send), with those of a NOTIFICATION (the one received), and
    may come with a stop (what to say). `why`, in words, goes with a NOTIFICATION that is sent on
    account of this; the FSM does not look at it.
    """

    kind: EventKind
    session: Session | None = None
    notification: Notification | None = None
    why: str = ""


class Do(Enum):
    """What the shell is to do, besides sending a given NOTIFICATION."""

    CONNECT = "open a TCP connection"
    DISCONNECT = "drop the TCP connection, or the attempt"
    SEND_OPEN = "send OPEN"
    SEND_KEEPALIVE = "send KEEPALIVE"
    SESSION_UP = "routes may be sent"
    SESSION_DOWN = "forget what was sent"


Action = Union[Do, Notification]


@dataclass(frozen=True, slots=True)
class FSM:
    """The state of one connection. Deadlines (`…_at`) are on the caller's clock; None: the
    timer does not run. `idle_hold_s` is the next penalty, 0 for the first; `retry_wait_s` the last
    wait for a peer from which no OPEN came, 0 if one has come since."""

    state: State = State.IDLE
    connect_retry_counter: int = 0
    connect_retry_at: float | None = None
    delay_open_at: float | None = None
    hold_at: float | None = None
    keepalive_at: float | None = None
    idle_hold_at: float | None = None
    send_hold_at: float | None = None
    idle_hold_s: float = 0.0
    retry_wait_s: float = 0.0
    session: Session | None = None
    established_at: float | None = None

    def deadlines(self) -> tuple[tuple[float, EventKind], ...]:
        """The running timers, in the order in which they are to be served when due together."""
        timers = (
            (self.hold_at, EventKind.HOLD_TIMER_EXPIRES),
            (self.send_hold_at, EventKind.SEND_HOLD_TIMER_EXPIRES),
            (self.keepalive_at, EventKind.KEEPALIVE_TIMER_EXPIRES),
            (self.delay_open_at, EventKind.DELAY_OPEN_TIMER_EXPIRES),
            (self.connect_retry_at, EventKind.CONNECT_RETRY_TIMER_EXPIRES),
            (self.idle_hold_at, EventKind.IDLE_HOLD_TIMER_EXPIRES),
        )
        return tuple((at, kind) for at, kind in timers if at is not None)

    def next_deadline(self) -> float | None:
        """When the FSM next wants to be woken."""
        return min((at for at, _ in self.deadlines()), default=None)

    def due(self, now: float) -> EventKind | None:
        """The timer event to feed at `now`, or None."""
        return next((kind for at, kind in self.deadlines() if at <= now), None)
