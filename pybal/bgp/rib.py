"""Routes to announce, their difference to what a peer has been told, and its UPDATEs. Pure.

RFC 7606 section 5.1 allows one kind of NLRI a message, so messages are filled kind by kind,
each to the last byte of the negotiated size that its prefixes can use.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from pybal.bgp.constants import HEADER_SIZE, IPV4_UNICAST, IPV6_UNICAST, Family
from pybal.bgp.errors import EncodeError
from pybal.bgp.messages import MPReach, MPUnreach, PathAttributes, Update
from pybal.bgp.negotiation import Session
from pybal.bgp.prefix import OCTETS, Prefix
from pybal.bgp.update_encoding import encode_attributes
from pybal.model import IPAddress

_FIXED_SIZE = HEADER_SIZE + 4  # the lengths of withdrawn routes and of attributes
_MP_HEADER_SIZE = 4 + 3  # an extended attribute header, AFI and SAFI
FAMILY_LEFT_OUT = "the peer's bgp-families leave that family out"
"""No fault, but the operator's wish: reason of an obstacle."""


@dataclass(frozen=True, slots=True)
class Route:
    """What is said of a prefix. Many prefixes should share one Route object: it is cheaper."""

    attributes: PathAttributes
    next_hop: IPAddress


Routes = Mapping[Prefix, Route]


@dataclass(frozen=True, slots=True)
class Changes:
    """What turns one set of routes into another; see `group` for `announced`."""

    withdrawn: tuple[Prefix, ...]
    announced: tuple[tuple[Route, tuple[Prefix, ...]], ...]


def diff(sent: Routes, wanted: Routes) -> Changes:
    """The changes that lead from `sent` to `wanted`; the order is that of the mappings."""
    withdrawn = tuple(prefix for prefix in sent if prefix not in wanted)
    changed = (
        (prefix, route)
        for prefix, route in wanted.items()
        if (old := sent.get(prefix)) is not route and (old is None or old != route)
    )
    return Changes(withdrawn, group(changed))


def group(
    routes: Iterable[tuple[Prefix, Route]],
) -> tuple[tuple[Route, tuple[Prefix, ...]], ...]:
    """Prefixes of one family and of equal routes together."""
    by_identity: dict[tuple[int, int], list[Prefix]] = {}
    groups: dict[tuple[Route, int], list[Prefix]] = {}
    for prefix, route in routes:
        # Hashing a route is dear; most prefixes share one object.
        size = len(prefix.octets)
        members = by_identity.get((id(route), size))
        if members is None:
            members = groups.setdefault((route, size), [])
            by_identity[id(route), size] = members
        members.append(prefix)
    return tuple((route, tuple(prefixes)) for (route, _), prefixes in groups.items())


def obstacle(prefix: Prefix, route: Route, session: Session) -> str | None:
    """Why this peer cannot be told of the prefix, or None."""
    if prefix.family not in session.families:
        ours = session.local.capabilities
        offered = ours is None or prefix.family in ours.families
        return f"{prefix.family} was not negotiated" if offered else FAMILY_LEFT_OUT
    if prefix.family == IPV6_UNICAST and isinstance(route.next_hop, IPv4Address):
        return "its next hop is an IPv4 address"
    if needs_extended_next_hop(prefix, route) and not session.ipv6_next_hops:
        return "its IPv6 next hop needs RFC 8950, which was not negotiated"
    try:
        _room(prefix.family, route, session)
    except EncodeError as error:
        return str(error)
    return None


def needs_extended_next_hop(prefix: Prefix, route: Route) -> bool:
    """Whether an IPv4 prefix has an IPv6 next hop (RFC 8950)."""
    return prefix.family == IPV4_UNICAST and not isinstance(route.next_hop, IPv4Address)


def pack(changes: Changes, session: Session) -> Iterator[Update]:
    """The UPDATEs that say `changes`, withdrawals first, none beyond `session.send_size`."""
    for family in session.families:
        width = OCTETS[family]
        members = tuple(p for p in changes.withdrawn if len(p.octets) == width)
        yield from _withdrawals(family, members, session)
    for route, prefixes in changes.announced:
        family = prefixes[0].family
        if family in session.families:
            yield from _announcements(family, route, prefixes, session)


def _withdrawals(family: Family, prefixes: tuple[Prefix, ...], s: Session) -> Iterator[Update]:
    if family == IPV4_UNICAST:
        for chunk in _chunks(prefixes, s.send_size - _FIXED_SIZE):
            yield Update(withdrawn=chunk)
    else:
        for chunk in _chunks(prefixes, s.send_size - _FIXED_SIZE - _MP_HEADER_SIZE):
            yield Update(mp_unreach=MPUnreach(family, chunk))


def _announcements(
    family: Family, route: Route, prefixes: tuple[Prefix, ...], session: Session
) -> Iterator[Update]:
    next_hop = route.next_hop
    for chunk in _chunks(prefixes, _room(family, route, session)):
        if family == IPV4_UNICAST and isinstance(next_hop, IPv4Address):
            yield Update(attributes=route.attributes, next_hop=next_hop, prefixes=chunk)
        else:
            reach = MPReach(family, (next_hop,), chunk)
            yield Update(attributes=route.attributes, mp_reach=reach)


def _room(family: Family, route: Route, session: Session) -> int:
    """Bytes left for prefixes in a message with this route's attributes; at least one fits."""
    next_hop = route.next_hop.packed
    classic = family == IPV4_UNICAST and len(next_hop) == 4
    attributes = encode_attributes(route.attributes, next_hop if classic else None, session.scope)
    room = session.send_size - _FIXED_SIZE - len(attributes)
    if not classic:
        room -= _MP_HEADER_SIZE + 1 + len(next_hop) + 1
    if room < 17:
        raise EncodeError(f"its attributes of {len(attributes)} bytes leave no room for a prefix")
    return room


def _chunks(prefixes: tuple[Prefix, ...], room: int) -> Iterator[tuple[Prefix, ...]]:
    """Cut into runs whose encoded size is at most `room` bytes."""
    start = used = 0
    for index, prefix in enumerate(prefixes):
        size = 1 + (prefix.length + 7) // 8
        if used + size > room:
            yield prefixes[start:index]
            start, used = index, 0
        used += size
    if start < len(prefixes):
        yield prefixes[start:]
