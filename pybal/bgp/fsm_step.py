"""One transition of the FSM in the making: timers, actions, and the way back to Idle. Pure."""

from __future__ import annotations

from dataclasses import replace

from pybal.bgp.constants import ErrorCode
from pybal.bgp.fsm import FSM, Action, Do, Event, EventKind, State
from pybal.bgp.negotiation import Session
from pybal.bgp.notification import is_collision
from pybal.bgp.settings import Options

_TO_READ_S = 1.0
_MIN_SEND_HOLD_S = 480.0  # RFC 9687 section 4: the greater of 8 minutes and twice the hold time


def resumed(session: Session, now: float, heard_at: float, established_at: float) -> FSM:
    """A session that another process has had, which heard of the peer at `heard_at`: the hold timer
    counts on, but leaves a moment to read what has come since; a KEEPALIVE is due."""
    hold_s = session.hold_time_s
    return FSM(
        state=State.ESTABLISHED,
        session=session,
        hold_at=max(heard_at + hold_s, now + _TO_READ_S) if hold_s else None,
        keepalive_at=now if hold_s else None,
        send_hold_at=now + max(_MIN_SEND_HOLD_S, 2 * hold_s) if hold_s else None,
        established_at=established_at,
    )


class Step:
    """Lives for one call of transitions.step; `fsm` is the state as it has become so far."""

    def __init__(self, fsm: FSM, event: Event, now: float, jitter: float, options: Options) -> None:
        self.fsm = fsm
        self.event = event
        self.now = now
        self.jitter = jitter
        self.options = options
        self.actions: list[Action] = []

    def do(self, *actions: Action) -> None:
        """Append to what is to be done."""
        self.actions.extend(actions)

    def to(self, state: State) -> None:
        """Go to another state; timers stay."""
        self.fsm = replace(self.fsm, state=state)

    def start_connect_retry(self, most_s: float | None = None) -> None:
        """RFC 4271's ConnectRetryTimer; `most_s` at most."""
        time_s = self.options.connect_retry_s
        if most_s is not None:
            time_s = min(time_s, most_s)
        self.fsm = replace(self.fsm, connect_retry_at=self.now + time_s * self.jitter)

    def stop_connect_retry(self) -> None:
        """The ConnectRetryTimer runs no longer."""
        self.fsm = replace(self.fsm, connect_retry_at=None)

    def start_hold(self) -> None:
        """The HoldTimer begins anew; there is none if the hold time is 0."""
        hold_time_s = self.hold_time_s
        self.fsm = replace(self.fsm, hold_at=self.now + hold_time_s if hold_time_s else None)

    def start_keepalive(self) -> None:
        """The KeepaliveTimer begins anew, at a third of the hold time."""
        # RFC 4271 section 4.4: never more often than once a second.
        interval_s = max(1.0, self.hold_time_s / 3 * self.jitter)
        at = self.now + interval_s if self.hold_time_s else None
        self.fsm = replace(self.fsm, keepalive_at=at)

    def start_send_hold(self) -> None:
        """The SendHoldTimer begins anew (RFC 9687)."""
        time_s = max(_MIN_SEND_HOLD_S, 2 * self.hold_time_s) if self.hold_time_s else None
        at = self.now + time_s if time_s is not None else None
        self.fsm = replace(self.fsm, send_hold_at=at)

    @property
    def hold_time_s(self) -> int:
        """As it was negotiated; 0 before, or if there is none."""
        return self.fsm.session.hold_time_s if self.fsm.session is not None else 0

    def idle(self, *, count: bool) -> None:
        """Release everything and go to Idle. `count` adds to ConnectRetryCounter."""
        old = self.fsm
        if old.state is State.ESTABLISHED:
            self.do(Do.SESSION_DOWN)
        self.do(Do.DISCONNECT)
        counter = old.connect_retry_counter + count
        self.fsm = FSM(
            connect_retry_counter=counter,
            idle_hold_s=old.idle_hold_s,
            retry_wait_s=old.retry_wait_s,
        )
        if self.options.damp:
            self._hold_idle(old)

    def stop(self) -> None:
        """To Idle on the operator's word: nothing is counted, nothing will start again."""
        self.idle(count=False)
        self.fsm = FSM()

    def _hold_idle(self, old: FSM) -> None:
        options = self.options
        if self._peer_had_spoken(old):
            penalty_s = options.idle_hold_s if self._was_stable(old) else old.idle_hold_s
            wait_s = penalty_s or options.idle_hold_s
            next_s = min(wait_s * 2, options.idle_hold_max_s)
            self.fsm = replace(self.fsm, idle_hold_s=next_s, retry_wait_s=0.0)
        else:
            first_s = min(options.idle_hold_s, options.retry_s)
            wait_s = min(old.retry_wait_s * 2 or first_s, options.retry_s)
            self.fsm = replace(self.fsm, retry_wait_s=wait_s)
        self.fsm = replace(self.fsm, idle_hold_at=self.now + wait_s * self.jitter)

    def _peer_had_spoken(self, old: FSM) -> bool:
        """Whether this was a failure with a peer that is there and has sent its OPEN, or refused
        ours. A collision is none."""
        event, heard = self.event, self.event.notification
        if event.kind is EventKind.OPEN_COLLISION_DUMP:
            return False
        if heard is not None and is_collision(heard):
            return False
        if old.session is not None:
            return True
        if event.kind is EventKind.NOTIF_MSG:
            return heard is not None and heard.code == ErrorCode.OPEN_MESSAGE
        return event.kind in (EventKind.BGP_OPEN_MSG_ERR, EventKind.NOTIF_MSG_VER_ERR)

    def _was_stable(self, old: FSM) -> bool:
        since = old.established_at
        return since is not None and self.now - since >= self.options.idle_hold_max_s
