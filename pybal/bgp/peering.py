"""One router: at most two links (ours out, theirs in), of which one becomes the session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from pybal.bgp.bfd.detector import BFDNetwork, Detector
from pybal.bgp.connection import BGPConnection
from pybal.bgp.constants import CeaseSubcode, ErrorCode
from pybal.bgp.fsm import FSM, Event, EventKind, State
from pybal.bgp.link import Link, Side
from pybal.bgp.messages import GracefulRestart, Notification, Open
from pybal.bgp.negotiation import keeps_own_connection, local_open
from pybal.bgp.network import Network
from pybal.bgp.prefix import Prefix
from pybal.bgp.rib import Routes
from pybal.bgp.settings import PeerSettings, SpeakerSettings
from pybal.model import BGPConnectionSnapshot, PeerSnapshot

_COLLISION_WINDOW_S = 5.0


@dataclass(frozen=True, slots=True)
class World:
    """What is injected: `clock` is IReactorTime, monotonic; `now` the wall clock in Unix
    seconds; `random` a random.Random; `log` a Logger."""

    clock: Any
    network: Network
    random: Any
    now: Callable[[], float]
    log: Any
    bfd_network: BFDNetwork


@dataclass(slots=True)
class Statistics:
    """What happened since the start. `messages` counts (type, direction)."""

    messages: Counter[tuple[str, str]]
    sessions_lost: int = 0
    connections_refused: int = 0
    last_error: str | None = None
    last_error_at: float | None = None
    state: State = State.IDLE
    state_since: float | None = None


class Peering:
    """Keeps a session with one configured router and tells it the routes it is given."""

    def __init__(self, speaker: SpeakerSettings, peer: PeerSettings, world: World) -> None:
        self.peer = peer
        self.statistics = Statistics(messages=Counter())
        self.restarting = False
        self.end_of_rib_held = False
        self._speaker = speaker
        self._world = world
        self._log = world.log
        self._routes: Routes = {}
        self._running = False
        self._plain_open = False
        self.detector: Detector | None = None
        self._active = self._new_link(Side.ACTIVE)
        self._passive: Link | None = None
        self._closing: set[BGPConnection] = set()
        self._obstacles: dict[Prefix, str] = {}

    def _new_link(self, side: Side) -> Link:
        world = self._world
        return Link(self, side, self.peer.fsm, world.clock, world.random, world.log)

    # Life

    def start(self) -> None:
        if not self._running:
            self._running = True
            self._begin()

    def _begin(self) -> None:
        passive = self.peer.fsm.passive
        self._active.feed(
            EventKind.AUTOMATIC_START_DAMPED_PASSIVE
            if passive
            else EventKind.AUTOMATIC_START_DAMPED
        )

    def stop(self, notification: Notification | None) -> Deferred[None]:
        """Leave the peer: `notification` says why; None closes without a word, so that a peer
        with graceful restart keeps the routes. Fires when every connection has ended, within
        the time a connection lingers."""
        self._running = False
        for link in self.links():
            if notification is None:
                link.feed(EventKind.TCP_CONNECTION_FAILS)
            link.feed(Event(EventKind.MANUAL_STOP, notification=notification))
        ending = [connection.ended for connection in self._closing]
        return DeferredList(ending).addCallback(lambda _: None)

    # Routes

    def announce(self, routes: Routes) -> None:
        """From now on the peer is to know exactly these routes."""
        self._routes = routes
        link = self.established_link()
        if link is not None and link.rib is not None:
            link.rib.want(routes)
            self._log_obstacles(link)
            link.flush()

    def release_end_of_rib(self) -> None:
        """The first full set of routes is known: End-of-RIB may follow it."""
        self.end_of_rib_held = self.restarting = False
        link = self.established_link()
        if link is not None and link.rib is not None:
            link.rib.end_of_rib_held = False
            link.flush()

    @property
    def flushed(self) -> bool:
        """Whether all that the peer is to know has left this process."""
        link = self.established_link()
        return link is None or link.flushed

    @property
    def prefixes_told(self) -> Collection[Prefix]:
        """What the peer knows of us now."""
        link = self.established_link()
        return link.rib.sent.keys() if link is not None and link.rib is not None else ()

    @property
    def told_version(self) -> object:
        """Differs whenever `prefixes_told` does."""
        link = self.established_link()
        if link is None or link.rib is None:
            return None
        return link.fsm.established_at, link.rib.version

    @property
    def keeps_routes(self) -> bool:
        """Whether the peer keeps our routes when the connection just ends (RFC 4724)."""
        return self._restart_terms() is not None

    @property
    def notification_keeps_routes(self) -> bool:
        """Whether it keeps them after a NOTIFICATION, too (RFC 8538)."""
        terms = self._restart_terms()
        return terms is not None and terms.notification

    def _restart_terms(self) -> GracefulRestart | None:
        """What the peer said of graceful restart, if both sides speak it."""
        link = self.established_link()
        if self.peer.restart_time_s is None or link is None or link.session is None:
            return None
        capabilities = link.session.peer.capabilities
        return capabilities.graceful_restart if capabilities is not None else None

    # State

    def links(self) -> tuple[Link, ...]:
        return (self._active,) if self._passive is None else (self._active, self._passive)

    def established_link(self) -> Link | None:
        return next((li for li in self.links() if li.state is State.ESTABLISHED), None)

    @property
    def leading_link(self) -> Link:
        """The link that is nearest to a session."""
        order = list(State)
        return max(self.links(), key=lambda link: order.index(link.state))

    # Incoming connections

    def accept(self) -> BGPConnection | None:
        """A protocol for a connection that the peer opened, None to close it."""
        self._drop_for_restarted_peer()
        established = self.established_link()
        if not self._running or self._passive is not None or established is not None:
            self.statistics.connections_refused += 1
            if established is not None:
                established.ask_for_life()
            return None
        link = self._new_link(Side.PASSIVE)
        connection = BGPConnection(self._world.clock, link)
        self._passive = link
        link.attach(connection)
        link.feed(EventKind.AUTOMATIC_START_PASSIVE)
        return connection

    def _drop_for_restarted_peer(self) -> None:
        """A new connection beside an established session is refused (RFC 4271 section 6.8),
        unless the peer announced graceful restart: then it has begun a new life, and the old
        session is gone without our knowing (RFC 4724 section 5). Right after the start it is
        more likely that both sides connected at once."""
        link = self.established_link()
        if link is None or link.session is None or link.fsm.established_at is None:
            return
        if self._world.clock.seconds() - link.fsm.established_at < _COLLISION_WINDOW_S:
            return
        capabilities = link.session.peer.capabilities
        restart = capabilities.graceful_restart if capabilities is not None else None
        if restart is not None and restart.families:
            self.note_error("the peer has restarted")
            link.feed(EventKind.TCP_CONNECTION_FAILS)

    # LinkOwner

    def dial(self, connection: BGPConnection, failed: Callable[[str], None]) -> Callable[[], None]:
        return self._world.network.dial(self.peer, connection, failed)

    def local_open(self) -> Open:
        full = local_open(self._speaker, self.peer, restarting=self.restarting)
        return replace(full, capabilities=None) if self._plain_open else full

    def expected_asn(self) -> int | None:
        return self.peer.asn

    def peer_lacks_capabilities(self) -> None:
        """The next OPEN goes without optional parameters (RFC 5492 section 3)."""
        self._plain_open = True

    def settle_collision(self, link: Link, peer_open: Open) -> bool:
        other = next((candidate for candidate in self.links() if candidate is not link), None)
        if other is None:
            return True
        if other.state is State.ESTABLISHED:
            return False
        if other.state is State.OPEN_CONFIRM:
            ours = keeps_own_connection(
                self._speaker.router_id,
                self._speaker.local_asn,
                peer_open.bgp_identifier,
                peer_open.asn,
            )
            if (link.side is Side.ACTIVE) is not ours:
                return False
            other.feed(EventKind.OPEN_COLLISION_DUMP)
        return True

    def session_up(self, link: Link) -> None:
        self._log.info("Session with {peer} established", peer=self.peer.address)
        rib = link.rib
        if rib is not None:
            rib.end_of_rib_held = self.end_of_rib_held
            rib.want(self._routes)
            self._log_obstacles(link)
            link.flush()

    def state_changed(self, link: Link, before: State) -> None:
        leading = self.leading_link.state
        if leading is not self.statistics.state:
            self.statistics.state = leading
            self.statistics.state_since = self._world.now()
        self._log.debug(
            "Peer {peer} ({side}): {before} -> {after}",
            peer=self.peer.address, side=link.side.value,
            before=before.value, after=link.state.value,
        )  # fmt: skip
        if before is State.ESTABLISHED:
            self._session_lost()
        if link is self._passive:
            self._passive_changed(link, before)
        self._quiet_the_active_link()

    def _session_lost(self) -> None:
        self._plain_open = False
        if self._running:
            self.statistics.sessions_lost += 1
            self._log.warn(
                "Session with {peer} lost: {reason}",
                peer=self.peer.address, reason=self.statistics.last_error,
            )  # fmt: skip

    def _passive_changed(self, link: Link, before: State) -> None:
        """The link of an incoming connection lives as long as that connection; what it earned
        in back-off passes to the active link, unless that is busy itself."""
        if link.state is State.ACTIVE and before is State.OPEN_SENT:
            link.feed(EventKind.MANUAL_STOP)
        if link.state is not State.IDLE:
            return
        self._passive = None
        held = link.fsm
        link.resume_from(FSM())
        active = self._active
        if not self._running or active.state is not State.IDLE or active.fsm.idle_hold_at:
            return
        if held.idle_hold_at is not None:
            active.resume_from(held)
        else:
            self._begin()

    def bfd_changed(self, up: bool) -> None:
        """BFD found the path to the peer alive, or dead: then the session ends with it
        (RFC 5882 section 10.1, RFC 9384)."""
        if up:
            self._log.info("BFD with {peer} is up", peer=self.peer.address)
            return
        self.note_error("BFD: the peer does not answer")
        cease = Notification(ErrorCode.CEASE, CeaseSubcode.BFD_DOWN)
        for link in self.links():
            if link.state in (State.OPEN_CONFIRM, State.ESTABLISHED):
                link.feed(Event(EventKind.AUTOMATIC_STOP, notification=cease))

    def _quiet_the_active_link(self) -> None:
        """While the peer's own connection is the session, ours is not to be opened."""
        link = self.established_link()
        active = self._active
        if link is None or link is active or active.fsm.next_deadline() is None:
            return
        if active.state in (State.IDLE, State.CONNECT, State.ACTIVE):
            active.feed(EventKind.MANUAL_STOP)

    def connection_closing(self, connection: BGPConnection) -> None:
        self._closing.add(connection)
        connection.ended.addCallback(lambda _: self._closing.discard(connection))

    def _log_obstacles(self, link: Link) -> None:
        """What is new among the prefixes that this peer cannot be told of, by reason."""
        known, self._obstacles = self._obstacles, dict(link.rib.obstacles if link.rib else {})
        reasons: dict[str, list[str]] = {}
        for prefix, reason in self._obstacles.items():
            if known.get(prefix) != reason:
                reasons.setdefault(reason, []).append(str(prefix))
        for reason, prefixes in reasons.items():
            self._log.error(
                "Peer {peer} cannot be told of {count} prefixes ({first}): {reason}",
                peer=self.peer.address, count=len(prefixes),
                first=", ".join(prefixes[:5]), reason=reason,
            )  # fmt: skip

    def count(self, message: str, direction: str) -> None:
        self.statistics.messages[message, direction] += 1

    def note_error(self, text: str) -> None:
        self.statistics.last_error = text
        self.statistics.last_error_at = self._world.now()
        self._log.info("Peer {peer}: {text}", peer=self.peer.address, text=text)

    # For people and metrics

    def snapshot(self) -> PeerSnapshot:
        leading = self.leading_link
        now = self._world.clock.seconds()
        session = leading.session
        statistics = self.statistics
        return PeerSnapshot(
            address=str(self.peer.address),
            state=leading.state.value,
            established=leading.state is State.ESTABLISHED,
            asn=session.peer.asn if session is not None else self.peer.asn,
            since=statistics.state_since,
            last_error=statistics.last_error,
            last_error_at=statistics.last_error_at,
            hold_time_s=session.hold_time_s if session is not None else None,
            capabilities_sent=_names(session.local if session is not None else None),
            capabilities_received=_names(session.peer if session is not None else None),
            prefixes_told=len(self.prefixes_told),
            sessions_lost=statistics.sessions_lost,
            connections_refused=statistics.connections_refused,
            messages=tuple(
                (kind, direction, count)
                for (kind, direction), count in sorted(statistics.messages.items())
            ),
            timers=tuple(
                (kind.name.lower().removesuffix("_expires"), round(at - now, 1))
                for at, kind in leading.fsm.deadlines()
            ),
            bfd=self.detector.session.state.name if self.detector is not None else None,
            connections=tuple(_connection_snapshot(self.peer, link) for link in self.links()),
        )


def _names(message: Open | None) -> tuple[str, ...]:
    if message is None or message.capabilities is None:
        return ()
    return message.capabilities.names()


def _connection_snapshot(peer: PeerSettings, link: Link) -> BGPConnectionSnapshot:
    addresses = link.connection.addresses() if link.connection is not None else None
    local = peer.local_address
    default = (str(local) if local is not None else "", str(peer.address))
    local_ip, remote_ip = addresses if addresses is not None else default
    return BGPConnectionSnapshot(link.state.value, link.side.value, local_ip, remote_ip)
