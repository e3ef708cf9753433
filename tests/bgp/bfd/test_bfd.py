"""BFD: packets, the state machine (RFC 5880 section 6.8), detection, and what BGP does then."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger

from pybal.bgp.bfd.detector import Detector
from pybal.bgp.bfd.packet import (
    BFDPacketError,
    BFDState,
    ControlPacket,
    Diagnostic,
    decode_packet,
    encode_packet,
)
from pybal.bgp.bfd.peers import BFD
from pybal.bgp.bfd.ports import Received
from pybal.bgp.bfd.session import BFDSession, adopt, receive, rest, start, tick
from pybal.bgp.settings import BFDSettings
from pybal.model import IPAddress

A, B = ip_address("10.0.0.1"), ip_address("10.0.0.2")
u32 = st.integers(0, 2**32 - 1)
DOWN, INIT, UP, ADMIN = BFDState.DOWN, BFDState.INIT, BFDState.UP, BFDState.ADMIN_DOWN

packets = st.builds(
    ControlPacket,
    state=st.sampled_from(BFDState),
    diagnostic=st.integers(0, 31),
    detect_multiplier=st.integers(1, 255),
    my_discriminator=st.integers(1, 2**32 - 1),
    your_discriminator=st.integers(1, 2**32 - 1),
    desired_min_tx_us=u32,
    required_min_rx_us=u32,
    required_min_echo_rx_us=u32,
    poll=st.booleans(),
    final=st.booleans(),
    demand=st.booleans(),
    control_plane_independent=st.booleans(),
)


@given(packets)
def test_a_packet_survives_the_wire(packet: ControlPacket) -> None:
    assert decode_packet(encode_packet(packet)) == packet


@given(st.binary(max_size=40))
def test_any_bytes_end_in_a_packet_or_a_declared_error(data: bytes) -> None:
    with contextlib.suppress(BFDPacketError):
        decode_packet(data)


GOOD = encode_packet(ControlPacket(DOWN, 0, 3, 7, 0, 1000000, 300000))


def test_a_packet_is_laid_out_as_the_rfc_draws_it() -> None:
    assert GOOD.hex() == "20400318" + "00000007" + "00000000" + "000f4240" + "000493e0" + "00000000"


@pytest.mark.parametrize(
    "data",
    [
        GOOD[:23],
        b"\x40" + GOOD[1:],
        GOOD[:3] + b"\x17" + GOOD[4:],
        GOOD[:3] + b"\x19" + GOOD[4:],
        GOOD[:2] + b"\0" + GOOD[3:],
        GOOD[:1] + b"\x41" + GOOD[2:],
        GOOD[:4] + bytes(4) + GOOD[8:],
        GOOD[:1] + b"\x80" + GOOD[2:],
        GOOD[:1] + b"\x44" + GOOD[2:],
    ],
    ids=["short", "version", "length 23", "length 25", "multiplier", "multipoint",
         "my discriminator", "your discriminator", "authentication"],
)  # fmt: skip
def test_what_section_6_8_6_discards_is_discarded(data: bytes) -> None:
    with pytest.raises(BFDPacketError):
        decode_packet(data)


TRANSITIONS = {
    # (ours, heard): then
    (DOWN, ADMIN): DOWN, (DOWN, DOWN): INIT, (DOWN, INIT): UP, (DOWN, UP): DOWN,
    (INIT, ADMIN): DOWN, (INIT, DOWN): INIT, (INIT, INIT): UP, (INIT, UP): UP,
    (UP, ADMIN): DOWN, (UP, DOWN): DOWN, (UP, INIT): UP, (UP, UP): UP,
    (ADMIN, ADMIN): ADMIN, (ADMIN, DOWN): ADMIN, (ADMIN, INIT): ADMIN, (ADMIN, UP): ADMIN,
}  # fmt: skip

SETTINGS = BFDSettings(interval_ms=300, multiplier=3)


def heard(state: BFDState, **changes: Any) -> ControlPacket:
    return replace(ControlPacket(state, 0, 5, 9, 7, 200000, 100000), **changes)


def test_the_state_machine_is_the_rfcs() -> None:
    assert len(TRANSITIONS) == len(BFDState) ** 2
    for (ours, theirs), then in TRANSITIONS.items():
        session = replace(BFDSession(SETTINGS, 7), state=ours)
        assert receive(session, heard(theirs), 0.0, 1.0)[0].state is then, (ours, theirs)


def test_while_not_up_we_send_once_a_second_with_jitter() -> None:
    session = start(BFDSession(SETTINGS, 7), 0.0)
    session, [packet] = tick(session, 0.0, 0.8)
    assert (packet.desired_min_tx_us, packet.required_min_rx_us) == (1000000, 300000)
    assert session.transmit_at == 0.8


def up() -> BFDSession:
    session = start(BFDSession(SETTINGS, 7), 0.0)
    return receive(session, heard(INIT), 0.0, 1.0)[0]


def test_when_up_we_send_at_the_agreed_interval_and_say_so_by_a_poll() -> None:
    session = up()
    session, [packet] = tick(session, 0.3, 1.0)
    assert packet.poll
    assert packet.desired_min_tx_us == 300000
    assert session.transmit_at == pytest.approx(0.6)
    session, _ = receive(session, heard(UP, final=True), 0.4, 1.0)
    assert not tick(session, 0.6, 1.0)[1][0].poll


def test_a_slower_receiver_is_respected() -> None:
    session, _ = receive(up(), heard(UP, required_min_rx_us=2000000), 1.0, 1.0)
    assert session.transmit_at == 3.0
    session, _ = receive(session, heard(UP, required_min_rx_us=0), 1.5, 1.0)
    assert session.transmit_at is None


def test_the_detection_time_is_the_peers_multiplier_of_the_slower_interval() -> None:
    session = up()
    assert session.detection_time_s == 5 * 0.3
    session, _ = receive(session, heard(UP, desired_min_tx_us=400000), 1.0, 1.0)
    assert session.detect_at == 3.0
    session, _ = tick(session, 3.0, 1.0)
    assert (session.state, session.diagnostic) == (DOWN, Diagnostic.DETECTION_TIME_EXPIRED)
    assert session.your_discriminator == 0


def test_a_poll_is_answered_at_once() -> None:
    _, [answer] = receive(up(), heard(UP, poll=True), 0.1, 1.0)
    assert (answer.final, answer.poll) == (True, False)


def test_multiplier_1_never_waits_longer_than_nine_tenths() -> None:
    session = start(BFDSession(BFDSettings(300, 1), 7), 0.0)
    assert tick(session, 0.0, 1.0)[0].transmit_at == 0.9


def test_a_peer_in_demand_mode_gets_no_periodic_packets() -> None:
    session, _ = receive(up(), heard(UP, demand=True, final=True), 0.1, 1.0)
    assert session.transmit_at is None


def test_without_a_transmit_timer_nothing_is_sent() -> None:
    session = replace(up(), transmit_at=None, detect_at=9.0)
    assert tick(session, 1.0, 1.0) == (session, ())


@pytest.mark.parametrize(
    ("packet", "final"),
    [
        (heard(DOWN), [False]),
        (heard(DOWN, poll=True), [True]),  # the answer says it, too
        (heard(DOWN, required_min_rx_us=0), []),  # RFC 5880 section 6.8.7: it wants none
    ],
)
def test_another_state_is_said_at_once_and_once(packet: ControlPacket, final: list[bool]) -> None:
    session = start(BFDSession(SETTINGS, 7), 5.0)
    session, sent = receive(session, packet, 1.0, 1.0)
    assert session.state is INIT
    assert [(each.state, each.final) for each in sent] == [(INIT, each) for each in final]


def test_a_peer_is_told_by_a_poll_how_long_to_wait() -> None:
    session, [packet] = rest(up(), 3.0)
    assert (packet.desired_min_tx_us, packet.poll) == (1_000_000, True), "three of them are 3 s"
    assert session.polling
    down = BFDSession(SETTINGS, 7)
    assert rest(down, 3.0) == (down, ())


def test_a_former_session_is_gone_on_with_by_a_poll_at_once() -> None:
    adopted = adopt(BFDSession(SETTINGS, 99), heard(UP, your_discriminator=7), 1.0, 1.0)
    assert adopted is not None
    session, [packet] = adopted
    assert (session.state, session.my_discriminator, session.your_discriminator) == (UP, 7, 9)
    assert (packet.state, packet.poll, packet.my_discriminator) == (UP, True, 7)
    assert session.transmit_at == pytest.approx(1.3)
    for other in (heard(INIT), heard(UP, your_discriminator=0)):
        assert adopt(BFDSession(SETTINGS, 99), other, 1.0, 1.0) is None


def test_what_a_silent_peer_has_said_is_forgotten() -> None:
    """RFC 5880 section 6.8.1: as at the beginning."""
    session, _ = receive(up(), heard(UP, demand=True), 0.1, 1.0)
    session, _ = tick(replace(session, polling=True), 99.0, 1.0)
    fresh = BFDSession(SETTINGS, 7)
    assert fresh.remote_min_rx_us == 1
    for each in (session, fresh):
        assert (each.state, each.remote_state, each.your_discriminator) == (DOWN, DOWN, 0)
        assert (each.remote_min_rx_us, each.remote_demand, each.polling) == (1, False, False)
        assert each.detect_at is None


class MemoryBFDNetwork:
    """Datagrams between detectors on one clock; `cut` loses them all."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.receivers: dict[IPAddress, Received] = {}
        self.multihop = False
        self.sent: list[bytes] = []
        self.cut = False
        self.mute: IPAddress | None = None
        """What this one sends is lost."""
        self.ttl = 255

    def at(self, address: IPAddress) -> MemoryBFDHost:
        return MemoryBFDHost(self, address)


