"""What two OPENs make of a session, whether an OPEN is acceptable, who wins a collision. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address

from pybal.bgp.attributes import Scope
from pybal.bgp.constants import (
    AFI_IPV6,
    IPV4_UNICAST,
    MAX_EXTENDED_MESSAGE_SIZE,
    MAX_MESSAGE_SIZE,
    ErrorCode,
    Family,
    OpenSubcode,
    Role,
)
from pybal.bgp.errors import NotificationError
from pybal.bgp.messages import (
    Capabilities,
    ExtendedNextHop,
    GracefulRestart,
    LongLivedFamily,
    Open,
    RestartFamily,
    role_name,
)
from pybal.bgp.settings import Confederation, PeerSettings, SpeakerSettings

_NO_CAPABILITIES = Capabilities()


class Relation(Enum):
    """Whose AS the peer is in: ours, another member of our confederation (RFC 5065), another."""

    INTERNAL = "internal"
    CONFEDERATION = "confederation"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True)
class Session:
    """All that was negotiated. `families` are those that both sides announced. `member_asn` is our
    ASN as it leads the AS paths that we are given; `local.asn` is that which this peer sees.

    `ipv6_next_hops`: IPv4 prefixes may have them (RFC 8950). `receive_size` and `send_size`
    are the largest messages, header included (RFC 8654).
    """

    local: Open
    peer: Open
    hold_time_s: int
    families: tuple[Family, ...]
    scope: Scope
    receive_size: int
    send_size: int
    route_refresh: bool
    enhanced_route_refresh: bool
    ipv6_next_hops: bool
    relation: Relation
    member_asn: int

    @property
    def peer_restart(self) -> GracefulRestart | None:
        """What the peer said of graceful restart (RFC 4724)."""
        return self.peer.capabilities.graceful_restart if self.peer.capabilities else None


def negotiate(
    local: Open, peer: Open, confederation: Confederation | None = None, member_asn: int = 0
) -> Session:
    """RFC 4271 section 4.2 (the smaller hold time), RFC 5492 (a capability counts when both
    have it). The OPENs have been checked."""
    ours = local.capabilities or _NO_CAPABILITIES
    theirs = peer.capabilities or _NO_CAPABILITIES
    four_octet = ours.four_octet_asn is not None and theirs.four_octet_asn is not None
    extended_next_hop = ExtendedNextHop(IPV4_UNICAST, AFI_IPV6)
    relation = _relation(local.asn, peer.asn, confederation)
    return Session(
        local=local,
        peer=peer,
        hold_time_s=min(local.hold_time_s, peer.hold_time_s),
        families=tuple(f for f in _families(ours) if f in _families(theirs)),
        scope=Scope(
            four_octet_asn=four_octet,
            internal=relation is Relation.INTERNAL,
            same_confederation=relation is Relation.CONFEDERATION,
        ),
        # RFC 8654 section 4: who announced it must accept large messages, and may send them
        # to whoever announced it.
        receive_size=MAX_EXTENDED_MESSAGE_SIZE if ours.extended_message else MAX_MESSAGE_SIZE,
        send_size=MAX_EXTENDED_MESSAGE_SIZE if theirs.extended_message else MAX_MESSAGE_SIZE,
        route_refresh=ours.route_refresh and theirs.route_refresh,
        enhanced_route_refresh=ours.enhanced_route_refresh and theirs.enhanced_route_refresh,
        ipv6_next_hops=extended_next_hop in ours.extended_next_hop
        and extended_next_hop in theirs.extended_next_hop,
        relation=relation,
        member_asn=member_asn or local.asn,
    )


def _relation(ours: int, theirs: int, confederation: Confederation | None) -> Relation:
    if ours == theirs:
        return Relation.INTERNAL
    if confederation is not None and theirs in confederation.members:
        return Relation.CONFEDERATION
    return Relation.EXTERNAL


def _families(capabilities: Capabilities) -> tuple[Family, ...]:
    """Without any multiprotocol capability a speaker means IPv4 unicast (RFC 4760 section 8)."""
    return capabilities.families or (IPV4_UNICAST,)


def check_open(
    peer: Open, local: Open, expected_asn: int | None, *, role_strict: bool = False
) -> None:
    """The checks of RFC 4271 section 6.2 that need configuration, and of roles; raises
    NotificationError.

    `expected_asn` is the configured ASN of the peer, None to accept any. `role_strict`: a peer
    that says no role is refused, if we have said one.
    """
    if expected_asn is not None and peer.asn != expected_asn:
        raise NotificationError(
            ErrorCode.OPEN_MESSAGE,
            OpenSubcode.BAD_PEER_AS,
            b"",
            f"peer has ASN {peer.asn}, configured is {expected_asn}",
        )
    # RFC 6286 section 2.2: within one AS the identifiers must differ.
    if peer.asn == local.asn and peer.bgp_identifier == local.bgp_identifier:
        raise NotificationError(
            ErrorCode.OPEN_MESSAGE,
            OpenSubcode.BAD_BGP_IDENTIFIER,
            b"",
            f"peer has our own identifier {peer.bgp_identifier}",
        )

    if peer.asn != local.asn:
        _check_roles(_roles(peer), _roles(local), strict=role_strict)


# RFC 9234 section 4.2: our role, and the only one that the peer may have then.
_COUNTERPART = {
    Role.PROVIDER: Role.CUSTOMER,
    Role.CUSTOMER: Role.PROVIDER,
    Role.RS: Role.RS_CLIENT,
    Role.RS_CLIENT: Role.RS,
    Role.PEER: Role.PEER,
}


def _roles(message: Open) -> tuple[int, ...]:
    return message.capabilities.roles if message.capabilities is not None else ()


def _check_roles(theirs: tuple[int, ...], ours: tuple[int, ...], *, strict: bool) -> None:
    if not ours or (not theirs and not strict):
        return
    wanted = _COUNTERPART[Role(ours[0])]
    if theirs == (wanted,):
        return
    said = " and ".join(map(role_name, theirs)) or "none"
    mine = role_name(ours[0])
    raise NotificationError(
        ErrorCode.OPEN_MESSAGE,
        OpenSubcode.ROLE_MISMATCH,
        b"",
        f"our role is {mine}, so the peer's must be {role_name(wanted)}; it is {said}",
    )


def keeps_own_connection(
    local_identifier: IPv4Address, local_asn: int, peer_identifier: IPv4Address, peer_asn: int
) -> bool:
    """RFC 4271 section 6.8: of two connections the one opened by the side with the higher
    identifier stays. True if that is ours. Equal identifiers: the larger ASN (RFC 6286)."""
    return (int(local_identifier), local_asn) > (int(peer_identifier), peer_asn)


def local_open(speaker: SpeakerSettings, peer: PeerSettings, *, restarting: bool) -> Open:
    """The OPEN that this speaker sends to a peer: all it can do, for the peer to choose from."""
    asn = asn_towards(speaker, peer)
    restart = None
    long_lived: tuple[LongLivedFamily, ...] = ()
    if peer.restart_time_s is not None:
        if peer.stale_time_s:
            long_lived = tuple(
                LongLivedFamily(f, forwarding=True, stale_time_s=peer.stale_time_s)
                for f in peer.families
            )
        # IPVS goes on forwarding while we are away: every family's state is preserved.
        families = tuple(RestartFamily(f, forwarding=True) for f in peer.families)
        restart = GracefulRestart(
            restarting=restarting,
            notification=True,
            restart_time_s=peer.restart_time_s,
            families=families,
        )
    extended_next_hop = (ExtendedNextHop(IPV4_UNICAST, AFI_IPV6),)
    capabilities = Capabilities(
        families=peer.families,
        four_octet_asn=asn,
        route_refresh=True,
        enhanced_route_refresh=True,
        extended_message=True,
        graceful_restart=restart,
        extended_next_hop=extended_next_hop if IPV4_UNICAST in peer.families else (),
        long_lived=long_lived,
        roles=() if peer.role is None or peer.asn == asn else (peer.role,),
    )
    return Open(asn, peer.hold_time_s, speaker.router_id, capabilities)


def asn_towards(speaker: SpeakerSettings, peer: PeerSettings) -> int:
    """The ASN that a peer sees (RFC 5065 section 4: outside of the confederation only that one's
    identifier is known)."""
    confederation = speaker.confederation
    if confederation is None or peer.asn in (speaker.local_asn, *confederation.members):
        return speaker.local_asn
    return confederation.identifier
