"""The two links that a peer may have: ours out, and that of a connection that it opened."""

from __future__ import annotations

from pybal.bgp.fsm import EventKind, State
from pybal.bgp.link import Link, Side
from pybal.bgp.messages import Open
from pybal.bgp.negotiation import keeps_own_connection
from pybal.bgp.settings import SpeakerSettings

_NEARNESS = {state: number for number, state in enumerate(State)}


class LinkPair:
    """The links of one peer. At most one becomes the session (RFC 4271 section 6.8)."""

    def __init__(self, speaker: SpeakerSettings, active: Link) -> None:
        self._speaker = speaker
        self.active = active
        """Ours; it is always there."""
        self.passive: Link | None = None
        """The peer's, as long as its connection lives."""

    def all(self) -> tuple[Link, ...]:
        """One or two."""
        return (self.active,) if self.passive is None else (self.active, self.passive)

    @property
    def established(self) -> Link | None:
        """The one that is the session, if there is a session."""
        return next((link for link in self.all() if link.state is State.ESTABLISHED), None)

    @property
    def leading(self) -> Link:
        """The one that is nearest to a session."""
        links = self.all()
        return max(links, key=lambda link: _NEARNESS[link.state]) if links[1:] else links[0]

    def beside(self, link: Link) -> Link | None:
        """The other one."""
        return next((candidate for candidate in self.all() if candidate is not link), None)

    def settle_collision(self, link: Link, peer_open: Open) -> bool:
        """Before `peer_open` is accepted on `link`: False if that has to go; or the other one
        goes."""
        other = self.beside(link)
        if other is not None and other.state is State.ESTABLISHED:
            return False
        if other is not None and other.state is State.OPEN_CONFIRM:
            if self._loses(link, peer_open):
                return False
            other.feed(EventKind.OPEN_COLLISION_DUMP)
        return True

    def gives_way(self, link: Link, peer_open: Open) -> bool:
        """Whether the other one is about to win the collision with `link`."""
        other = self.beside(link)
        pending = other is not None and other.state is State.OPEN_SENT
        return pending and self._loses(link, peer_open)

    def _loses(self, link: Link, peer_open: Open) -> bool:
        """If both connections come as far."""
        us, them = self._speaker, peer_open
        ours = keeps_own_connection(us.router_id, us.local_asn, them.bgp_identifier, them.asn)
        return (link.side is Side.ACTIVE) is not ours
