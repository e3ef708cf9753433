"""One BFD session as a value: RFC 5880 section 6, asynchronous mode, time as an argument. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pybal.bgp.bfd.packet import BFDState, ControlPacket, Diagnostic
from pybal.bgp.settings import BFDSettings

_SLOW_US = 1_000_000  # section 6.8.3: while not Up, never faster than once a second


@dataclass(frozen=True, slots=True)
class BFDSession:
    """The state variables of section 6.8.1. Deadlines are on the caller's clock; None: off.
    `resting_us`: while the peer is to wait for us, the interval that it has been told; else 0.
    """

    settings: BFDSettings
    my_discriminator: int
    state: BFDState = BFDState.DOWN
    diagnostic: Diagnostic = Diagnostic.NONE
    your_discriminator: int = 0
    remote_state: BFDState = BFDState.DOWN
    remote_min_rx_us: int = 1
    remote_desired_min_tx_us: int = 0
    remote_detect_multiplier: int = 0
    remote_demand: bool = False
    polling: bool = False
    resting_us: int = 0
    transmit_at: float | None = None
    detect_at: float | None = None

    @property
    def desired_min_tx_us(self) -> int:
        """Microseconds; a second at least while the session is not up (section 6.8.3)."""
        configured = self.resting_us or self.settings.interval_ms * 1000
        return configured if self.state is BFDState.UP else max(_SLOW_US, configured)

    @property
    def detection_time_s(self) -> float:
        """Section 6.8.4; 0 before the first packet of the peer."""
        interval_us = max(self.settings.interval_ms * 1000, self.remote_desired_min_tx_us)
        return self.remote_detect_multiplier * interval_us / 1e6

    def next_deadline(self) -> float | None:
        """When `tick` is due next; None: never."""
        times = [at for at in (self.transmit_at, self.detect_at) if at is not None]
        return min(times, default=None)


Outcome = tuple[BFDSession, tuple[ControlPacket, ...]]


def start(session: BFDSession, now: float) -> BFDSession:
    """Begin to transmit."""
    return replace(session, transmit_at=now)


def is_overdue(session: BFDSession, now: float) -> bool:
    """Whether nothing has been heard for a detection time."""
    return session.detect_at is not None and session.detect_at <= now


def tick(session: BFDSession, now: float, jitter: float, *, has_looked: bool = True) -> Outcome:
    """Serve the timers that are due at `now`. `jitter` is 0.75 to 1. `has_looked`: whether all that
    has come by then has been received; else the peer is not given up yet."""
    if has_looked and is_overdue(session, now):
        session = _detection_expired(session)
    if session.transmit_at is None or session.transmit_at > now:
        return session, ()
    packet = _packet(session)
    return _schedule(session, now, jitter), (packet,)


def receive(session: BFDSession, packet: ControlPacket, now: float, jitter: float) -> Outcome:
    """A packet of the peer that belongs to this session (section 6.8.6)."""
    before = session
    session = replace(
        session,
        your_discriminator=packet.my_discriminator,
        remote_state=packet.state,
        remote_demand=packet.demand,
        remote_min_rx_us=packet.required_min_rx_us,
        remote_desired_min_tx_us=packet.desired_min_tx_us,
        remote_detect_multiplier=packet.detect_multiplier,
        polling=session.polling and not packet.final,
    )
    session = _next_state(session, packet.state)
    if session.state is BFDState.UP and before.state is not BFDState.UP:
        # Our interval becomes shorter: the peer is told by a poll sequence (section 6.8.3).
        session = replace(session, polling=True)
    session = replace(session, detect_at=now + session.detection_time_s)
    sent: tuple[ControlPacket, ...] = ()
    if packet.poll:
        sent = (replace(_packet(session), poll=False, final=True),)
    if session.state is not before.state or _interval_us(session) != _interval_us(before):
        session = _schedule(session, now, jitter)
        if session.state is not before.state and not sent and session.transmit_at is not None:
            sent = (_packet(session),)
    return session, sent


def rest(session: BFDSession, absence_s: float) -> Outcome:
    """Tell the peer by a poll that we send so seldom that it takes us for down only after an
    absence of `absence_s` (section 6.8.4), or longer, if it knows so: it is not to notice that. To
    be said again until `polling` has ended."""
    if session.state is not BFDState.UP:
        return session, ()
    interval_us = int(absence_s * 1e6 / session.settings.multiplier)
    session = replace(session, resting_us=max(interval_us, session.desired_min_tx_us), polling=True)
    return session, (_packet(session),)


def go_on(session: BFDSession, now: float) -> BFDSession:
    """The peer need not wait any more: it is told at the next tick, which is due at once."""
    if not session.resting_us:
        return session
    return replace(session, resting_us=0, polling=session.state is BFDState.UP, transmit_at=now)


def adopt(session: BFDSession, packet: ControlPacket, now: float, jitter: float) -> Outcome | None:
    """After a restart the peer goes on with the session of our former life: what it sends tells us
    all that we need to do so, too. None if it does not."""
    if packet.state is not BFDState.UP or packet.your_discriminator == 0:
        return None
    session = replace(
        session,
        state=BFDState.UP,
        my_discriminator=packet.your_discriminator,
        polling=True,  # our interval is shorter than what it was told before we went
        transmit_at=now,
    )
    session, answers = receive(session, packet, now, jitter)
    return _schedule(session, now, jitter), answers or (_packet(session),)


def shut(session: BFDSession) -> Outcome:
    """End: one packet tells the peer that it is on purpose (section 6.8.16)."""
    session = replace(
        session,
        state=BFDState.ADMIN_DOWN,
        diagnostic=Diagnostic.ADMINISTRATIVELY_DOWN,
        polling=False,
        transmit_at=None,
        detect_at=None,
    )
    return session, (_packet(session),)


def _detection_expired(session: BFDSession) -> BFDSession:
    """Section 6.8.4: no packet for a detection time."""
    if session.state in (BFDState.INIT, BFDState.UP):
        session = replace(
            session, state=BFDState.DOWN, diagnostic=Diagnostic.DETECTION_TIME_EXPIRED
        )
    # Section 6.8.1: what the peer said is forgotten with it.
    return replace(
        session, detect_at=None, your_discriminator=0, remote_min_rx_us=1,
        remote_state=BFDState.DOWN, polling=False, remote_demand=False,
    )  # fmt: skip


def _next_state(session: BFDSession, heard: BFDState) -> BFDSession:
    """The state machine of section 6.8.6."""
    state = session.state
    if state is BFDState.ADMIN_DOWN:
        return session
    if heard is BFDState.ADMIN_DOWN or (heard is BFDState.DOWN and state is BFDState.UP):
        if state is BFDState.DOWN:
            return session
        return replace(session, state=BFDState.DOWN, diagnostic=Diagnostic.NEIGHBOR_SIGNALED_DOWN)
    if state is BFDState.DOWN:
        if heard is BFDState.DOWN:
            return replace(session, state=BFDState.INIT)
        if heard is BFDState.INIT:
            return replace(session, state=BFDState.UP, diagnostic=Diagnostic.NONE)
    if state is BFDState.INIT and heard in (BFDState.INIT, BFDState.UP):
        return replace(session, state=BFDState.UP, diagnostic=Diagnostic.NONE)
    return session


def _interval_us(session: BFDSession) -> int:
    """Section 6.8.7; 0: nothing is to be sent periodically."""
    if session.remote_min_rx_us == 0:
        return 0
    up, desired_us = BFDState.UP, session.desired_min_tx_us
    if session.resting_us and session.polling and session.state is up:
        # The peer has not agreed yet to wait (section 6.8.3).
        desired_us = session.settings.interval_ms * 1000
    if session.remote_demand and session.state is up and session.remote_state is up:
        return 0 if not session.polling else desired_us
    return max(desired_us, session.remote_min_rx_us)


def _schedule(session: BFDSession, now: float, jitter: float) -> BFDSession:
    interval_us = _interval_us(session)
    if interval_us == 0:
        return replace(session, transmit_at=None)
    if session.settings.multiplier == 1:
        jitter = min(jitter, 0.9)  # section 6.8.7
    return replace(session, transmit_at=now + interval_us * jitter / 1e6)


def _packet(session: BFDSession) -> ControlPacket:
    return ControlPacket(
        state=session.state,
        diagnostic=session.diagnostic,
        detect_multiplier=session.settings.multiplier,
        my_discriminator=session.my_discriminator,
        your_discriminator=session.your_discriminator,
        desired_min_tx_us=session.desired_min_tx_us,
        required_min_rx_us=session.settings.interval_ms * 1000,
        poll=session.polling,
    )