class MemoryBFDHost:
    def __init__(self, network: MemoryBFDNetwork, address: IPAddress) -> None:
        self._network = network
        self._address = address

    def open(
        self, peer: IPAddress, source: IPAddress | None, port: int, *, multihop: bool
    ) -> tuple[Callable[[bytes], None], Callable[[], None]]:
        assert 49152 <= port <= 65535
        network = self._network
        network.multihop = multihop

        def send(data: bytes) -> None:
            network.sent.append(data)
            if not network.cut and network.mute != self._address and peer in network.receivers:
                receiver = network.receivers[peer]
                network.clock.callLater(0.001, receiver, data, self._address, network.ttl)

        return send, lambda: None

    def listen(self, version: int, received: Received, *, multihop: bool) -> Callable[[], None]:
        self._network.receivers[self._address] = received
        return lambda: None


class Joined:
    """Two BFD speakers, and what each told its BGP."""

    def __init__(self, *settings: BFDSettings, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.network = MemoryBFDNetwork(self.clock)
        of_each = settings or (SETTINGS, SETTINGS)
        self.told: dict[IPAddress, list[tuple[float, bool]]] = {A: [], B: []}
        self.ends: dict[IPAddress, BFD] = {}
        self.detectors: dict[IPAddress, Detector] = {}
        for seed, (own, peer) in enumerate(((A, B), (B, A))):
            host = self.network.at(own)
            bfd = BFD(host, self.clock, Random(seed), Logger())
            self.detectors[own] = bfd.watch(peer, None, of_each[seed], self._teller(own))
            self.ends[own] = bfd

    def _teller(self, own: IPAddress) -> Callable[[bool], None]:
        return lambda up: self.told[own].append((self.clock.seconds(), up))

    def wait(self, seconds: float) -> None:
        self.clock.pump(itertools.repeat(0.002, int(seconds / 0.002)))


def test_two_ends_come_up_and_notice_a_cut_within_the_detection_time() -> None:
    joined = Joined()
    joined.wait(3)
    assert [up for _, up in joined.told[A] + joined.told[B]] == [True, True]
    cut_at = joined.clock.seconds()
    joined.network.cut = True
    joined.wait(2)
    for end in (A, B):
        at, is_up = joined.told[end][-1]
        assert not is_up
        assert 0.6 <= at - cut_at <= 0.91
    joined.network.cut = False
    joined.wait(3)
    assert joined.told[A][-1][1]


def test_an_end_on_purpose_is_no_failure() -> None:
    joined = Joined()
    joined.wait(3)
    joined.ends[B].stop()
    joined.wait(3)
    assert joined.told[A] == [joined.told[A][0]]
    assert joined.detectors[A].session.state is DOWN


def test_packets_from_afar_or_of_strangers_are_discarded() -> None:
    joined = Joined()
    joined.network.ttl = 254
    joined.wait(3)
    assert joined.told[A] == []
    before = joined.detectors[A].session
    assert before.state is DOWN
    receiver = joined.network.receivers[A]
    receiver(GOOD, ip_address("10.0.0.77"), 255)
    receiver(GOOD[:8] + b"\1\2\3\4" + GOOD[12:], B, 255)
    assert joined.detectors[A].session is before


def test_a_peer_that_is_watched_anew_has_one_session() -> None:
    joined = Joined()
    joined.wait(3)
    before = joined.detectors[A]
    anew = joined.ends[A].watch(B, None, SETTINGS, lambda _: None)
    joined.wait(3)
    assert (before.session.state, anew.session.state) == (ADMIN, UP)
    for end in (A, B):
        joined.ends[end].stop()
    joined.wait(1)
    assert joined.clock.getDelayedCalls() == []


def test_a_stopped_end_has_no_timer() -> None:
    joined = Joined()
    joined.wait(1)
    for end in joined.ends.values():
        end.stop()
    joined.wait(0.1)
    assert joined.clock.getDelayedCalls() == []


def test_before_a_restart_the_peer_is_polled_to_wait_as_long_as_graceful_restart_lasts() -> None:
    joined = Joined()
    joined.wait(3)
    resting = Deferred.fromCoroutine(joined.ends[A].rest({B: 60.0}))
    joined.wait(0.2)
    assert resting.called
    joined.ends[A].stop()
    del joined.network.receivers[A]
    joined.wait(50)
    assert [up for _, up in joined.told[B]] == [True]
    joined.wait(11)
    assert [up for _, up in joined.told[B]] == [True, False], "in the end it is no restart"


def test_the_next_life_goes_on_with_the_session_that_the_peer_still_has() -> None:
    joined = Joined()
    joined.wait(3)
    Deferred.fromCoroutine(joined.ends[A].rest({B: 60.0}))
    joined.wait(0.2)
    joined.ends[A].stop()
    joined.wait(5)
    host = joined.network.at(A)
    again = BFD(host, joined.clock, Random(9), Logger())
    told: list[bool] = []
    detector = again.watch(B, None, SETTINGS, told.append, restarting=True)
    joined.wait(20)
    assert [up for _, up in joined.told[B]] == [True], "it has not noticed"
    assert told == [True]
    assert detector.session.my_discriminator == joined.detectors[B].session.your_discriminator
    joined.network.cut = True
    joined.wait(2)
    assert told == [True, False], "at the usual speed again"
    assert joined.told[B][-1][1] is False


def test_a_peer_that_has_forgotten_our_former_life_begins_anew() -> None:
    joined = Joined()
    joined.ends[A].stop()
    joined.ends[B].stop()
    both = []
    for seed, (own, peer) in enumerate(((A, B), (B, A))):
        bfd = BFD(joined.network.at(own), joined.clock, Random(seed + 5), Logger())
        both.append(bfd.watch(peer, None, SETTINGS, joined._teller(own), restarting=own == A))
    joined.wait(7)
    assert [detector.session.state for detector in both] == [UP, UP]


def test_a_peer_that_does_not_answer_the_poll_does_not_hold_up_the_restart() -> None:
    joined = Joined()
    joined.wait(3)
    joined.network.cut = True
    resting = Deferred.fromCoroutine(joined.ends[A].rest({B: 60.0}))
    joined.wait(0.6)
    assert resting.called


def test_over_several_hops_there_is_a_port_of_its_own_and_any_ttl_or_a_limit() -> None:
    far = replace(SETTINGS, multihop=True, min_ttl=0)
    for settings, ttl, comes_up in (
        (far, 3, True),
        (replace(far, min_ttl=250), 250, True),
        (replace(far, min_ttl=250), 249, False),
    ):
        joined = Joined(settings, settings)
        joined.network.ttl = ttl
        joined.wait(3)
        assert joined.network.multihop
        assert bool(joined.told[A]) is comes_up


def test_a_packet_on_the_other_port_belongs_to_no_session() -> None:
    joined = Joined(replace(SETTINGS, multihop=True), SETTINGS)
    near: list[bool] = []
    joined.ends[A].watch(ip_address("10.0.0.3"), None, SETTINGS, near.append)
    joined.wait(1)
    assert joined.told[A] == joined.told[B] == []
