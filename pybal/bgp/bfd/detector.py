"""BFD with one peer: a Detector feeds the session (session.py) with packets and time, and sends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.task import deferLater

from pybal.bgp.bfd.auth import AuthState, AuthType, sign, verify
from pybal.bgp.bfd.kept import KeptBFD, kept, resumed, resumed_auth
from pybal.bgp.bfd.packet import (
    BFDPacketError,
    BFDState,
    ControlPacket,
    encode_packet,
)
from pybal.bgp.bfd.ports import BFDNetwork
from pybal.bgp.bfd.session import (
    BFDSession,
    Outcome,
    adopt,
    go_on,
    is_overdue,
    receive,
    rest,
    shut,
    start,
    tick,
)
from pybal.bgp.settings import BFDSettings
from pybal.model import IPAddress
from pybal.runtime.clock import cancel
from pybal.runtime.token_bucket import TokenBucket

_OURS = slice(8, 12)  # where a packet says who we are
_UNNAMED = 20.0, 10.0  # packets, and a second; a peer that is not up sends one a second
_SOURCE_PORTS = range(49152, 65536)
_ADOPTION_WAIT_S = 3.0  # a peer that is up sends at least as often as we have accepted
_REST_TRIES, _REST_PAUSE_S = 5, 0.1


class Detector:
    """Watches one peer. `changed(up)` is called whenever the session goes up or fails;
    going down on the peer's or our own purpose (AdminDown) is no failure."""

    def __init__(
        self,
        peer: IPAddress,
        settings: BFDSettings,
        *,
        discriminator: int,
        clock: Any,
        random: Any,
        changed: Callable[[bool], None],
        sent: int | None,
        former: KeptBFD | None,
        keep: Callable[[KeptBFD | None], None],
    ) -> None:
        self.peer = peer
        self._former = former
        self._keep = keep
        self._port = 0
        self.session = BFDSession(settings, discriminator)
        self._clock = clock
        self._random = random
        self._changed = changed
        self._send: Callable[[bytes], None] | None = None
        self._close: Callable[[], None] | None = None
        self._timer: Any = None
        self._was_overdue = False
        """When it was looked at last; all that had come by then has been received since."""
        self.leaves = False
        """For a planned restart, if the session is up."""
        self.adopts_until: float | None = None
        self._unnamed = TokenBucket(*_UNNAMED)
        self._auth = AuthState(sent=random.randrange(2**32) if sent is None else sent)
        if former is not None:
            self._auth = resumed_auth(former)

    def start(
        self, network: BFDNetwork, source: IPAddress | None, *, restarting: bool = False
    ) -> None:
        """Begin; raises OSError if no socket can be had. `restarting`: listen first whether the
        peer still has the session of our former life, unless it is known: then go on with that."""
        for last in (False, False, False, True):
            port = self._random.choice(_SOURCE_PORTS)
            if self._former is not None and self._port == 0:
                port = self._former.port
            self._port = port
            try:
                self._send, self._close = network.open(
                    self.peer, source, port, multihop=self.session.settings.multihop
                )
                break
            except OSError:
                if last:
                    raise
        now = self._clock.seconds()
        if self._former is not None:
            self.session = resumed(self.session, self._former, now, _ADOPTION_WAIT_S)
            self._tick()
            return
        wait_s = _ADOPTION_WAIT_S if restarting else 0.0
        self.adopts_until = now + wait_s if restarting else None
        self.session = start(self.session, now + wait_s)
        self._arm()

    def stop(self) -> None:
        """End, and tell the peer that it is on purpose; not if it is to wait for our return."""
        if self._send is None:
            return
        if self.is_left:
            self._disarm()
        else:
            self._apply(shut(self.session))
            self._keep(None)
        close, self._close, self._send = self._close, None, None
        if close is not None:
            close()

    @property
    def is_left(self) -> bool:
        """Whether the peer waits for the next process."""
        return self.leaves and bool(self.session.resting_us)

    @property
    def number_sent(self) -> int | None:
        """The last sequence number, where there are any: the peer expects the next of our next
        life."""
        auth = self.session.settings.auth
        numbered = auth is not None and AuthType[auth.kind] is not AuthType.SIMPLE
        return self._auth.sent if numbered else None

    async def rest(self, absence_s: float) -> None:
        """Have the peer wait for us for so long; returns when it has agreed, or does not answer."""
        for _ in range(_REST_TRIES):
            if self._send is None or self.session.state is not BFDState.UP:
                return
            self._apply(rest(self.session, absence_s))
            await deferLater(self._clock, _REST_PAUSE_S, lambda: None)
            if not self.session.polling:
                return

    def go_on(self) -> None:
        """The peer need not wait any more, but for a restart."""
        if self._send is not None and not self.leaves:
            self.session = go_on(self.session, self._clock.seconds())
            self._tick()

    def authenticate(self, packet: ControlPacket, data: bytes) -> None:
        """RFC 5880 section 6.8.6; BFDPacketError leaves the session as it was."""
        auth = self.session.settings.auth
        if packet.authenticated is not (auth is not None):
            said = "" if packet.authenticated else "not "
            raise BFDPacketError(f"it is {said}authenticated")
        if auth is None:
            return
        state, now = self._auth, self._clock.seconds()
        if now - state.heard_at >= 2 * self.session.detection_time_s:
            state = replace(state, received=None)
        self._auth = verify(data, auth, state, packet.detect_multiplier, now)

    def received(self, packet: ControlPacket) -> None:
        """One that is authentic."""
        if self._send is None:
            return
        now, jitter = self._clock.seconds(), self._jitter()
        self._was_overdue = False
        adopted = None
        if self.adopts_until is not None and now < self.adopts_until:
            adopted = adopt(self.session, packet, now, jitter)
        self.adopts_until = None
        former, self._former = self._former, None
        if former is not None and packet.state is not BFDState.UP:
            # The peer has given our former life up: that is no failure of this one.
            self.session = start(BFDSession(self.session.settings, former.my_discriminator), now)
        self._apply(adopted or receive(self.session, packet, now, jitter))

    def takes(self, data: bytes) -> bool:
        """Whether a packet of the peer, not decoded yet, belongs to this session (RFC 5880 section
        6.8.6). Of those that know no session, which anybody can send, it takes a few a second."""
        discriminator = int.from_bytes(data[_OURS])
        if discriminator == 0:
            return self._unnamed.take(self._clock.seconds())
        return discriminator == self.session.my_discriminator or self.adopts_until is not None

    def _apply(self, outcome: Outcome) -> None:
        before = self.session.state
        self.session, packets = outcome
        self._remember()
        for packet in packets:
            self._transmit(encode_packet(packet))
        self._arm()
        after = self.session.state
        if after is BFDState.UP and before is not BFDState.UP:
            self._changed(True)
        on_purpose = self.session.remote_state is BFDState.ADMIN_DOWN
        if before is BFDState.UP and after is BFDState.DOWN and not on_purpose:
            self._changed(False)

    def _transmit(self, data: bytes) -> None:
        auth = self.session.settings.auth
        if auth is not None:
            data, self._auth = sign(data, auth, self._auth)
            self._remember()
        if self._send is not None:
            self._send(data)

    def _remember(self) -> None:
        """For the next process: before a packet is sent that depends on it."""
        self._keep(kept(self.session, self._port, self._auth))

    def _disarm(self) -> None:
        cancel(self._timer)
        self._timer = None

    def _arm(self) -> None:
        self._disarm()
        deadline = self.session.next_deadline()
        if deadline is not None:
            delay_s = max(0.0, deadline - self._clock.seconds())
            self._timer = self._clock.callLater(delay_s, self._tick)

    def _tick(self) -> None:
        """After this process stood still, what the peer has sent meanwhile waits to be received: it
        is given up only in a later turn of the reactor than it was found overdue in."""
        cancel(self._timer)
        self._timer = None
        now, has_looked = self._clock.seconds(), self._was_overdue
        self._was_overdue = is_overdue(self.session, now)
        self._apply(tick(self.session, now, self._jitter(), has_looked=has_looked))

    def _jitter(self) -> float:
        return float(self._random.uniform(0.75, 1.0))
