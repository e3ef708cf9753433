"""Every state x every event, against RFC 4271 section 8.2.2 written out as a table.

A row says: the state that follows, then what is done, in order. `N 5/1` is a NOTIFICATION;
`given` is the one that came with the event.
"""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from pybal.bgp.fsm import FSM, Do, Event, EventKind, State
from pybal.bgp.messages import Notification, Open
from pybal.bgp.negotiation import negotiate
from pybal.bgp.settings import Options
from pybal.bgp.transitions import step

OPEN = Open(64512, 90, IPv4Address(1), None)
PEER_OPEN = Open(64513, 30, IPv4Address(2), None)
SESSION = negotiate(OPEN, PEER_OPEN)
GIVEN = Notification(3, 11, b"data")
OPTIONS = Options()
NOW = 1000.0

STATES = {
    State.IDLE: FSM(),
    State.CONNECT: FSM(State.CONNECT, 3, connect_retry_at=NOW + 5),
    State.ACTIVE: FSM(State.ACTIVE, 3, connect_retry_at=NOW + 5),
    State.OPEN_SENT: FSM(State.OPEN_SENT, 3, hold_at=NOW + 5),
    State.OPEN_CONFIRM: FSM(
        State.OPEN_CONFIRM, 3, hold_at=NOW + 5, keepalive_at=NOW + 1, session=SESSION
    ),
    State.ESTABLISHED: FSM(
        State.ESTABLISHED,
        3,
        hold_at=NOW + 5,
        keepalive_at=NOW + 1,
        send_hold_at=NOW + 400,
        session=SESSION,
        established_at=NOW - 10,
    ),
}

STAY = "stay"
FAIL = "Idle drop"
UP_FAIL = "Idle down drop"
# Columns: Idle, Connect, Active, OpenSent, OpenConfirm, Established.
TABLE = {
    1: ("Connect connect", STAY, STAY, STAY, STAY, STAY),
    2: (STAY, FAIL, FAIL, "Idle N6/0 drop", "Idle N6/0 drop", "Idle N6/0 down drop"),
    3: ("Connect connect", STAY, STAY, STAY, STAY, STAY),
    4: ("Active", STAY, STAY, STAY, STAY, STAY),
    5: ("Active", STAY, STAY, STAY, STAY, STAY),
    6: ("Connect connect", STAY, STAY, STAY, STAY, STAY),
    7: ("Active", STAY, STAY, STAY, STAY, STAY),
    8: (STAY, FAIL, FAIL, "Idle N6/0 drop", "Idle N6/0 drop", "Idle N6/0 down drop"),
    9: (
        STAY, "Connect drop connect", "Connect connect",
        "Idle N5/0 drop", "Idle N5/0 drop", "Idle N5/0 down drop",
    ),
    10: (STAY, FAIL, FAIL, "Idle N4/0 drop", "Idle N4/0 drop", "Idle N4/0 down drop"),
    11: (
        STAY, FAIL, FAIL, "Idle N5/0 drop", "OpenConfirm keepalive", "Established keepalive",
    ),
    12: (
        STAY, "OpenSent open", "OpenSent open",
        "Idle N5/0 drop", "Idle N5/0 drop", "Idle N5/0 down drop",
    ),
    13: (
        "Connect connect", FAIL, FAIL, "Idle N5/0 drop", "Idle N5/0 drop", "Idle N5/0 down drop",
    ),
    14: (STAY,) * 6,
    15: (STAY,) * 6,
    16: (STAY, "OpenSent open", "OpenSent open", STAY, STAY, STAY),
    17: (STAY, "OpenSent open", "OpenSent open", STAY, STAY, STAY),
    18: (STAY, FAIL, FAIL, "Active drop", FAIL, UP_FAIL),
    19: (
        STAY, FAIL, FAIL, "OpenConfirm keepalive", "Idle N5/2 drop", "Idle N5/3 down drop",
    ),
    20: (
        STAY, "OpenConfirm open keepalive", "OpenConfirm open keepalive",
        "Idle N5/1 drop", "Idle N5/2 drop", "Idle N5/3 down drop",
    ),
    21: (STAY, FAIL, FAIL, "Idle given drop", "Idle given drop", "Idle given down drop"),
    22: (STAY, FAIL, FAIL, "Idle given drop", "Idle given drop", "Idle N5/3 down drop"),
    23: (STAY, FAIL, FAIL, "Idle N6/7 drop", "Idle N6/7 drop", "Idle N6/7 down drop"),
    24: (STAY, FAIL, FAIL, FAIL, FAIL, UP_FAIL),
    25: (STAY, FAIL, FAIL, "Idle N5/1 drop", FAIL, UP_FAIL),
    26: (STAY, FAIL, FAIL, "Idle N5/1 drop", "Established up", STAY),
    27: (STAY, FAIL, FAIL, "Idle N5/1 drop", "Idle N5/2 drop", STAY),
    28: (STAY, FAIL, FAIL, "Idle N5/1 drop", "Idle N5/2 drop", "Idle given down drop"),
    29: (STAY, FAIL, FAIL, "Idle N5/0 drop", "Idle N5/0 drop", "Idle N8/0 down drop"),
    100: (STAY, FAIL, FAIL, "Idle N5/1 drop", "Idle N5/2 drop", STAY),
    101: (STAY, FAIL, FAIL, "Idle N5/1 drop", "Idle N5/2 drop", "Idle given down drop"),
    102: (STAY,) * 6,
    103: (STAY,) * 6,
}  # fmt: skip

