"""Whether a peer may connect to us now (DampPeerOscillations, both ways)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from twisted.internet.task import Clock

from pybal.bgp.admission import Admission, begins_anew
from pybal.bgp.fsm import FSM
from pybal.bgp.messages import Capabilities, GracefulRestart
from pybal.bgp.negotiation import negotiate
from pybal.bgp.settings import Options
from tests.bgp.peeringcase import OPEN, RESTART
from tests.fakes.log import FakeLog

OPTIONS = Options(idle_hold_s=1.0)


def failed(penalty_s: float, until: float, retry_wait_s: float = 0.0) -> FSM:
    """A link back in Idle, whose next failure costs `penalty_s`."""
    return FSM(idle_hold_at=until, idle_hold_s=penalty_s, retry_wait_s=retry_wait_s)


def clean(admission: Admission) -> bool:
    return admission.is_clean


def test_a_peer_of_which_nothing_is_known_is_let_in() -> None:
    admission = Admission(OPTIONS, Clock())
    assert admission.damped_s == 0.0
    assert clean(admission)
    assert admission.fresh() == FSM()


def test_the_first_penalty_does_not_keep_a_peer_out_and_the_next_ones_do() -> None:
    clock = Clock()
    admission = Admission(OPTIONS, clock)
    admission.remember(failed(2.0, 1.0))
    assert admission.damped_s == 0.0
    assert not clean(admission)
    admission.remember(failed(4.0, 2.0))
    assert admission.damped_s == 2.0
    clock.advance(1.5)
    assert admission.damped_s == 0.5
    clock.advance(0.5)
    assert admission.damped_s == 0.0
    assert clean(admission)
    clock.advance(5)
    assert admission.damped_s == 0.0


def test_the_penalty_is_measured_by_the_configured_first_one() -> None:
    admission = Admission(Options(idle_hold_s=3.0), Clock())
    admission.remember(failed(6.0, 3.0))
    assert admission.damped_s == 0.0
    admission.remember(failed(6.5, 3.0))
    assert admission.damped_s == 3.0


def test_a_new_link_goes_on_where_the_last_one_ended() -> None:
    admission = Admission(OPTIONS, Clock())
    admission.remember(failed(8.0, 4.0))
    assert admission.fresh().idle_hold_s == 8.0


def test_what_sent_no_open_earns_no_penalty() -> None:
    admission = Admission(OPTIONS, Clock())
    admission.remember(failed(8.0, 4.0, retry_wait_s=1.0))
    admission.remember(FSM(idle_hold_s=8.0))
    assert admission.damped_s == 0.0
    assert admission.fresh() == FSM()


def test_who_is_not_let_in_is_told_to_the_log_with_the_time_left() -> None:
    clock, log = Clock(), FakeLog()
    admission = Admission(OPTIONS, clock)
    logger = log.logger("bgp")
    assert admission.lets_in("192.0.2.1", logger)
    assert log.lines == []
    admission.remember(failed(4.0, 2.25))
    assert not admission.lets_in("192.0.2.1", logger)
    assert "192.0.2.1" in log.lines[0]
    assert "in 2.2 s" in log.lines[0]
    clock.advance(3)
    assert [admission.lets_in("192.0.2.1", logger) for _ in range(11)] == [True] * 10 + [False]


@pytest.mark.parametrize(
    ("restart", "established_at", "now_s", "anew"),
    [
        (RESTART, 10.0, 15.0, True),
        (RESTART, 10.0, 14.9, False),  # both have connected at once
        (None, 10.0, 99.0, False),
        (replace(RESTART, families=()), 10.0, 99.0, False),  # keeps nothing
        (RESTART, None, 99.0, False),  # not established yet
    ],
)
def test_a_peer_that_connects_beside_its_session_has_restarted_if_it_may(
    restart: GracefulRestart | None, established_at: float | None, now_s: float, anew: bool
) -> None:
    """RFC 4724 section 5."""
    peer = replace(OPEN, capabilities=Capabilities(graceful_restart=restart))
    fsm = FSM(session=negotiate(OPEN, peer), established_at=established_at)
    assert begins_anew(fsm, now_s) is anew
    assert not begins_anew(FSM(), now_s)


def test_a_peer_may_open_ten_connections_and_two_more_each_second() -> None:
    clock = Clock()
    admission = Admission(OPTIONS, clock)
    assert [admission.take() for _ in range(11)] == [True] * 10 + [False]
    clock.advance(1)
    assert [admission.take() for _ in range(3)] == [True, True, False]
