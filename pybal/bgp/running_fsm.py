"""An FSM that runs: events are fed to it, its timers' among them; its owner does what it asks for.

The FSM itself is a value (fsm.py), and what it does is pure (transitions.py).
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from pybal.bgp.deadline import DeadlineTimer
from pybal.bgp.fsm import FSM, Action, Event, EventKind, State
from pybal.bgp.ports import BGPPorts
from pybal.bgp.settings import Options
from pybal.bgp.transitions import step


class FSMOwner(Protocol):
    """The link, as its FSM sees it."""

    def do(self, action: Action, event: Event) -> None:
        """What the FSM asks for, on account of `event`."""

    def state_changed(self, before: State) -> None:
        """The FSM has gone from the state `before` to another; all its actions are done."""

    def timer_expired(self, kind: EventKind) -> None:
        """To be fed as an event."""


class RunningFSM:
    """Feeds an FSM, and wakes it. Its state is the value `fsm`."""

    def __init__(self, owner: FSMOwner, options: Options, ports: BGPPorts) -> None:
        self.fsm = FSM()
        self._owner = owner
        self._options = options
        self._clock = ports.clock
        self._random = ports.random
        self._timer = DeadlineTimer(ports.clock, self._timer_fired)
        self._events: deque[Event] = deque()
        self._feeding = False

    def feed(self, event: Event) -> None:
        """Take an event; events that its actions cause are taken after it, in order."""
        self._events.append(event)
        if self._feeding:
            return
        self._feeding = True
        try:
            while self._events:
                self._step(self._events.popleft())
        finally:
            self._feeding = False
            self._set_timer()

    def go_on_from(self, fsm: FSM) -> None:
        """Be in another state at once, without an event."""
        self.fsm = fsm
        self._set_timer()

    def _step(self, event: Event) -> None:
        before = self.fsm.state
        now = self._clock.seconds()
        jitter = self._random.uniform(0.75, 1.0)
        self.fsm, actions = step(self.fsm, event, now, jitter, self._options)
        for action in actions:
            self._owner.do(action, event)
        if self.fsm.state is not before:
            self._owner.state_changed(before)

    def _set_timer(self) -> None:
        self._timer.set(self.fsm.next_deadline())

    def _timer_fired(self) -> None:
        kind = self.fsm.due(self._clock.seconds())
        if kind is not None:
            self._owner.timer_expired(kind)
        self._set_timer()
