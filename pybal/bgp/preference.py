"""Who is preferred, we or another that announces the same: the steps of RFC 4271 section 9.1.2.2
that do not depend on the router. Pure."""

from __future__ import annotations

from enum import Enum

from pybal.bgp.adj_rib_in import HeardRoute
from pybal.bgp.as_path import path_length
from pybal.bgp.constants import GRACEFUL_SHUTDOWN_COMMUNITY, Origin
from pybal.bgp.negotiation import Relation, Session
from pybal.bgp.prefix import Prefix
from pybal.bgp.rib import Route
from pybal.model import IPAddress

_DEFAULT_LOCAL_PREF = 100


class Preferred(Enum):
    """ALIKE: nothing that is announced decides it, so that each router chooses by itself, or shares
    its traffic over both."""

    US = "us"
    OTHERS = "others"
    ALIKE = "alike"


def preferred(
    ours: tuple[Prefix, Route] | None, prefix: Prefix, heard: HeardRoute, session: Session
) -> Preferred:
    """By the peer that tells us `heard`. `ours` is what that peer has been told about the same
    address, None if nothing.

    A router tells us the one route that it has chosen itself. So one that passes on another's route
    although it knows ours does not prefer ours, whatever the attributes say: its configuration may.
    """
    if ours is None:
        return Preferred.OTHERS
    own_prefix, route = ours
    if own_prefix.length != prefix.length:
        return Preferred.US if own_prefix.length > prefix.length else Preferred.OTHERS
    path = _as_the_peer_sees_it(heard, session)
    found = _better(_rank(route, session), _heard_rank(heard, path, session))
    if found is Preferred.ALIKE and _neighbour(route) == (path[0] if path else None):
        found = _better((route.attributes.med or 0,), (heard.med or 0,))
    passed_on = heard.reflected or len(path) < len(heard.as_path) or _is_from_outside(path, session)
    return Preferred.OTHERS if found is Preferred.US and passed_on else found


def may_be_ours(ours: Route, heard: HeardRoute, session: Session, peer: IPAddress) -> bool:
    """Whether what a router says cannot be told from `ours`, which it may just have sent back with
    its own next hop and without our mark. `peer` is its address."""
    hop = heard.next_hop
    if heard.marked or (hop is not None and hop.version == peer.version and hop != peer):
        return False
    attributes = ours.attributes
    path = tuple(asn for segment in attributes.as_path or () for asn in segment.asns)
    return (
        _as_the_peer_sees_it(heard, session) == path != heard.as_path
        and heard.med in (None, attributes.med)
        and heard.communities in ((), attributes.communities)
    )


def _as_the_peer_sees_it(heard: HeardRoute, session: Session) -> tuple[int, ...]:
    """Without the peer's own AS, which it puts in front; unless it is the origin itself."""
    path, peer = heard.as_path, session.peer.asn
    if session.relation is Relation.INTERNAL:
        return path
    own = 0
    while own < len(path) and path[own] == peer:
        own += 1
    return path[own:] or path


def _is_from_outside(path: tuple[int, ...], session: Session) -> bool:
    """Inside of our AS: whether the peer has learned the route from another AS."""
    return session.relation is Relation.INTERNAL and path != ()


Rank = tuple[int, ...]


def _rank(route: Route, session: Session) -> Rank:
    attributes = route.attributes
    leaving = GRACEFUL_SHUTDOWN_COMMUNITY in attributes.communities
    return (
        leaving,
        -_local_pref(attributes.local_pref, session),
        path_length(attributes.as_path or ()),
        Origin.INCOMPLETE if attributes.origin is None else attributes.origin,
    )


def _heard_rank(heard: HeardRoute, path: tuple[int, ...], session: Session) -> Rank:
    # Members of a confederation do not count in the first place (RFC 5065 section 5.3).
    inside = session.relation is Relation.CONFEDERATION
    taken_off = 0 if inside else len(heard.as_path) - len(path)
    return (
        heard.is_leaving,
        -_local_pref(heard.local_pref, session),
        max(0, heard.path_length - taken_off),
        heard.origin,
    )


def _local_pref(value: int | None, session: Session) -> int:
    """It says nothing between ASes."""
    if session.relation is Relation.EXTERNAL or value is None:
        return _DEFAULT_LOCAL_PREF
    return value


def _neighbour(route: Route) -> int | None:
    """The AS next to the peer, whose MEDs can be compared with one another."""
    asns = (asn for segment in route.attributes.as_path or () for asn in segment.asns)
    return next(asns, None)


def _better(ours: Rank, theirs: Rank) -> Preferred:
    """The lower one is."""
    if ours == theirs:
        return Preferred.ALIKE
    return Preferred.US if ours < theirs else Preferred.OTHERS
