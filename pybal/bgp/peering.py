"""One router: at most two links, of which one becomes the session.

When a peer is tried again is decided by the state machine: `Step._hold_idle` in fsm_step.py, for
connections of the peer's own `admission.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from twisted.internet.defer import Deferred, DeferredList

from pybal.bgp.adj_rib_out import AdjRIBOut
from pybal.bgp.admission import Admission, begins_anew
from pybal.bgp.bfd.detector import Detector
from pybal.bgp.causes import Failure, Weight
from pybal.bgp.connection import BGPConnection
from pybal.bgp.constants import CeaseSubcode, ErrorCode, Family
from pybal.bgp.diagnosis import explain_received, explain_silence
from pybal.bgp.fsm import FSM, Event, EventKind, State
from pybal.bgp.importer import Importer
from pybal.bgp.link import Link, Side
from pybal.bgp.link_pair import LinkPair
from pybal.bgp.messages import Notification, Open
from pybal.bgp.negotiation import (
    Session,
    check_open,
    local_open,
    negotiate,
)
from pybal.bgp.own_addresses import OwnAddresses
from pybal.bgp.peer_routes import PeerRoutes
from pybal.bgp.peer_snapshot import PeerView, Statistics
from pybal.bgp.ports import BGPPorts
from pybal.bgp.settings import PeerSettings, SpeakerSettings
from pybal.bgp.snapshot import PeerSnapshot
from pybal.bgp.succession import go_on, keep_session
from pybal.bgp.summing import SummingLog
from pybal.bgp.takeover import TakenSession
from pybal.runtime.naming import shortened

_LONGEST_ERROR = 600


class Peering:
    """Keeps a session with one configured router. `links` are the connections with it, `routes` is
    what it is told; `restarting`: our OPEN says that we have just begun (RFC 4724)."""

    def __init__(self, speaker: SpeakerSettings, peer: PeerSettings, ports: BGPPorts) -> None:
        self.peer = peer
        self.statistics = Statistics()
        self._view = PeerView()
        self.restarting = False
        self._speaker = speaker
        self._ports = ports
        self._log = SummingLog(ports.log, ports.clock)
        self._admission = Admission(peer.fsm, ports.clock)
        self._running = False
        self._plain_open = False
        self.detector: Detector | None = None
        self.links = LinkPair(speaker, self._new_link(Side.ACTIVE))
        self.routes = PeerRoutes(speaker, peer, self.links, self._log)
        self._closing: set[BGPConnection] = set()
        self.importer = Importer(peer.address, wanted=peer.imports)

    def _new_link(self, side: Side) -> Link:
        return Link(self, side, self.peer.fsm, self._ports, self._log)

    # Life

    def start(self) -> None:
        """Begin to connect, and to take connections. Idempotent."""
        if not self._running:
            self._running = True
            self._begin()

    def _begin(self) -> None:
        passive = self.peer.fsm.passive
        self.links.active.resume_from(self._admission.fresh())
        self.links.active.feed(
            EventKind.AUTOMATIC_START_DAMPED_PASSIVE
            if passive
            else EventKind.AUTOMATIC_START_DAMPED
        )

    def stop(self, notification: Notification | None) -> Deferred[None]:
        """Leave the peer: `notification` says why; None closes without a word, so that a peer
        with graceful restart keeps the routes. Fires when every connection has ended, within
        the time a connection lingers."""
        self._running = False
        for link in self.links.all():
            if notification is None:
                link.feed(EventKind.TCP_CONNECTION_FAILS)
            link.feed(Event(EventKind.MANUAL_STOP, notification=notification))
        self._log.close()
        ending = [connection.ended for connection in self._closing]
        return DeferredList(ending).addCallback(lambda _: None)

    def take_over(self, taken: TakenSession) -> None:
        """In place of start(): go on with a session of the process before us; what that has told
        stays until `release_end_of_rib`. Raises OSError or HandoverError."""
        link = self.links.active
        if not taken.kept.active:
            link = self.links.passive = self._new_link(Side.PASSIVE)
        go_on(link, taken, self._ports, self.routes.new_rib, self._log)
        if (session := link.session) is not None:
            own = self.routes.own_next_hops(session)
            link.ask_again(self.importer.begin_again(session, own))
        self._running = True
        self.statistics.established_since(taken.kept.since)
        self._tell(link)

    @property
    def can_hand_over(self) -> bool:
        """Whether there is a session with which the next process could go on."""
        link = self.links.established
        return link is not None and link.connection is not None and link.connection.is_kept

    def hand_over(self) -> None:
        """Leave the session to the next process."""
        self._running = False
        if (link := self.links.established) is not None:
            link.hand_over()

    # Routes

    def adjust(self, peer: PeerSettings) -> None:
        """Go over to settings that differ only in what the peer is told, and how it is called."""
        self.peer = peer
        self._hear_again(self.importer.set_wanted(peer.imports))
        self.routes.adjust(peer)

    def set_own(self, own: OwnAddresses) -> None:
        """The addresses of which the peer is listened to."""
        self._hear_again(self.importer.set_own(own))

    def _hear_again(self, families: tuple[Family, ...]) -> None:
        if (link := self.links.established) is not None:
            link.ask_again(families)

    def release_end_of_rib(self) -> None:
        """The first full set of routes is known: End-of-RIB may follow it."""
        self.restarting = False
        self.routes.release_end_of_rib()

    # State

    @property
    def is_deserted(self) -> bool:
        """Whether there is no connection, nor has the peer earned a penalty that is to be kept."""
        unused = all(link.connection is None for link in self.links.all())
        return unused and self._admission.is_clean

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
        self.links.passive = link
        link.attach(connection)
        link.feed(EventKind.AUTOMATIC_START_PASSIVE)
        return connection

    def _may_connect(self) -> bool:
        self._drop_for_restarted_peer()
        if (established := self.links.established) is not None:
            established.ask_for_life()
            return False
        if not self._admission.lets_in(self.peer.label, self._log):
            return False
        if self.links.passive is not None:  # a router opens one at a time: that is dead, or stuck
            self.links.passive.feed(EventKind.OPEN_COLLISION_DUMP)
        return True

    def _drop_for_restarted_peer(self) -> None:
        link = self.links.established
        if link is not None and begins_anew(link.fsm, self._ports.clock.seconds()):
            self.note_failure(link, "the peer has restarted", Weight.SAID)
            link.feed(EventKind.TCP_CONNECTION_FAILS)

    # LinkOwner

    def dial(self, connection: BGPConnection, failed: Callable[[str], None]) -> Callable[[], None]:
        """See LinkOwner."""
        return self._ports.network.dial(self.peer, connection, failed)

    def local_open(self) -> Open:
        """See LinkOwner."""
        full = local_open(self._speaker, self.peer, restarting=self.restarting)
        return replace(full, capabilities=None) if self._plain_open else full

    def negotiate(self, local: Open, peer: Open) -> Session:
        """See LinkOwner."""
        return negotiate(local, peer, self._speaker.confederation, self._speaker.local_asn)

    def new_rib(self, session: Session) -> AdjRIBOut:
        """See LinkOwner."""
        return self.routes.new_rib(session)

    def check_open(self, peer: Open, local: Open) -> None:
        """See LinkOwner."""
        check_open(peer, local, self.peer.asn, role_strict=self.peer.role_strict)

    def peer_lacks_capabilities(self) -> None:
        """The next OPEN goes without optional parameters (RFC 5492 section 3)."""
        self._plain_open = True

    def settle_collision(self, link: Link, peer_open: Open) -> bool:
        """See LinkOwner."""
        return self.links.settle_collision(link, peer_open)

    def gives_way(self, link: Link, peer_open: Open) -> bool:
        """See LinkOwner."""
        return self.links.gives_way(link, peer_open)

    def session_up(self, link: Link) -> None:
        """See LinkOwner."""
        self._log.info("Session with {peer} established", peer=self.peer.label)
        self.statistics.causes.established()
        self._ports.session_changed(self.peer.label, True, "")
        keep_session(link, self._speaker, self.peer, self._ports.now(), self._log)
        for other in self.links.all():
            # One that has not said OPEN yet would stay for minutes.
            if other is not link and other.state is State.OPEN_SENT:
                other.feed(EventKind.OPEN_COLLISION_DUMP)
        self._tell(link)

    def _tell(self, link: Link) -> None:
        if link.session is not None:
            self.importer.begin(link.session, self.routes.own_next_hops(link.session))
        self.routes.begin(link)

    def state_changed(self, link: Link, before: State) -> None:
        """See LinkOwner."""
        self.statistics.change(self.links.leading.state, self._ports.now())
        self._log.debug(
            "Peer {peer} ({side}): {before} -> {after}",
            peer=self.peer.label, side=link.side.value,
            before=before.value, after=link.state.value,
        )  # fmt: skip
        if before is State.ESTABLISHED:
            self._session_lost()
        if before is State.OPEN_SENT and (other := self.links.beside(link)) is not None:
            other.wait_no_longer()
        if link.state is State.IDLE:
            self._admission.remember(link.fsm)
        if link is self.links.passive:
            self._passive_changed(link, before)
        self._quiet_the_active_link()

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
        self.links.passive = None
        held = link.fsm
        link.resume_from(FSM())
        active = self.links.active
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
        for link in self.links.all():
            if link.state in (State.OPEN_CONFIRM, State.ESTABLISHED):
                link.end(EventKind.AUTOMATIC_STOP, cease, "BFD hears nothing of the peer")

    def _quiet_the_active_link(self) -> None:
        """While the peer's own connection is the session, ours is not to be opened."""
        link = self.links.established
        active = self.links.active
        if link is None or link is active or active.fsm.next_deadline() is None:
            return
        if active.state in (State.IDLE, State.CONNECT, State.ACTIVE):
            active.feed(EventKind.MANUAL_STOP)

    def connection_closing(self, connection: BGPConnection) -> None:
        """See LinkOwner."""
        self._closing.add(connection)
        connection.ended.addCallback(lambda _: self._closing.discard(connection))

    def count(self, message: str, direction: str) -> None:
        """See LinkOwner."""
        self.statistics.messages[message, direction] += 1

    def note_failure(self, link: Link, text: str, weight: Weight) -> None:
        """See LinkOwner."""
        text = shortened(text, _LONGEST_ERROR)
        established = self.links.established
        # Of a connection beside the session, and of our own stop, there is nothing to mend.
        if not self._running or established not in (None, link):
            self._log.debug("Peer {peer}: {text}", peer=self.peer.label, text=text)
            return
        news = self.statistics.causes.note(Failure(text, weight, self._ports.now()))
        if established is not None or link.rib is not None:
            return  # the loss of the session is about to be logged, with this
        emit = self._log.warn if news else self._log.debug
        emit("No session with {peer}: {text}", peer=self.peer.label, text=text)

    def in_words(self, message: Notification) -> str:
        """See LinkOwner."""
        return explain_received(message, self.local_open(), self.routes.prefixes_told)

    def silence(self) -> str:
        """See LinkOwner."""
        return explain_silence(self.peer)

    # For people and metrics

    def snapshot(self) -> PeerSnapshot:
        """As it stands; the same object until something changes."""
        bfd = self.detector.session.state.name if self.detector is not None else None
        links, leading = self.links.all(), self.links.leading
        shown = self.peer, self.statistics, links, leading, bfd, self.importer
        return self._view.snapshot(*shown)
