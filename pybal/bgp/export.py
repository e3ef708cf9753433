"""A route as one peer is to see it. Pure."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Address, ip_address
from typing import TypeVar

from pybal.bgp.as_path import sequence
from pybal.bgp.constants import IPV4_UNICAST, Family, Role, SegmentType
from pybal.bgp.messages import ASPath, PathAttributes, Segment
from pybal.bgp.negotiation import Relation, Session
from pybal.bgp.rib import Route
from pybal.bgp.settings import ExportPolicy, PeerSettings
from pybal.model import IPAddress

_T = TypeVar("_T")
_DEFAULT_LOCAL_PREF = 100


def export(route: Route, family: Family, session: Session, policy: ExportPolicy) -> Route:
    """The peer's policy, then what its AS makes of it (RFC 4271 sections 5.1.2 and 5.1.5,
    RFC 5065 section 4): only inside of our AS or confederation there is a LOCAL_PREF."""
    attributes = _apply(policy, route.attributes)
    local_pref = None
    if session.relation is not Relation.EXTERNAL:
        given = attributes.local_pref
        local_pref = _DEFAULT_LOCAL_PREF if given is None else given
    path = _path(attributes.as_path or (), session, policy.prepend)
    attributes = replace(
        attributes, as_path=path, local_pref=local_pref, only_to_customer=_only_to_customer(session)
    )
    return Route(attributes, _next_hop(policy, family) or route.next_hop)


def policy_in_session(
    peer: PeerSettings, session: Session, addresses: tuple[str, str] | None
) -> ExportPolicy:
    """Over a link that has no addresses but its own, the next hop is ours on that link (RFC 8950
    section 3, RFC 2545 section 3), unless this peer's settings say another one. `addresses` are
    ours and the peer's of the connection."""
    policy = peer.export
    if not peer.address.is_link_local or addresses is None:
        return policy
    address = ip_address(addresses[0])
    if not isinstance(address, IPv6Address) or not address.is_link_local:
        return policy
    ipv4 = address if session.ipv6_next_hops else None
    return replace(
        policy,
        next_hop_ipv4=policy.next_hop_ipv4 or ipv4,
        next_hop_ipv6=policy.next_hop_ipv6 or address,
    )


def next_hops_in_session(
    policy: ExportPolicy, general: tuple[IPAddress, ...]
) -> frozenset[IPAddress]:
    """What comes back with one of these is our own; `general` are those of our routes."""
    found = (*general, policy.next_hop_ipv4, policy.next_hop_ipv6)
    return frozenset(address for address in found if address is not None)


def _only_to_customer(session: Session) -> int | None:
    """RFC 9234 section 5: who gets a route from a provider, a peer or a route server is to hand it
    on to customers alone."""
    capabilities = session.local.capabilities
    roles = capabilities.roles if capabilities is not None else ()
    marks = (Role.PROVIDER, Role.PEER, Role.RS)
    return session.local.asn if roles and roles[0] in marks else None


def _next_hop(policy: ExportPolicy, family: Family) -> IPAddress | None:
    return policy.next_hop_ipv4 if family == IPV4_UNICAST else policy.next_hop_ipv6


def _apply(policy: ExportPolicy, attributes: PathAttributes) -> PathAttributes:
    if policy == ExportPolicy():
        return attributes
    return replace(
        attributes,
        med=attributes.med if policy.med is None else policy.med,
        local_pref=attributes.local_pref if policy.local_pref is None else policy.local_pref,
        communities=_union(attributes.communities, policy.communities),
        large_communities=_union(attributes.large_communities, policy.large_communities),
        extended_communities=_union(attributes.extended_communities, policy.extended_communities),
    )


def _union(first: tuple[_T, ...], second: tuple[_T, ...]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(first + second))


def _path(path: ASPath, session: Session, prepend: int) -> ASPath:
    """Our own ASNs at its head: gone inside of our AS, in a segment of their own towards another
    member of our confederation, and the confederation's identifier towards the world."""
    own, rest = _split(path, session.member_asn)
    match session.relation:
        case Relation.INTERNAL:
            return rest
        case Relation.CONFEDERATION:
            asns = (session.member_asn,) * (max(1, own) + prepend)
            return (Segment(SegmentType.AS_CONFED_SEQUENCE, asns), *rest)
        case Relation.EXTERNAL:
            if session.local.asn == session.member_asn and not prepend:
                return path
            return _prepended((session.local.asn,) * (own + prepend), rest)


def _split(path: ASPath, asn: int) -> tuple[int, ASPath]:
    """How many of this ASN lead the path, and what follows."""
    if not path or path[0].kind is not SegmentType.AS_SEQUENCE:
        return 0, path
    asns = path[0].asns
    own = 0
    while own < len(asns) and asns[own] == asn:
        own += 1
    rest = asns[own:]
    return own, (Segment(SegmentType.AS_SEQUENCE, rest), *path[1:]) if rest else path[1:]


def _prepended(asns: tuple[int, ...], rest: ASPath) -> ASPath:
    if rest and rest[0].kind is SegmentType.AS_SEQUENCE:
        return (*sequence(asns + rest[0].asns), *rest[1:])
    return (*sequence(asns), *rest)
