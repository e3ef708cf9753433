"""BGP as it stands, for people and monitoring. Pure; what speaks no BGP loads it, too."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class BGPConnectionSnapshot(NamedTuple):
    """One connection of a peer, wanted or present. `side`: who opens it, we (`active`) or the
    peer (`passive`); `local_ip` is empty while it is not known."""

    state: str
    side: str
    local_ip: str
    remote_ip: str


class PeerSnapshot(NamedTuple):
    """One configured BGP peer; `state` is the FSM's state name (RFC 4271 section 8.2.2) of the
    connection that is nearest to a session, `since` dates the last change of any, and `away_since`
    is since when there has been no session.

    `messages` are (type, `sent` or `received`, count); `timers` (name, when it is due by the clock
    of `BGPSnapshot.clock_s`) of the connection that is nearest; `bfd` is the BFD session's state,
    None without BFD. `not_told`: why prefixes cannot be said to this peer, and how many for each
    reason. `last_error` is the cause for which there is, or last was, no session. `heard`: how many
    routes of others are kept of what it says of our addresses, None if that is not asked for; for
    `not_kept` there was no room.
    """

    address: str
    state: str
    established: bool
    asn: int | None = None
    since: float | None = None
    away_since: float | None = None
    last_error: str | None = None
    last_error_at: float | None = None
    hold_time_s: int | None = None
    capabilities_sent: tuple[str, ...] = ()
    capabilities_received: tuple[str, ...] = ()
    prefixes_told: int = 0
    not_told: tuple[tuple[str, int], ...] = ()
    sessions_lost: int = 0
    connections_refused: int = 0
    messages: tuple[tuple[str, str, int], ...] = ()
    timers: tuple[tuple[str, float], ...] = ()
    bfd: str | None = None
    description: str = ""
    connections: tuple[BGPConnectionSnapshot, ...] = ()
    heard: int | None = None
    not_kept: int = 0


class AnnouncedPrefix(NamedTuple):
    """A prefix that is to be announced: its attributes, who wants it, which peers know it.

    `as_path` is as an external peer sees it; only an internal one sees `local_pref`.
    """

    prefix: str
    next_hop: str
    med: int | None
    communities: tuple[str, ...]
    large_communities: tuple[str, ...]
    services: tuple[str, ...]
    peers: tuple[str, ...]
    as_path: tuple[int, ...] = ()
    local_pref: int | None = None
    extended_communities: tuple[str, ...] = ()


class OthersRoute(NamedTuple):
    """What a peer says of one of our addresses that is not our own doing: for `prefix`, which is
    the address itself or goes around it. `path_length` counts as routers do; without an AS between
    them only `local_pref`. `preferred`, `us`, `others` or `alike`, is whom the peer prefers."""

    peer: str
    prefix: str
    next_hop: str | None
    med: int | None
    local_pref: int | None
    as_path: tuple[int, ...]
    path_length: int
    communities: tuple[str, ...]
    preferred: str


class OwnAddress(NamedTuple):
    """One of our addresses, and who else announces it. `preferred` puts together what all peers
    prefer that are listened to: `us`, `others`, `both` (some routers us, some others), `alike`
    (each router chooses by itself), `nobody`; None: no peer is listened to now. `shared`: to be
    preferred alike is meant."""

    address: str
    announced: bool
    preferred: str | None
    others: tuple[OthersRoute, ...] = ()
    shared: bool = False


class MaintenanceSnapshot(NamedTuple):
    """What an operator has moved the traffic away from by BGP: a service, or None for the whole
    director; until it is `withdrawn`, at `withdrawn_at` if ever, its addresses are announced as the
    last choice."""

    service: str | None
    since: float
    withdrawn: bool
    withdrawn_at: float | None = None


class HeldAnnouncement(NamedTuple):
    """A service that was withdrawn so often lately that it is not announced again yet."""

    service: str
    withdrawals: int
    wait_s: float


@dataclass(frozen=True, slots=True)
class BGPSnapshot:
    """The BGP speaker as a whole. `local_asn` is None while bgp is off. `own` is empty unless what
    peers say of our addresses is asked for (`imports`). `clock_s`: the time by the clock of the
    peers' timers; that it goes on is no difference between two snapshots."""

    enabled: bool
    local_asn: int | None
    peers: tuple[PeerSnapshot, ...]
    announced: tuple[AnnouncedPrefix, ...] = ()
    unknown_peers_total: int = 0
    maintenance: tuple[MaintenanceSnapshot, ...] = ()
    router_id: str | None = None
    held: tuple[HeldAnnouncement, ...] = ()
    imports: bool = False
    own: tuple[OwnAddress, ...] = ()
    clock_s: float = field(default=0.0, compare=False)
