"""What one session's peer says: Adj-RIB-In (RFC 4271 section 3.2), as far as it is about our own
addresses. All else is let go of at once. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pybal.bgp.as_path import path_length
from pybal.bgp.constants import (
    GRACEFUL_SHUTDOWN_COMMUNITY,
    IPV4_UNICAST,
    Family,
    Origin,
    RefreshSubtype,
)
from pybal.bgp.director_mark import is_marked, mark
from pybal.bgp.messages import ASPath, PathAttributes, Update
from pybal.bgp.negotiation import Session
from pybal.bgp.own_addresses import OwnAddresses
from pybal.bgp.prefix import Prefix
from pybal.model import IPAddress

MAX_COVERING = 64
"""Kept of one peer, besides the addresses themselves."""
_MAX_ASNS = 32
_MAX_COMMUNITIES = 32


@dataclass(frozen=True, slots=True)
class HeardRoute:
    """A route of a peer, as much as is kept of it: `as_path` without its segments and cut after 32
    ASNs, `path_length` as RFC 4271 section 9.1.2.2 counts. Many prefixes share one object.
    `marked`: some director has put its mark on it."""

    next_hop: IPAddress | None
    origin: Origin
    as_path: tuple[int, ...]
    path_length: int
    med: int | None = None
    local_pref: int | None = None
    communities: tuple[int, ...] = ()
    reflected: bool = False
    marked: bool = False

    @property
    def is_leaving(self) -> bool:
        """Whether whoever announces it is about to go (RFC 8326)."""
        return GRACEFUL_SHUTDOWN_COMMUNITY in self.communities


class AdjRIBIn:
    """For one session. Keeps one route for each of our own addresses, and for each prefix around
    them, of the latter MAX_COVERING at most: `not_kept` counts what there was no room for.

    What comes back of ours is no other's: `ours` are our next hops."""

    def __init__(self, session: Session, own: OwnAddresses, ours: frozenset[IPAddress]) -> None:
        self._session = session
        self._own = own
        self._ours = ours
        self._routes: dict[Prefix, HeardRoute] = {}
        self._stale: dict[Family, set[Prefix]] = {}
        self.covering: set[Prefix] = set()
        self.not_kept = 0
        self.version = 0  # grows with every change of `routes`

    @property
    def routes(self) -> Mapping[Prefix, HeardRoute]:
        """What is kept of what the peer says, by prefix."""
        return self._routes

    def take(self, update: Update) -> None:
        """An UPDATE, with RFC 7606 already applied."""
        unreach, reach = update.mp_unreach, update.mp_reach
        for prefix in (*update.withdrawn, *(unreach.prefixes if unreach is not None else ())):
            if prefix in self._routes:
                self._forget(prefix)
        families = self._session.families  # others do not count (RFC 4760 section 8)
        if IPV4_UNICAST in families:
            self._told(update.prefixes, update.attributes, update.next_hop)
        if reach is not None and reach.family in families:
            hop = reach.next_hops[0] if reach.next_hops else None
            self._told(reach.prefixes, update.attributes, hop)

    def _told(
        self, prefixes: tuple[Prefix, ...], attributes: PathAttributes, next_hop: IPAddress | None
    ) -> None:
        concern = self._own.concern
        mine = [prefix for prefix in prefixes if concern(prefix)]
        if not mine:
            return
        if self._is_ours(attributes, next_hop):
            for prefix in mine:
                self._forget(prefix)
            return
        route = _heard(attributes, next_hop)
        for prefix in mine:
            self._keep(prefix, route)

    def _is_ours(self, attributes: PathAttributes, next_hop: IPAddress | None) -> bool:
        router_id = self._session.local.bgp_identifier
        return (
            next_hop in self._ours
            or attributes.originator_id == router_id
            or mark(self._session.member_asn, router_id) in attributes.large_communities
        )

    def _keep(self, prefix: Prefix, route: HeardRoute) -> None:
        self._stale.get(prefix.family, set()).discard(prefix)
        known = self._routes.get(prefix)
        if known is None and prefix not in self._own.prefixes:
            if len(self.covering) >= MAX_COVERING:
                self.not_kept += 1
                return
            self.covering.add(prefix)
        if known != route:
            self._routes[prefix] = route
            self.version += 1

    def _forget(self, prefix: Prefix) -> None:
        if self._routes.pop(prefix, None) is not None:
            self.covering.discard(prefix)
            self.version += 1

    def marker(self, family: Family, subtype: int) -> None:
        """RFC 7313 section 4: what is not said again between both markers is no more."""
        if subtype == RefreshSubtype.BEGIN:
            self._stale[family] = {p for p in self._routes if p.family == family}
        elif subtype == RefreshSubtype.END:
            for prefix in self._stale.pop(family, ()):
                self._forget(prefix)

    def set_own(self, own: OwnAddresses) -> tuple[Family, ...]:
        """Other addresses are ours from now on; the families of which all has to be heard again,
        as it has been let go of."""
        before, self._own = self._own, own
        for prefix in [prefix for prefix in self._routes if not own.concern(prefix)]:
            del self._routes[prefix]
            self.version += 1
        self.covering = self._routes.keys() - own.prefixes
        return tuple(f for f in own.families_beyond(before) if f in self._session.families)


def _heard(attributes: PathAttributes, next_hop: IPAddress | None) -> HeardRoute:
    path: ASPath = attributes.as_path or ()
    asns = (asn for segment in path for asn in segment.asns)
    return HeardRoute(
        next_hop=next_hop,
        origin=Origin.INCOMPLETE if attributes.origin is None else attributes.origin,
        as_path=tuple(asn for _, asn in zip(range(_MAX_ASNS), asns, strict=False)),
        path_length=path_length(path),
        med=attributes.med,
        local_pref=attributes.local_pref,
        communities=attributes.communities[:_MAX_COMMUNITIES],
        reflected=attributes.originator_id is not None,
        marked=is_marked(attributes.large_communities),
    )
