"""One router: at most two links (ours out, theirs in), of which one becomes the session.

When a peer is tried again is decided by the state machine: `Step._hold_idle` in fsmstep.py, for
connections of the peer's own `admission.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from twisted.internet.defer import Deferred, DeferredList

from pybal.bgp.adjribout import AdjRIBOut
from pybal.bgp.admission import Admission, begins_anew
from pybal.bgp.bfd.detector import Detector
from pybal.bgp.causes import Failure, Weight
from pybal.bgp.connection import BGPConnection
from pybal.bgp.constants import CeaseSubcode, ErrorCode, Family
from pybal.bgp.diagnosis import explain_received, explain_silence
from pybal.bgp.export import next_hops_in_session, policy_in_session
from pybal.bgp.fsm import FSM, Event, EventKind, State
from pybal.bgp.heard import OwnAddresses
from pybal.bgp.importer import Importer
from pybal.bgp.link import Link, Side
from pybal.bgp.messages import GracefulRestart, Notification, Open
from pybal.bgp.negotiation import (
    Session,
    check_open,
    keeps_own_connection,
    local_open,
    negotiate,
)
from pybal.bgp.obstacles import ObstacleLog
from pybal.bgp.peersnapshot import PeerView, Statistics
from pybal.bgp.ports import BGPPorts
from pybal.bgp.prefix import Prefix
from pybal.bgp.rib import Routes
from pybal.bgp.settings import ExportPolicy, PeerSettings, SpeakerSettings
from pybal.bgp.snapshot import PeerSnapshot
from pybal.bgp.succession import go_on, keep_session
from pybal.bgp.summing import SummingLog
from pybal.bgp.takeover import TakenSession
from pybal.model import IPAddress

_LONGEST_ERROR = 600
_NEARNESS = {state: number for number, state in enumerate(State)}


class Peering:
    """Keeps a session with one configured router and tells it the routes it is given."""

    def __init__(self, speaker: SpeakerSettings, peer: PeerSettings, ports: BGPPorts) -> None:
        self.peer = peer
        self.statistics = Statistics()
        self._view = PeerView()
        self.restarting = False
        self.end_of_rib_held = False
        self._speaker = speaker
        self._ports = ports
        self._log = SummingLog(ports.log, ports.clock)
        self._admission = Admission(peer.fsm, ports.clock)
        self._routes: Routes = {}
        self._running = False
        self._plain_open = False
        self.detector: Detector | None = None
        self._active = self._new_link(Side.ACTIVE)
        self._passive: Link | None = None
        self._closing: set[BGPConnection] = set()
        self._obstacles = ObstacleLog(self._log)
        self.importer = Importer(peer.address, wanted=peer.imports)

    def _new_link(self, side: Side) -> Link:
        return Link(self, side, self.peer.fsm, self._ports, self._log)

    # Life

    def start(self) -> None:
        if not self._running:
            self._running = True
            self._begin()

    def _begin(self) -> None:
        passive = self.peer.fsm.passive
        self._active.resume_from(self._admission.fresh())
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
        self._log.close()
        ending = [connection.ended for connection in self._closing]
        return DeferredList(ending).addCallback(lambda _: None)

    def take_over(self, taken: TakenSession) -> None:
        """In place of start(): go on with a session of the process before us; what that has told
        stays until `release_end_of_rib`. Raises OSError or HandoverError."""
        link = self._active
        if not taken.kept.active:
            link = self._passive = self._new_link(Side.PASSIVE)
        go_on(link, taken, self._ports, self.new_rib, self._log)
        if (session := link.session) is not None:
            link.ask_again(self.importer.begin_again(session, self._own_next_hops(session)))
        self._running = True
        self.statistics.established_since(taken.kept.since)
        self._tell(link)

    @property
    def can_hand_over(self) -> bool:
        link = self.established_link()
        return link is not None and link.connection is not None and link.connection.is_kept

    def hand_over(self) -> None:
        """Leave the session to the next process."""
        self._running = False
        if (link := self.established_link()) is not None:
            link.hand_over()

    # Routes

    def announce(self, routes: Routes) -> None:
        """From now on the peer is to know exactly these routes."""
        self._routes = routes
        link = self.established_link()
        if link is not None and link.rib is not None:
            link.rib.want(routes)
            self._say(link, link.rib)

    def adjust(self, peer: PeerSettings) -> None:
        """Go over to settings that differ only in what the peer is told, and how it is called."""
        before, self.peer = self.peer, peer
        link = self.established_link()
        self._hear_again(self.importer.set_wanted(peer.imports))
        if before.export == peer.export or link is None:
            return
        if link.rib is not None and link.session is not None:
            link.rib.set_policy(self._export_policy(link.session))
            self._say(link, link.rib)

    def set_own(self, own: OwnAddresses) -> None:
        """The addresses of which the peer is listened to."""
        self._hear_again(self.importer.set_own(own))

    def _hear_again(self, families: tuple[Family, ...]) -> None:
        if (link := self.established_link()) is not None:
            link.ask_again(families)

    def release_end_of_rib(self) -> None:
        """The first full set of routes is known: End-of-RIB may follow it."""
        self.end_of_rib_held = self.restarting = False
        link = self.established_link()
        if link is not None and link.rib is not None:
            link.rib.release()
            link.flush()

    @property
    def flushed(self) -> bool:
        """Whether all that the peer is to know has left this process."""
        link = self.established_link()
        return link is None or link.flushed

    @property
    def prefixes_told(self) -> Collection[Prefix]:
        """What the peer knows of us now."""
        return self.routes_told.keys()

    @property
    def routes_told(self) -> Routes:
        """The same, as the peer sees it."""
        link = self.established_link()
        return link.rib.sent if link is not None and link.rib is not None else {}

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
        return link.session.peer_restart

    # State

    @property
    def is_deserted(self) -> bool:
        """Whether there is no connection, nor has the peer earned a penalty that is to be kept."""
        unused = all(link.connection is None for link in self.links())
        return unused and self._admission.is_clean

    def links(self) -> tuple[Link, ...]:
        return (self._active,) if self._passive is None else (self._active, self._passive)

    def established_link(self) -> Link | None:
        return next((li for li in self.links() if li.state is State.ESTABLISHED), None)

    @property
    def leading_link(self) -> Link:
        """The link that is nearest to a session."""
        links = self.links()
        return max(links, key=lambda link: _NEARNESS[link.state]) if links[1:] else links[0]

    # Incoming connections

    def accept(self) -> BGPConnection | None:
        """A protocol for a connection that the peer opened, None to close it."""
        if not self._running or self.peer.connect_only or not self._may_connect():
            self.statistics.connections_refused += 1
            return None
        link = self._new_link(Side.PASSIVE)
        link.resume_from(self._admission.fresh())
        connection = BGPConnection(self._ports.clock, link, self._ports.records)
        connection.peer = self.peer
        self._passive = link
        link.attach(connection)
        link.feed(EventKind.AUTOMATIC_START_PASSIVE)
        return connection

    def _may_connect(self) -> bool:
        self._drop_for_restarted_peer()
        if (established := self.established_link()) is not None:
            established.ask_for_life()
            return False
        if not self._admission.lets_in(self.peer.label, self._log):
            return False
        if self._passive is not None:  # a router opens one at a time: that is dead, or stuck
            self._passive.feed(EventKind.OPEN_COLLISION_DUMP)
        return True

    def _drop_for_restarted_peer(self) -> None:
        link = self.established_link()
        if link is not None and begins_anew(link.fsm, self._ports.clock.seconds()):
            self.note_failure(link, "the peer has restarted", Weight.SAID)
            link.feed(EventKind.TCP_CONNECTION_FAILS)

    # LinkOwner

    def dial(self, connection: BGPConnection, failed: Callable[[str], None]) -> Callable[[], None]:
        return self._ports.network.dial(self.peer, connection, failed)

    def local_open(self) -> Open:
        full = local_open(self._speaker, self.peer, restarting=self.restarting)
        return replace(full, capabilities=None) if self._plain_open else full

    def negotiate(self, local: Open, peer: Open) -> Session:
        return negotiate(local, peer, self._speaker.confederation, self._speaker.local_asn)

    def new_rib(self, session: Session) -> AdjRIBOut:
        return AdjRIBOut(session, self._export_policy(session))

    def _export_policy(self, session: Session) -> ExportPolicy:
        link = self.established_link()
        addresses = link.connection.addresses() if link is not None and link.connection else None
        return policy_in_session(self.peer, session, addresses)

    def check_open(self, peer: Open, local: Open) -> None:
        check_open(peer, local, self.peer.asn, role_strict=self.peer.role_strict)

    def peer_lacks_capabilities(self) -> None:
        """The next OPEN goes without optional parameters (RFC 5492 section 3)."""
        self._plain_open = True

    def settle_collision(self, link: Link, peer_open: Open) -> bool:
        other = self._beside(link)
        if other is not None and other.state is State.ESTABLISHED:
            return False
        if other is not None and other.state is State.OPEN_CONFIRM:
            if self._loses(link, peer_open):
                return False
            other.feed(EventKind.OPEN_COLLISION_DUMP)
        return True

    def gives_way(self, link: Link, peer_open: Open) -> bool:
        other = self._beside(link)
        pending = other is not None and other.state is State.OPEN_SENT
        return pending and self._loses(link, peer_open)

    def _beside(self, link: Link) -> Link | None:
        return next((candidate for candidate in self.links() if candidate is not link), None)

    def _loses(self, link: Link, peer_open: Open) -> bool:
        """By RFC 4271 section 6.8, if both connections come as far."""
        us, them = self._speaker, peer_open
        ours = keeps_own_connection(us.router_id, us.local_asn, them.bgp_identifier, them.asn)
        return (link.side is Side.ACTIVE) is not ours

    def session_up(self, link: Link) -> None:
        self._log.info("Session with {peer} established", peer=self.peer.label)
        self.statistics.causes.established()
        self._ports.session_changed(self.peer.label, True, "")
        keep_session(link, self._speaker, self.peer, self._ports.now(), self._log)
        for other in self.links():
            # One that has not said OPEN yet would stay for minutes.
            if other is not link and other.state is State.OPEN_SENT:
                other.feed(EventKind.OPEN_COLLISION_DUMP)
        self._tell(link)

    def _tell(self, link: Link) -> None:
        rib = link.rib
        if link.session is not None:
            self.importer.begin(link.session, self._own_next_hops(link.session))
        if rib is not None:
            rib.end_of_rib_held = self.end_of_rib_held
            rib.want(self._routes)
            self._say(link, rib)

    def _say(self, link: Link, rib: AdjRIBOut) -> None:
        self._obstacles.note(self.peer.label, rib.obstacles)
        link.flush()

    def state_changed(self, link: Link, before: State) -> None:
        leading = self.leading_link.state
        if leading is not self.statistics.state:
            self.statistics.state = leading
            self.statistics.state_since = self._ports.now()
        self._log.debug(
            "Peer {peer} ({side}): {before} -> {after}",
            peer=self.peer.label, side=link.side.value,
            before=before.value, after=link.state.value,
        )  # fmt: skip
        if before is State.ESTABLISHED:
            self._session_lost()
        if before is State.OPEN_SENT and (other := self._beside(link)) is not None:
            other.wait_no_longer()
        if link.state is State.IDLE:
            self._admission.remember(link.fsm)
        if link is self._passive:
            self._passive_changed(link, before)
        self._quiet_the_active_link()

    def _own_next_hops(self, session: Session) -> frozenset[IPAddress]:
        return next_hops_in_session(self._export_policy(session), self._speaker.next_hops)

    def _session_lost(self) -> None:
        self._plain_open = False
        self.importer.end()
        error = self.statistics.causes.text if self._running else "PyBal has ended it"
        self._ports.session_changed(self.peer.label, False, error or "")
        if self._running:
            self.statistics.sessions_lost += 1
            self._log.warn(
                "Session with {peer} lost: {reason}",
                peer=self.peer.label, reason=self.statistics.causes.text,
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
            self._log.info("BFD with {peer} is up", peer=self.peer.label)
            return
        cease = Notification(ErrorCode.CEASE, CeaseSubcode.BFD_DOWN)
        for link in self.links():
            if link.state in (State.OPEN_CONFIRM, State.ESTABLISHED):
                link.end(EventKind.AUTOMATIC_STOP, cease, "BFD hears nothing of the peer")

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

    def count(self, message: str, direction: str) -> None:
        self.statistics.messages[message, direction] += 1

    def note_failure(self, link: Link, text: str, weight: Weight) -> None:
        text = text[:_LONGEST_ERROR]
        established = self.established_link()
        # Of a connection beside the session, and of our own stop, there is nothing to mend.
        if not self._running or established not in (None, link):
            self._log.debug("Peer {peer}: {text}", peer=self.peer.label, text=text)
            return
        news = self.statistics.causes.note(Failure(text, weight, self._ports.now()))
        if established is not None:
            return  # the loss of the session is about to be logged, with this
        emit = self._log.warn if news else self._log.debug
        emit("No session with {peer}: {text}", peer=self.peer.label, text=text)

    def in_words(self, message: Notification) -> str:
        return explain_received(message, self.local_open(), self.prefixes_told)

    def silence(self) -> str:
        return explain_silence(self.peer)

    # For people and metrics

    def snapshot(self) -> PeerSnapshot:
        bfd = self.detector.session.state.name if self.detector is not None else None
        links, leading = self.links(), self.leading_link
        shown = self.peer, self.statistics, links, leading, bfd, self.importer
        return self._view.snapshot(*shown)
