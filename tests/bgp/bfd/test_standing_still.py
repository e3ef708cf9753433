"""BFD while this process stands still: what it does for that long, and what it finds afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock

from pybal.bgp.bfd.packet import BFDState
from pybal.bgp.bfd.session import go_on, receive, rest, tick
from tests.bgp.bfd.test_bfd import SETTINGS, A, B, Joined, heard, up

TURN_S = 1e-6


class Turns(Clock):
    """What is to be done at once is done in the next turn, as a reactor does it."""

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: object, **kw: object
    ) -> IDelayedCall:
        return super().callLater(delay or TURN_S, callable, *args, **kw)


def states(joined: Joined, end: Any) -> list[bool]:
    """What its BGP was told."""
    return [is_up for _, is_up in joined.told[end]]


@pytest.mark.parametrize("has_come", [True, False])
def test_what_has_come_meanwhile_is_received_before_a_peer_is_given_up(*, has_come: bool) -> None:
    """Timers may be served before the socket is."""
    joined = Joined(clock=Turns())
    joined.wait(3)
    joined.network.cut = True
    joined.wait(0.01)
    joined.network.sent.clear()
    joined.clock.rightNow += 2
    joined.clock.advance(0)
    assert states(joined, A) == [True]
    if has_come:
        theirs = joined.detectors[B].session.my_discriminator.to_bytes(4)
        [*_, late] = (data for data in joined.network.sent if data[4:8] == theirs)
        joined.network.receivers[A](late, B, 255)
    joined.clock.advance(TURN_S)
    assert states(joined, A) == ([True] if has_come else [True, False])
    assert states(joined, B) == [True, False]
    joined.clock.rightNow += 2
    joined.clock.advance(0)
    assert states(joined, A) == ([True] if has_come else [True, False]), "it is looked again"
    joined.clock.advance(TURN_S)
    assert states(joined, A) == [True, False]


def test_while_an_end_stands_still_its_peer_waits_and_afterwards_as_ever() -> None:
    joined = Joined()
    joined.wait(3)
    pausing = Deferred.fromCoroutine(joined.ends[A].pause(5.0))
    joined.wait(0.2)
    assert pausing.called
    joined.network.mute = A
    joined.wait(4.5)
    joined.network.mute = None
    joined.ends[A].go_on()
    joined.wait(0.1)
    assert not joined.detectors[A].session.polling, "it has been heard"
    assert states(joined, B) == [True]
    joined.network.cut = True
    joined.wait(1)
    assert states(joined, B) == [True, False]


def test_a_peer_that_waits_long_enough_is_not_told_to_expect_us_sooner() -> None:
    session, [packet] = rest(up(), 0.5)
    assert packet.desired_min_tx_us == SETTINGS.interval_ms * 1000
    assert go_on(session, 1.0).transmit_at == 1.0
    assert go_on(up(), 1.0) == up(), "nobody waits for it"
    down = replace(session, state=BFDState.DOWN)
    assert not go_on(down, 1.0).polling


def test_until_a_peer_has_agreed_to_wait_we_send_as_often_as_before() -> None:
    """RFC 5880 section 6.8.3: two packets that are lost must not end the session."""
    session, _ = rest(replace(up(), transmit_at=1.0, detect_at=None), 6.0)
    for now in (1.0, 1.3, 1.6):
        assert session.transmit_at == pytest.approx(now)
        session, [packet] = tick(session, now, 1.0)
        assert (packet.poll, packet.desired_min_tx_us) == (True, 2_000_000)
    session, _ = receive(session, heard(BFDState.UP, final=True), 1.7, 1.0)
    assert session.transmit_at == 3.7


def test_who_ends_while_its_peer_is_to_wait_says_so() -> None:
    joined = Joined()
    joined.wait(3)
    Deferred.fromCoroutine(joined.ends[A].pause(5.0))
    joined.wait(0.2)
    joined.ends[A].stop()
    joined.ends[A].go_on()
    joined.wait(0.01)
    assert joined.detectors[B].session.remote_state is BFDState.ADMIN_DOWN
    assert states(joined, B) == [True]


def test_a_pause_does_not_shorten_the_wait_for_a_restart() -> None:
    joined = Joined()
    joined.wait(3)
    Deferred.fromCoroutine(joined.ends[A].rest({B: 60.0}))
    Deferred.fromCoroutine(joined.ends[A].pause(5.0))
    joined.wait(0.2)
    joined.ends[A].go_on()
    joined.ends[A].stop()
    joined.wait(50)
    assert states(joined, B) == [True]
