"""Which timers run after each transition, and until when (RFC 4271 section 8)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from pybal.bgp.fsm import FSM, Event, EventKind, State
from pybal.bgp.fsm_step import resumed
from pybal.bgp.messages import Notification, Open
from pybal.bgp.negotiation import Session, negotiate
from pybal.bgp.settings import Options
from pybal.bgp.transitions import step

SESSION = negotiate(Open(64512, 90, IPv4Address(1), None), Open(64513, 30, IPv4Address(2), None))
NOW = 1000.0
RETRY_AT = NOW + Options().connect_retry_s
OPTIONS = Options()
PASSIVE = Options(passive=True)
DELAYING = FSM(State.CONNECT, 2, delay_open_at=NOW + 3)


def after(fsm: FSM, event: EventKind | Event, options: Options = OPTIONS) -> FSM:
    given = event if isinstance(event, Event) else Event(event)
    return step(fsm, given, NOW, 1.0, options)[0]


def timers(fsm: FSM) -> dict[str, float]:
    """Those that run."""
    names = ("connect_retry", "delay_open", "hold", "keepalive", "idle_hold", "send_hold")
    values = {name: getattr(fsm, f"{name}_at") for name in names}
    return {name: at for name, at in values.items() if at is not None}


@pytest.mark.parametrize(
    ("before", "event", "options", "running"),
    [
        # Whoever connects tries again; whoever is passive waits without a timer.
        (FSM(), EventKind.AUTOMATIC_START, OPTIONS, {"connect_retry": RETRY_AT}),
        (FSM(idle_hold_at=NOW), EventKind.MANUAL_START, OPTIONS, {"connect_retry": RETRY_AT}),
        (FSM(), EventKind.AUTOMATIC_START_PASSIVE, OPTIONS, {"connect_retry": RETRY_AT}),
        (FSM(idle_hold_at=NOW), EventKind.AUTOMATIC_START_PASSIVE, PASSIVE, {}),
        (FSM(idle_hold_at=NOW), EventKind.IDLE_HOLD_TIMER_EXPIRES, PASSIVE, {}),
        (
            FSM(idle_hold_at=NOW),
            EventKind.IDLE_HOLD_TIMER_EXPIRES,
            OPTIONS,
            {"connect_retry": RETRY_AT},
        ),
        (FSM(idle_hold_at=NOW + 5), EventKind.MANUAL_STOP, OPTIONS, {}),
        # An attempt that is given up leaves no delay behind.
        (
            DELAYING,
            EventKind.CONNECT_RETRY_TIMER_EXPIRES,
            OPTIONS,
            {"connect_retry": RETRY_AT},
        ),
        (DELAYING, EventKind.TCP_CONNECTION_FAILS, OPTIONS, {"connect_retry": RETRY_AT}),
        # While OPEN is delayed nothing else runs.
        (
            FSM(State.CONNECT, connect_retry_at=NOW + 9),
            EventKind.TCP_CR_ACKED,
            Options(delay_open_s=5),
            {"delay_open": NOW + 5},
        ),
        (
            replace(DELAYING, connect_retry_at=NOW + 9),
            EventKind.DELAY_OPEN_TIMER_EXPIRES,
            OPTIONS,
            {"hold": NOW + OPTIONS.open_hold_s},
        ),
        (
            replace(DELAYING, connect_retry_at=NOW + 9),
            Event(EventKind.BGP_OPEN_WITH_DELAY_OPEN_TIMER, SESSION),
            OPTIONS,
            {"hold": NOW + 30, "keepalive": NOW + 10},
        ),
        # After OPEN both sides watch each other.
        (
            FSM(State.OPEN_SENT, connect_retry_at=NOW + 9, hold_at=NOW + 200),
            Event(EventKind.BGP_OPEN, SESSION),
            OPTIONS,
            {"hold": NOW + 30, "keepalive": NOW + 10},
        ),
        (
            FSM(State.OPEN_CONFIRM, hold_at=NOW + 1, keepalive_at=NOW + 4, session=SESSION),
            EventKind.KEEPALIVE_MSG,
            OPTIONS,
            {"hold": NOW + 30, "keepalive": NOW + 4, "send_hold": NOW + 480},
        ),
        # A keepalive that is due is sent, and the next one is due after it.
        (
            FSM(State.OPEN_CONFIRM, hold_at=NOW + 1, keepalive_at=NOW, session=SESSION),
            EventKind.KEEPALIVE_TIMER_EXPIRES,
            OPTIONS,
            {"hold": NOW + 1, "keepalive": NOW + 10},
        ),
        (
            FSM(State.ESTABLISHED, hold_at=NOW + 1, keepalive_at=NOW, session=SESSION),
            EventKind.KEEPALIVE_TIMER_EXPIRES,
            OPTIONS,
            {"hold": NOW + 1, "keepalive": NOW + 10},
        ),
        (
            FSM(State.OPEN_SENT, hold_at=NOW + 200),
            EventKind.TCP_CONNECTION_FAILS,
            Options(retry_s=4),
            {"connect_retry": NOW + 4},
        ),
    ],
)
def test_the_timers_that_run_afterwards(
    before: FSM, event: EventKind | Event, options: Options, running: dict[str, float]
) -> None:
    assert timers(after(before, event, options)) == running


@pytest.mark.parametrize("delaying", [True, False])
@pytest.mark.parametrize("option", [True, False])
def test_a_stop_before_open_is_said_only_to_a_peer_that_is_connected_if_at_all(
    delaying: bool, option: bool
) -> None:
    fsm = DELAYING if delaying else FSM(State.CONNECT, connect_retry_at=NOW + 9)
    options = Options(notification_without_open=option)
    _, actions = step(fsm, Event(EventKind.MANUAL_STOP), NOW, 1.0, options)
    said = [action for action in actions if isinstance(action, Notification)]
    assert len(said) == (1 if delaying and option else 0)


def test_failures_in_a_row_are_counted_until_an_operator_starts_anew() -> None:
    held = FSM(connect_retry_counter=3, idle_hold_at=NOW)
    assert after(held, EventKind.IDLE_HOLD_TIMER_EXPIRES).connect_retry_counter == 3
    assert after(held, EventKind.IDLE_HOLD_TIMER_EXPIRES, PASSIVE).connect_retry_counter == 3
    assert after(held, EventKind.MANUAL_START).connect_retry_counter == 0
    assert after(held, EventKind.MANUAL_START_PASSIVE).connect_retry_counter == 0


def session_of(hold_time_s: int) -> Session:
    peer = Open(64513, hold_time_s, IPv4Address(2), None)
    return negotiate(Open(64512, 65535, IPv4Address(1), None), peer)


@pytest.mark.parametrize(
    ("hold_time_s", "silent_s", "running"),
    [
        (30, 0, {"hold": NOW + 30, "keepalive": NOW, "send_hold": NOW + 480}),
        (30, 20, {"hold": NOW + 10, "keepalive": NOW, "send_hold": NOW + 480}),
        # What has come since is read before the peer is given up.
        (30, 40, {"hold": NOW + 1, "keepalive": NOW, "send_hold": NOW + 480}),
        (300, 0, {"hold": NOW + 300, "keepalive": NOW, "send_hold": NOW + 600}),
        (0, 40, {}),
    ],
)
def test_a_session_of_a_former_process_goes_on_with_its_timers(
    hold_time_s: int, silent_s: int, running: dict[str, float]
) -> None:
    session = session_of(hold_time_s)
    fsm = resumed(session, NOW, NOW - silent_s, NOW - 500)
    assert timers(fsm) == running
    assert (fsm.state, fsm.session, fsm.established_at) == (State.ESTABLISHED, session, NOW - 500)
