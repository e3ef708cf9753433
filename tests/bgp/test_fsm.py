"""Timers, back-off, DelayOpen, negotiation and collisions of the pure FSM."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.bgp.constants import AFI_IPV6, IPV4_UNICAST, IPV6_UNICAST
from pybal.bgp.errors import NotificationError
from pybal.bgp.fsm import FSM, Action, Do, Event, EventKind, State
from pybal.bgp.messages import Capabilities, ExtendedNextHop, Notification, Open
from pybal.bgp.negotiation import Session, check_open, keeps_own_connection, negotiate
from pybal.bgp.settings import Options
from pybal.bgp.transitions import step

LOCAL = Open(64512, 90, IPv4Address(1), None)


def session(hold_time_s: int) -> Session:
    return negotiate(LOCAL, Open(64513, hold_time_s, IPv4Address(2), None))


def run(
    kinds: list[EventKind | Event],
    options: Options = Options(),  # noqa: B008 - frozen
    *,
    fsm: FSM = FSM(),  # noqa: B008 - frozen
    now: float = 0.0,
    jitter: float = 1.0,
) -> tuple[FSM, list[Action]]:
    actions: list[Action] = []
    for kind in kinds:
        event = kind if isinstance(kind, Event) else Event(kind)
        fsm, done = step(fsm, event, now, jitter, options)
        actions += done
    return fsm, actions


def established(hold_time_s: int, *, now: float = 0.0, jitter: float = 1.0) -> FSM:
    fsm, _ = run(
        [
            EventKind.AUTOMATIC_START,
            EventKind.TCP_CR_ACKED,
            Event(EventKind.BGP_OPEN, session(hold_time_s)),
            EventKind.KEEPALIVE_MSG,
        ],
        now=now,
        jitter=jitter,
    )
    assert fsm.state is State.ESTABLISHED
    return fsm


def test_the_way_up_is_open_keepalive_session() -> None:
    _, actions = run(
        [
            EventKind.AUTOMATIC_START,
            EventKind.TCP_CR_ACKED,
            Event(EventKind.BGP_OPEN, session(30)),
            EventKind.KEEPALIVE_MSG,
        ]
    )
    assert actions == [Do.CONNECT, Do.SEND_OPEN, Do.SEND_KEEPALIVE, Do.SESSION_UP]


def test_while_open_is_awaited_the_hold_timer_is_large() -> None:
    fsm, _ = run([EventKind.AUTOMATIC_START, EventKind.TCP_CR_ACKED], now=100)
    assert fsm.hold_at == 340


def test_hold_and_keepalive_follow_the_smaller_hold_time() -> None:
    fsm = established(30)
    assert fsm.hold_at == 30
    assert fsm.keepalive_at == 10
    assert established(180).hold_at == 90


def test_keepalives_are_jittered_but_never_faster_than_one_a_second() -> None:
    assert established(30, jitter=0.75).keepalive_at == 7.5
    assert established(3, jitter=0.75).keepalive_at == 1.0


def test_hold_time_0_stops_hold_keepalive_and_send_hold_timers() -> None:
    fsm = established(0)
    assert fsm.next_deadline() is None
    fsm, _ = run([EventKind.KEEPALIVE_MSG, EventKind.UPDATE_MSG], fsm=fsm)
    assert fsm.next_deadline() is None


def test_the_next_deadline_is_that_of_the_first_timer() -> None:
    assert FSM(hold_at=90.0, keepalive_at=30.0, send_hold_at=480.0).next_deadline() == 30.0
    assert FSM(idle_hold_at=1.0).next_deadline() == 1.0
    assert FSM().next_deadline() is None


def test_every_message_of_the_peer_restarts_the_hold_timer() -> None:
    for kind in (EventKind.KEEPALIVE_MSG, EventKind.UPDATE_MSG, EventKind.ROUTE_REFRESH_MSG):
        fsm, _ = run([kind], fsm=established(30), now=7)
        assert fsm.hold_at == 37


def test_the_send_hold_timer_is_8_minutes_or_twice_the_hold_time() -> None:
    assert established(30).send_hold_at == 480
    long = negotiate(replace(LOCAL, hold_time_s=600), Open(1, 600, IPv4Address(2), None))
    fsm = FSM(State.OPEN_CONFIRM, session=long)
    assert run([EventKind.KEEPALIVE_MSG], fsm=fsm)[0].send_hold_at == 1200


def test_bytes_that_left_restart_the_send_hold_timer() -> None:
    fsm, _ = run([EventKind.TRANSPORT_DRAINED], fsm=established(30), now=50)
    assert fsm.send_hold_at == 530


def test_updates_that_we_send_restart_the_keepalive_timer() -> None:
    fsm, _ = run([EventKind.UPDATES_SENT], fsm=established(30), now=5)
    assert fsm.keepalive_at == 15
    fsm, _ = run([EventKind.UPDATES_SENT], fsm=established(0), now=5)
    assert fsm.keepalive_at is None


def test_idle_hold_doubles_up_to_its_maximum_and_starts_again() -> None:
    fsm, waits, now = FSM(), [], 0.0
    options = Options(idle_hold_s=1, idle_hold_max_s=8)
    fsm, _ = run([EventKind.AUTOMATIC_START_DAMPED], options, fsm=fsm)
    failure: list[EventKind | Event] = [
        EventKind.TCP_CR_ACKED,
        Event(EventKind.BGP_OPEN, session(30)),
        EventKind.TCP_CONNECTION_FAILS,
    ]
    for _ in range(5):
        fsm, _ = run(failure, options, fsm=fsm, now=now)
        assert fsm.idle_hold_at is not None
        waits.append(fsm.idle_hold_at - now)
        now = fsm.idle_hold_at
        assert fsm.due(now) is EventKind.IDLE_HOLD_TIMER_EXPIRES
        fsm, actions = run([EventKind.IDLE_HOLD_TIMER_EXPIRES], options, fsm=fsm, now=now)
        assert actions == [Do.CONNECT]
    assert waits == [1, 2, 4, 8, 8]


@pytest.mark.parametrize(
    "failure",
    [
        [EventKind.TCP_CONNECTION_FAILS],
        [EventKind.TCP_CR_ACKED, EventKind.HOLD_TIMER_EXPIRES],
        [EventKind.TCP_CR_ACKED, EventKind.BGP_HEADER_ERR],
        [EventKind.TCP_CR_ACKED, Event(EventKind.NOTIF_MSG, notification=Notification(6, 5))],
        [EventKind.TCP_CR_ACKED, EventKind.OPEN_COLLISION_DUMP],
        [
            EventKind.TCP_CR_ACKED,
            Event(EventKind.BGP_OPEN, session(30)),
            Event(EventKind.NOTIF_MSG, notification=Notification(6, 7)),
        ],
    ],
    ids=["refused", "silent", "junk", "not welcome", "collision", "collision there"],
)
def test_a_peer_that_is_not_there_is_tried_again_within_4_s_for_ever(
    failure: list[EventKind | Event],
) -> None:
    waits, now = [], 0.0
    fsm, _ = run([EventKind.AUTOMATIC_START_DAMPED])
    for _ in range(5):
        fsm, _ = run(failure, fsm=fsm, now=now)
        assert fsm.idle_hold_at is not None
        waits.append(fsm.idle_hold_at - now)
        now = fsm.idle_hold_at
        fsm, _ = run([EventKind.IDLE_HOLD_TIMER_EXPIRES], fsm=fsm, now=now)
    assert waits == [1, 2, 4, 4, 4]
    assert fsm.idle_hold_s == 0, "and it is no penalty"


@pytest.mark.parametrize(
    "failure",
    [
        Event(EventKind.BGP_OPEN_MSG_ERR, notification=Notification(2, 2)),
        Event(EventKind.NOTIF_MSG, notification=Notification(2, 2)),
        Event(EventKind.NOTIF_MSG_VER_ERR, notification=Notification(2, 1)),
    ],
)
def test_a_peer_and_we_that_refuse_each_others_open_try_ever_less_often(failure: Event) -> None:
    fsm, _ = run([EventKind.AUTOMATIC_START_DAMPED, EventKind.TCP_CR_ACKED, failure])
    assert (fsm.idle_hold_at, fsm.idle_hold_s) == (1, 2)
    fsm, _ = run([EventKind.IDLE_HOLD_TIMER_EXPIRES, EventKind.TCP_CR_ACKED, failure], fsm=fsm)
    assert (fsm.idle_hold_at, fsm.idle_hold_s) == (2, 4)


def test_a_hold_time_of_0_does_not_let_a_peer_leave_its_open_unconfirmed_for_ever() -> None:
    fsm, _ = run([EventKind.AUTOMATIC_START, EventKind.TCP_CR_ACKED])
    fsm, _ = run([Event(EventKind.BGP_OPEN, session(0))], fsm=fsm)
    assert fsm.hold_at == 240
    fsm, _ = run([EventKind.KEEPALIVE_MSG], fsm=fsm)
    assert fsm.hold_at is None


def test_idle_hold_is_jittered() -> None:
    fsm, _ = run([EventKind.AUTOMATIC_START, EventKind.TCP_CONNECTION_FAILS], jitter=0.8)
    assert fsm.idle_hold_at == 0.8


def test_a_damped_start_waits_for_the_idle_hold_timer() -> None:
    fsm = FSM(idle_hold_at=5.0, idle_hold_s=2.0)
    for kind in (
        EventKind.AUTOMATIC_START_DAMPED,
        EventKind.AUTOMATIC_START_DAMPED_PASSIVE,
    ):
        assert step(fsm, Event(kind), 1.0, 1.0, Options()) == (fsm, ())


def test_a_long_session_forgives_the_penalty_and_a_short_one_does_not() -> None:
    up = replace(established(30), idle_hold_s=32.0)
    short, _ = run([EventKind.TCP_CONNECTION_FAILS], fsm=up, now=59)
    long, _ = run([EventKind.TCP_CONNECTION_FAILS], fsm=up, now=60)
    assert short.idle_hold_at == 59 + 32
    assert long.idle_hold_at == 60 + 1


def test_a_session_of_a_second_in_a_long_life_of_ours_forgives_nothing() -> None:
    up = replace(established(30), idle_hold_s=32.0, established_at=86_400.0)
    ended, _ = run([EventKind.TCP_CONNECTION_FAILS], fsm=up, now=86_401)
    assert (ended.idle_hold_at, ended.idle_hold_s) == (86_401 + 32, 60)


def test_a_peer_that_has_spoken_and_then_is_away_is_tried_again_soon() -> None:
    up = replace(established(30), retry_wait_s=4.0)
    fsm, _ = run([EventKind.TCP_CONNECTION_FAILS], fsm=up, now=60)
    fsm, _ = run(
        [EventKind.IDLE_HOLD_TIMER_EXPIRES, EventKind.TCP_CONNECTION_FAILS], fsm=fsm, now=61
    )
    assert fsm.idle_hold_at == 61 + 1


def test_without_damping_idle_stays_idle() -> None:
    fsm, _ = run([EventKind.AUTOMATIC_START, EventKind.TCP_CONNECTION_FAILS], Options(damp=False))
    assert fsm.next_deadline() is None


def test_a_manual_stop_leaves_nothing_running() -> None:
    for fsm in (established(30), FSM(State.CONNECT, connect_retry_at=1.0), FSM(idle_hold_at=3.0)):
        after, _ = run([EventKind.MANUAL_STOP], fsm=fsm)
        assert after.next_deadline() is None


def test_a_stop_says_what_it_was_given_to_say() -> None:
    reason = Notification(6, 2, b"\3bye")
    _, actions = run([Event(EventKind.MANUAL_STOP, notification=reason)], fsm=established(30))
    assert actions == [reason, Do.SESSION_DOWN, Do.DISCONNECT]


def test_a_lost_connection_in_open_sent_is_retried_by_the_retry_timer() -> None:
    fsm, _ = run(
        [EventKind.AUTOMATIC_START, EventKind.TCP_CR_ACKED, EventKind.TCP_CONNECTION_FAILS]
    )
    assert fsm.deadlines() == ((4.0, EventKind.CONNECT_RETRY_TIMER_EXPIRES),)


def test_a_passive_start_connects_only_when_the_retry_timer_expires() -> None:
    fsm, actions = run([EventKind.AUTOMATIC_START_PASSIVE])
    assert actions == []
    assert run([EventKind.CONNECT_RETRY_TIMER_EXPIRES], fsm=fsm)[1] == [Do.CONNECT]


DELAY = Options(delay_open_s=4)


def test_delay_open_waits_for_the_peers_open() -> None:
    fsm, actions = run([EventKind.AUTOMATIC_START, EventKind.TCP_CR_ACKED], DELAY)
    assert actions == [Do.CONNECT]
    assert fsm.deadlines() == ((4.0, EventKind.DELAY_OPEN_TIMER_EXPIRES),)
    event = Event(EventKind.BGP_OPEN_WITH_DELAY_OPEN_TIMER, session(30))
    fsm, actions = run([event], DELAY, fsm=fsm)
    assert actions == [Do.SEND_OPEN, Do.SEND_KEEPALIVE]
    assert fsm.state is State.OPEN_CONFIRM
    assert fsm.hold_at == 30


def test_delay_open_ends_by_its_timer() -> None:
    fsm, _ = run([EventKind.AUTOMATIC_START_PASSIVE, EventKind.TCP_CONNECTION_CONFIRMED], DELAY)
    assert fsm.state is State.ACTIVE
    fsm, actions = run([EventKind.DELAY_OPEN_TIMER_EXPIRES], DELAY, fsm=fsm)
    assert actions == [Do.SEND_OPEN]
    assert fsm.delay_open_at is None


def test_a_connection_lost_while_delaying_goes_to_active() -> None:
    fsm, _ = run(
        [EventKind.AUTOMATIC_START, EventKind.TCP_CR_ACKED, EventKind.TCP_CONNECTION_FAILS], DELAY
    )
    assert fsm.state is State.ACTIVE
    assert fsm.connect_retry_at == 10


def test_a_notification_without_open_is_an_option() -> None:
    options = replace(DELAY, notification_without_open=True)
    fault = Notification(1, 1)
    for kind, said in (
        (EventKind.MANUAL_STOP, Notification(6, 0)),
        (EventKind.BGP_HEADER_ERR, fault),
        (EventKind.BGP_OPEN_MSG_ERR, fault),
    ):
        given = None if kind is EventKind.MANUAL_STOP else fault
        fsm, _ = run([EventKind.AUTOMATIC_START_PASSIVE, EventKind.TCP_CR_ACKED], options)
        _, actions = run([Event(kind, notification=given)], options, fsm=fsm)
        assert actions == [said, Do.DISCONNECT]


def test_a_version_error_while_delaying_is_not_counted() -> None:
    fsm, _ = run(
        [EventKind.AUTOMATIC_START, EventKind.TCP_CR_ACKED, EventKind.NOTIF_MSG_VER_ERR], DELAY
    )
    assert fsm.connect_retry_counter == 0


events = st.builds(
    Event,
    st.sampled_from(EventKind),
    st.builds(session, st.sampled_from((0, 3, 30))),
    st.none() | st.just(Notification(3, 1)),
)


@given(
    st.lists(st.tuples(events, st.floats(0, 100), st.floats(0.75, 1)), max_size=30),
    st.sampled_from((Options(), DELAY, Options(damp=False, passive=True))),
)
def test_any_history_keeps_the_machine_in_order(
    history: list[tuple[Event, float, float]], options: Options
) -> None:
    fsm, now, connected = FSM(), 0.0, False
    for event, wait_s, jitter in history:
        now += wait_s
        before = fsm
        fsm, actions = step(fsm, event, now, jitter, options)
        connected = connected or Do.CONNECT in actions
        # A session goes up once and down once, and lives only in Established.
        assert (Do.SESSION_UP in actions) == (
            before.state is not State.ESTABLISHED and fsm.state is State.ESTABLISHED
        )
        assert (Do.SESSION_DOWN in actions) == (
            before.state is State.ESTABLISHED and fsm.state is not State.ESTABLISHED
        )
        if fsm.state is State.IDLE:
            assert (fsm.hold_at, fsm.keepalive_at, fsm.connect_retry_at) == (None, None, None)
        else:
            assert fsm.idle_hold_at is None
        # A served timer is no longer due: the shell's loop ends.
        for _ in range(10):
            due = fsm.due(now)
            if due is None:
                break
            fsm, _ = step(fsm, Event(due), now, jitter, options)
        assert fsm.due(now) is None


CAPABLE = Capabilities(
    families=(IPV4_UNICAST, IPV6_UNICAST),
    four_octet_asn=64512,
    route_refresh=True,
    enhanced_route_refresh=True,
    extended_message=True,
    extended_next_hop=(ExtendedNextHop(IPV4_UNICAST, AFI_IPV6),),
)


def test_a_capability_counts_only_if_both_announced_it() -> None:
    local = replace(LOCAL, capabilities=CAPABLE)
    both = negotiate(local, Open(64513, 30, IPv4Address(2), CAPABLE))
    assert both.families == (IPV4_UNICAST, IPV6_UNICAST)
    assert both.scope.four_octet_asn
    assert both.route_refresh
    assert both.enhanced_route_refresh
    assert both.ipv6_next_hops
    assert (both.receive_size, both.send_size) == (65535, 65535)
    bare = negotiate(local, Open(64513, 30, IPv4Address(2), None))
    assert bare.families == (IPV4_UNICAST,)
    assert not bare.scope.four_octet_asn
    assert not bare.route_refresh
    assert not bare.ipv6_next_hops
    assert (bare.receive_size, bare.send_size) == (65535, 4096)


def test_a_peer_that_names_only_ipv6_gets_no_ipv4() -> None:
    peer = Open(64513, 30, IPv4Address(2), Capabilities(families=(IPV6_UNICAST,)))
    assert negotiate(replace(LOCAL, capabilities=CAPABLE), peer).families == (IPV6_UNICAST,)


def test_hold_time_0_of_either_side_wins() -> None:
    assert session(0).hold_time_s == 0
    peer = Open(64513, 30, IPv4Address(2), None)
    assert negotiate(replace(LOCAL, hold_time_s=0), peer).hold_time_s == 0


def test_a_wrong_asn_or_our_own_identifier_is_refused() -> None:
    peer = Open(64513, 30, IPv4Address(1), None)
    check_open(peer, LOCAL, None)  # Another AS may use our identifier (RFC 6286).
    check_open(peer, LOCAL, 64513)
    with pytest.raises(NotificationError) as caught:
        check_open(peer, LOCAL, 64999)
    assert (caught.value.code, caught.value.subcode) == (2, 2)
    with pytest.raises(NotificationError) as caught:
        check_open(replace(peer, asn=64512), LOCAL, None)
    assert (caught.value.code, caught.value.subcode) == (2, 3)


def test_the_higher_identifier_keeps_the_connection_it_opened() -> None:
    low, high = IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2")
    assert keeps_own_connection(high, 1, low, 2)
    assert not keeps_own_connection(low, 2, high, 1)
    assert keeps_own_connection(low, 2, low, 1)  # RFC 6286 section 2.3
