"""One transition of the FSM in the making: timers, actions, and the way back to Idle."""

from __future__ import annotations

from dataclasses import replace

from pybal.bgp.fsm import FSM, Action, Do, Event, State
from pybal.bgp.settings import Options

_MIN_SEND_HOLD_S = 480.0  # RFC 9687 section 4: the greater of 8 minutes and twice the hold time


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
        self.actions.extend(actions)

    def to(self, state: State) -> None:
        self.fsm = replace(self.fsm, state=state)

    def start_connect_retry(self) -> None:
        at = self.now + self.options.connect_retry_s * self.jitter
        self.fsm = replace(self.fsm, connect_retry_at=at)

    def stop_connect_retry(self) -> None:
        self.fsm = replace(self.fsm, connect_retry_at=None)

    def start_hold(self) -> None:
        hold_time_s = self.hold_time_s
        self.fsm = replace(self.fsm, hold_at=self.now + hold_time_s if hold_time_s else None)

    def start_keepalive(self) -> None:
        # RFC 4271 section 4.4: never more often than once a second.
        interval_s = max(1.0, self.hold_time_s / 3 * self.jitter)
        at = self.now + interval_s if self.hold_time_s else None
        self.fsm = replace(self.fsm, keepalive_at=at)

    def start_send_hold(self) -> None:
        time_s = max(_MIN_SEND_HOLD_S, 2 * self.hold_time_s) if self.hold_time_s else None
        at = self.now + time_s if time_s is not None else None
        self.fsm = replace(self.fsm, send_hold_at=at)

    @property
    def hold_time_s(self) -> int:
        return self.fsm.session.hold_time_s if self.fsm.session is not None else 0

    def idle(self, *, count: bool) -> None:
        """Release everything and go to Idle. `count` adds to ConnectRetryCounter."""
        old = self.fsm
        if old.state is State.ESTABLISHED:
            self.do(Do.SESSION_DOWN)
        self.do(Do.DISCONNECT)
        counter = old.connect_retry_counter + count
        self.fsm = FSM(connect_retry_counter=counter, idle_hold_s=old.idle_hold_s)
        if self.options.damp:
            self._hold_idle(old)

    def stop(self) -> None:
        """To Idle on the operator's word: nothing is counted, nothing will start again."""
        self.idle(count=False)
        self.fsm = FSM()

    def _hold_idle(self, old: FSM) -> None:
        options = self.options
        up_since = old.established_at
        stable = up_since is not None and self.now - up_since >= options.idle_hold_max_s
        penalty_s = options.idle_hold_s if stable else old.idle_hold_s or options.idle_hold_s
        self.fsm = replace(
            self.fsm,
            idle_hold_at=self.now + penalty_s * self.jitter,
            idle_hold_s=min(penalty_s * 2, options.idle_hold_max_s),
        )
