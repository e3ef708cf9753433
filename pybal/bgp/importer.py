"""What one peer says of our own addresses, from session to session."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pybal.bgp.adj_rib_in import AdjRIBIn, HeardRoute
from pybal.bgp.constants import Family
from pybal.bgp.messages import RouteRefresh, Update
from pybal.bgp.negotiation import Session
from pybal.bgp.own_addresses import OwnAddresses, prefix_covers
from pybal.bgp.preference import Preferred, may_be_ours, preferred
from pybal.bgp.prefix import Prefix
from pybal.bgp.rib import Route, Routes
from pybal.model import IPAddress

_NOTHING: Mapping[Prefix, HeardRoute] = {}


class ToldRoutes:
    """What a peer knows of us, to be asked by address."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        wider = (prefix for prefix in routes if prefix.length < len(prefix.octets) * 8)
        self._wider = sorted(wider, key=lambda prefix: -prefix.length)

    def get(self, prefix: Prefix) -> Route | None:
        """The route of exactly this prefix."""
        return self._routes.get(prefix)

    def best(self, host: Prefix) -> tuple[Prefix, Route] | None:
        """The most specific, by which the address is reached."""
        around = (prefix for prefix in self._wider if prefix_covers(prefix, host.octets))
        prefix = host if host in self._routes else next(around, None)
        return None if prefix is None else (prefix, self._routes[prefix])


class Importer:
    """`wanted`: whether anything is kept at all (bgp-import)."""

    def __init__(self, peer: IPAddress, *, wanted: bool) -> None:
        self.wanted = wanted
        self._peer = peer
        self._own = OwnAddresses()
        self._session: Session | None = None
        self._ours: frozenset[IPAddress] = frozenset()
        self._rib: AdjRIBIn | None = None
        self._sessions = 0

    @property
    def listens(self) -> bool:
        """Whether there is a session on which something may be heard."""
        return self._rib is not None

    @property
    def routes(self) -> Mapping[Prefix, HeardRoute]:
        """What the peer says in this session, by prefix; a live view."""
        return self._rib.routes if self._rib is not None else _NOTHING

    @property
    def not_kept(self) -> int:
        """So many prefixes were not kept, as there were too many."""
        return self._rib.not_kept if self._rib is not None else 0

    @property
    def version(self) -> object:
        """Differs whenever `routes` does."""
        return self._sessions, self._rib.version if self._rib is not None else None

    def begin(self, session: Session, ours: frozenset[IPAddress]) -> None:
        """A session is established; `ours` are our next hops in it."""
        self._session, self._ours = session, ours
        self._open()

    def begin_again(self, session: Session, ours: frozenset[IPAddress]) -> tuple[Family, ...]:
        """A session goes on that the peer has said all in already; as `set_own`."""
        self.begin(session, ours)
        return session.families if self.wanted and self._own.prefixes else ()

    def _open(self) -> None:
        self._sessions += 1
        if self.wanted and self._session is not None:
            self._rib = AdjRIBIn(self._session, self._own, self._ours)

    def end(self) -> None:
        """The session has ended, and with it all that was heard."""
        self._session = self._rib = None

    def take(self, update: Update) -> None:
        """An UPDATE, with RFC 7606 already applied."""
        if self._rib is not None:
            self._rib.take(update)

    def marker(self, message: RouteRefresh) -> None:
        """The beginning or the end of what the peer says again (RFC 7313)."""
        if self._rib is not None:
            self._rib.marker(message.family, message.subtype)

    def set_own(self, own: OwnAddresses) -> tuple[Family, ...]:
        """The families that the peer should say again."""
        self._own = own
        return self._rib.set_own(own) if self._rib is not None else ()

    def set_wanted(self, wanted: bool) -> tuple[Family, ...]:
        """As `set_own`."""
        if wanted == self.wanted:
            return ()
        self.wanted, self._rib = wanted, None
        self._open()
        return self._session.families if wanted and self._session is not None else ()

    def about(
        self, address: IPAddress, told: ToldRoutes
    ) -> Iterator[tuple[Prefix, HeardRoute, Preferred]]:
        """What the peer says of an address, the most specific first, and whom it prefers."""
        session = self._session
        if session is None or not self.routes:
            return
        host = Prefix.host(address)
        found = [host] if host in self.routes else []
        found += self._around(host)
        ours = told.best(host) if found else None
        for prefix in found:
            route = self.routes[prefix]
            sent = told.get(prefix)
            if sent is None or not may_be_ours(sent, route, session, self._peer):
                yield prefix, route, preferred(ours, prefix, route, session)

    def _around(self, host: Prefix) -> list[Prefix]:
        if self._rib is None or not self._rib.covering:
            return []
        around = [p for p in self._rib.covering if prefix_covers(p, host.octets)]
        return sorted(around, key=lambda prefix: -prefix.length)
