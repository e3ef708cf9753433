"""What one peer is told of our routes, over whatever session there is with it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pybal.bgp.adj_rib_out import AdjRIBOut
from pybal.bgp.export import next_hops_in_session, policy_in_session
from pybal.bgp.link import Link
from pybal.bgp.link_pair import LinkPair
from pybal.bgp.messages import GracefulRestart
from pybal.bgp.negotiation import Session
from pybal.bgp.obstacles import ObstacleLog
from pybal.bgp.prefix import Prefix
from pybal.bgp.rib import Routes
from pybal.bgp.settings import ExportPolicy, PeerSettings, SpeakerSettings
from pybal.model import IPAddress


class PeerRoutes:
    """The routes that a peer is to know outlive its sessions; each session has an AdjRIBOut, which
    knows what the peer has been told. `log` is a SummingLog."""

    def __init__(
        self, speaker: SpeakerSettings, peer: PeerSettings, links: LinkPair, log: Any
    ) -> None:
        self._speaker = speaker
        self._peer = peer
        self._links = links
        self._obstacles = ObstacleLog(log)
        self._wanted: Routes = {}
        self.end_of_rib_held = False
        """Whether End-of-RIB waits until the first full set of routes is known."""

    def want(self, routes: Routes) -> None:
        """From now on the peer is to know exactly these routes."""
        self._wanted = routes
        link = self._links.established
        if link is not None and link.rib is not None:
            link.rib.want(routes)
            self._say(link, link.rib)

    def adjust(self, peer: PeerSettings) -> None:
        """Go over to settings that differ only in what the peer is told, and how it is called."""
        before, self._peer = self._peer, peer
        link = self._links.established
        if before.export == peer.export or link is None:
            return
        if link.rib is not None and link.session is not None:
            link.rib.set_policy(self._policy(link.session))
            self._say(link, link.rib)

    def release_end_of_rib(self) -> None:
        """The first full set of routes is known: End-of-RIB may follow it."""
        self.end_of_rib_held = False
        link = self._links.established
        if link is not None and link.rib is not None:
            link.rib.release()
            link.flush()

    def new_rib(self, session: Session) -> AdjRIBOut:
        """For a session that is being established."""
        return AdjRIBOut(session, self._policy(session))

    def begin(self, link: Link) -> None:
        """The session stands: tell the peer all that it is to know."""
        rib = link.rib
        if rib is not None:
            rib.end_of_rib_held = self.end_of_rib_held
            rib.want(self._wanted)
            self._say(link, rib)

    def own_next_hops(self, session: Session) -> frozenset[IPAddress]:
        """The next hops by which a route shows that it is ours."""
        return next_hops_in_session(self._policy(session), self._speaker.next_hops)

    @property
    def told(self) -> Routes:
        """What the peer knows of us now, as it sees it."""
        link = self._links.established
        return link.rib.sent if link is not None and link.rib is not None else {}

    @property
    def prefixes_told(self) -> Collection[Prefix]:
        """The prefixes of `told`."""
        return self.told.keys()

    @property
    def told_version(self) -> object:
        """Differs whenever `prefixes_told` does."""
        link = self._links.established
        if link is None or link.rib is None:
            return None
        return link.fsm.established_at, link.rib.version

    @property
    def flushed(self) -> bool:
        """Whether all that the peer is to know has left this process."""
        link = self._links.established
        return link is None or link.flushed

    @property
    def outlive_connection(self) -> bool:
        """Whether the peer keeps our routes when the connection just ends (RFC 4724)."""
        return self._restart_terms() is not None

    @property
    def outlive_notification(self) -> bool:
        """Whether it keeps them after a NOTIFICATION, too (RFC 8538)."""
        terms = self._restart_terms()
        return terms is not None and terms.notification

    def _restart_terms(self) -> GracefulRestart | None:
        """What the peer said of graceful restart, if both sides speak it."""
        link = self._links.established
        if self._peer.restart_time_s is None or link is None or link.session is None:
            return None
        return link.session.peer_restart

    def _policy(self, session: Session) -> ExportPolicy:
        link = self._links.established
        addresses = link.connection.addresses() if link is not None and link.connection else None
        return policy_in_session(self._peer, session, addresses)

    def _say(self, link: Link, rib: AdjRIBOut) -> None:
        self._obstacles.note(self._peer.label, rib.obstacles)
        link.flush()
