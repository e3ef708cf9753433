"""BFD's shell: one Detector for each peer, and who shares out what is received."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater

from pybal.bgp.bfd.auth import AuthState, AuthType, sign, verify
from pybal.bgp.bfd.kept import KeptBFD, kept, resumed, resumed_auth, terms_of
from pybal.bgp.bfd.memory import BFDMemory
from pybal.bgp.bfd.packet import (
    BFDPacketError,
    BFDState,
    ControlPacket,
    decode_packet,
    encode_packet,
)
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
from pybal.runtime.stopping import end_each, ending
from pybal.runtime.token_bucket import TokenBucket

_LENGTH, _OURS = 3, slice(8, 12)  # where a packet says how long it is, and who we are
_UNNAMED = 20.0, 10.0  # packets, and a second; a peer that is not up sends one a second
_SOURCE_PORTS = range(49152, 65536)
_ADOPTION_WAIT_S = 3.0  # a peer that is up sends at least as often as we have accepted
_REST_TRIES, _REST_PAUSE_S = 5, 0.1

Received = Callable[[bytes, IPAddress, int], None]


class BFDNetwork(Protocol):
    """Datagrams. `open` gives a function that sends to `peer`, and one that closes."""

    def open(
        self, peer: IPAddress, source: IPAddress | None, port: int, *, multihop: bool
    ) -> tuple[Callable[[bytes], None], Callable[[], None]]:
        """A sending socket, its source port being `port`. Raises OSError."""

    def listen(self, version: int, received: Received, *, multihop: bool) -> Callable[[], None]:
        """Receive (data, source, TTL) of one IP version; gives a function that closes.
        Raises OSError."""


class Numbers(Protocol):
    """Where the numbers of authenticated packets outlive a planned restart, by peer."""

    def take(self) -> dict[str, int]:
        """Those that were kept, once."""

    def keep(self, numbers: Mapping[str, int]) -> None:
        """For the next start."""


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
        """When it was looked at last; all that had come has been received since."""
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


class BFD:
    """All detectors, and the sockets that they receive on."""

    def __init__(
        self,
        network: BFDNetwork,
        clock: Any,
        random: Any,
        log: Any,
        numbers: Numbers | None = None,
        memory: BFDMemory | None = None,
    ) -> None:
        self._memory = memory
        self._numbers = numbers
        self._left: dict[str, int] | None = None  # those of our former life, once asked for
        self._network = network
        self._clock = clock
        self._random = random
        self._log = log
        self._detectors: dict[IPAddress, Detector] = {}
        self._closes: dict[tuple[int, bool], Callable[[], None]] = {}
        self._refused: dict[IPAddress, str] = {}

    def watch(
        self,
        peer: IPAddress,
        source: IPAddress | None,
        settings: BFDSettings,
        changed: Callable[[bool], None],
        *,
        restarting: bool = False,
    ) -> Detector:
        """Begin to watch a peer, or go on where our former life has ended (`restarting`); what
        cannot be opened is logged as an error."""
        if (before := self._detectors.pop(peer, None)) is not None:
            before.stop()
        discriminator = self._random.randrange(1, 2**32)
        sent = self._number_left(peer) if settings.auth is not None else None
        detector = Detector(
            peer,
            settings,
            discriminator=discriminator,
            clock=self._clock,
            random=self._random,
            changed=changed,
            sent=sent,
            former=self._former(peer, settings),
            keep=partial(self._keep, str(peer)),
        )
        self._detectors[peer] = detector
        try:
            self._listen(peer.version, settings.multihop)
            detector.start(self._network, source, restarting=restarting)
        except OSError as error:
            self._log.error("BFD with {peer} cannot run: {error}", peer=peer, error=error.strerror)
        return detector

    def _former(self, peer: IPAddress, settings: BFDSettings) -> KeptBFD | None:
        """The session of the process before us, if it can go on."""
        former = self._memory.former(str(peer)) if self._memory is not None else None
        if former is None or former.terms != terms_of(settings):
            return None
        self._log.info("BFD with {peer} goes on from the process before us", peer=peer)
        return former

    def _keep(self, peer: str, state: KeptBFD | None) -> None:
        if self._memory is not None:
            self._memory.write(peer, state)

    def _listen(self, version: int, multihop: bool) -> None:
        if (version, multihop) in self._closes:
            return

        def received(data: bytes, source: IPAddress, ttl: int) -> None:
            self._received(data, source, ttl, multihop)

        close = self._network.listen(version, received, multihop=multihop)
        self._closes[version, multihop] = close

    def forget(self, peer: IPAddress) -> None:
        """No longer watch a peer; it is told that this is on purpose."""
        self._refused.pop(peer, None)
        detector = self._detectors.pop(peer, None)
        if detector is not None:
            detector.stop()

    async def rest(self, absences_s: Mapping[IPAddress, float]) -> None:
        """Before a restart: these peers are to wait for us for so long."""
        leaving = {
            peer: absences_s[peer]
            for peer, detector in self._detectors.items()
            if peer in absences_s and (detector.number_sent is None or self._keeps_numbers)
        }
        for peer in leaving:
            self._detectors[peer].leaves = True
        await self._rest(leaving)

    async def pause(self, absence_s: float) -> None:
        """Before this process stands still: all peers are to wait for us for so long, until
        `go_on`."""
        await self._rest(dict.fromkeys(self._detectors, absence_s))

    def go_on(self) -> None:
        """It is over."""
        end_each(self._log, *(detector.go_on for detector in self._detectors.values()))

    async def _rest(self, absences_s: Mapping[IPAddress, float]) -> None:
        resting = [
            (peer, partial(Deferred.fromCoroutine, self._detectors[peer].rest(absence_s)))
            for peer, absence_s in absences_s.items()
        ]
        ends = [ending(self._log, f"BFD with {peer}", rest) for peer, rest in resting]
        await DeferredList(ends)

    @property
    def _keeps_numbers(self) -> bool:
        kept_in_memory = self._memory is not None and self._memory.keeps
        return kept_in_memory or self._numbers is not None

    def _number_left(self, peer: IPAddress) -> int | None:
        if self._left is None:
            self._left = self._numbers.take() if self._numbers is not None else {}
        return self._left.pop(str(peer), None)

    def _keep_numbers(self) -> None:
        sent = {
            str(peer): detector.number_sent
            for peer, detector in self._detectors.items()
            if detector.is_left
        }
        left = {peer: number for peer, number in sent.items() if number is not None}
        if left and self._numbers is not None:
            self._numbers.keep(left)

    def stop(self) -> None:
        """Watch nobody any more. Idempotent."""
        end_each(self._log, self._keep_numbers)
        resting = any(detector.is_left for detector in self._detectors.values())
        end_each(self._log, *(partial(self.forget, peer) for peer in tuple(self._detectors)))
        if self._memory is not None:
            end_each(self._log, self._memory.leave if resting else self._memory.end)
        closes, self._closes = self._closes, {}
        end_each(self._log, *closes.values())

    def _received(self, data: bytes, source: IPAddress, ttl: int, multihop: bool) -> None:
        detector = self._detectors.get(source)
        # Before anything that takes time: a flood of what is not for us must not stop our checks.
        if detector is None or not _may_be_of(detector, data, ttl, multihop):
            return
        try:
            packet = decode_packet(data)
        except BFDPacketError:
            return
        try:
            detector.authenticate(packet, data[: data[_LENGTH]])
        except BFDPacketError as error:
            self._say_refused(source, str(error))
            return
        self._refused.pop(source, None)
        detector.received(packet)

    def _say_refused(self, peer: IPAddress, why: str) -> None:
        """Once until it is well again: there may be very many."""
        if peer not in self._refused:
            self._refused[peer] = why
            self._log.warn(
                "BFD with {peer}: a packet was refused: {why}; bgp-bfd-auth and its key must be the"
                " same on both sides", peer=peer, why=why,
            )  # fmt: skip


def _may_be_of(detector: Detector, data: bytes, ttl: int, multihop: bool) -> bool:
    """RFC 5881 section 5: of a neighbour, a TTL below 255 has crossed a router."""
    settings = detector.session.settings
    return multihop is settings.multihop and ttl >= settings.min_ttl and detector.takes(data)
