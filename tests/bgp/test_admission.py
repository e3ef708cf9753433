"""Whether a peer may connect to us now (DampPeerOscillations, both ways)."""

from __future__ import annotations

from twisted.internet.task import Clock

from pybal.bgp.admission import Admission
from pybal.bgp.fsm import FSM
from pybal.bgp.settings import Options

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


def test_a_peer_may_open_ten_connections_and_two_more_each_second() -> None:
    clock = Clock()
    admission = Admission(OPTIONS, clock)
    assert [admission.take() for _ in range(11)] == [True] * 10 + [False]
    clock.advance(1)
    assert [admission.take() for _ in range(3)] == [True, True, False]