WORDS = {
    Do.CONNECT: "connect",
    Do.DISCONNECT: "drop",
    Do.SEND_OPEN: "open",
    Do.SEND_KEEPALIVE: "keepalive",
    Do.SESSION_UP: "up",
    Do.SESSION_DOWN: "down",
}
# Events that give the operator's reasons are left without one here; errors carry theirs.
WITH_NOTIFICATION = {21, 22, 28, 101}


def test_the_table_covers_every_state_and_event() -> None:
    assert set(TABLE) == {int(kind) for kind in EventKind}
    assert set(range(1, 30)) <= set(TABLE)
    assert set(STATES) == set(State)
    assert all(len(row) == len(State) for row in TABLE.values())


@pytest.mark.parametrize("kind", EventKind)
@pytest.mark.parametrize("column", range(6), ids=[state.value for state in State])
def test_state_by_event(kind: EventKind, column: int) -> None:
    state = list(State)[column]
    event = Event(
        kind,
        session=SESSION if kind in (19, 20) else None,
        notification=GIVEN if kind in WITH_NOTIFICATION else None,
    )
    after, actions = step(STATES[state], event, NOW, 1.0, OPTIONS)
    words = [after.state.value]
    for action in actions:
        if action is GIVEN:
            words.append("given")
        elif isinstance(action, Notification):
            words.append(f"N{action.code}/{action.subcode}")
        else:
            words.append(WORDS[action])
    wanted = TABLE[kind][column]
    assert " ".join(words) == (state.value if wanted == STAY else wanted)


# ConnectRetryCounter, per section 8.2.2: what adds one, what clears it, what leaves it.
CLEARS = {State.IDLE: (1, 3, 4, 5, 6, 7)} | {
    state: (2,) for state in State if state is not State.IDLE
}
LEAVES_BUT_IDLE = {State.CONNECT: (18,), State.OPEN_SENT: (24,), State.OPEN_CONFIRM: (24,)}


@pytest.mark.parametrize("state", State, ids=lambda state: state.value)
def test_the_connect_retry_counter_counts_failures(state: State) -> None:
    for kind in EventKind:
        before = FSM(State.IDLE, 3) if state is State.IDLE else STATES[state]
        after, _ = step(before, Event(kind, SESSION, GIVEN), NOW, 1.0, OPTIONS)
        counter = after.connect_retry_counter
        if kind in CLEARS[state]:
            assert counter == 0, kind
        elif state is not State.IDLE and after.state is State.IDLE:
            wanted = 3 if kind in LEAVES_BUT_IDLE.get(state, ()) else 4
            assert counter == wanted, kind
        elif after.state is not State.IDLE:
            assert counter == 3, kind


def test_a_message_that_does_not_belong_is_named_in_the_data() -> None:
    for kind, data in ((25, b"\3"), (26, b"\4"), (27, b"\2"), (100, b"\5")):
        _, actions = step(STATES[State.OPEN_SENT], Event(EventKind(kind)), NOW, 1.0, OPTIONS)
        assert actions[0] == Notification(5, 1, data)


@pytest.mark.parametrize("state", [State.OPEN_SENT, State.OPEN_CONFIRM, State.ESTABLISHED])
def test_a_fault_that_nobody_has_put_into_words_is_an_fsm_error(state: State) -> None:
    _, actions = step(STATES[state], Event(EventKind.BGP_HEADER_ERR), NOW, 1.0, OPTIONS)
    assert actions[0] == Notification(5, 0)
