"""The speaker's own settings: frozen, validated where pybal.conf is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from itertools import chain

from pybal.bgp.advertisement import IPNetwork, LargeCommunity
from pybal.bgp.constants import BGP_PORT, SUPPORTED_FAMILIES, Family, Role
from pybal.model import IPAddress

MAX_PASSWORD_BYTES = 80  # TCP_MD5SIG_MAXKEYLEN


@dataclass(frozen=True, slots=True)
class Options:
    """The optional session attributes of RFC 4271 section 8.1.1, in seconds.

    `delay_open_s` 0 turns DelayOpen off. With `damp`, every return to Idle but that of a
    ManualStop arms IdleHoldTimer, whose expiry starts the FSM again. After a failure that followed
    on the peer's OPEN it begins at `idle_hold_s`, doubles up to `idle_hold_max_s`, and is forgiven
    by a session that lasted as long as that maximum. Where no OPEN came, the peer is just not
    there: the wait ends at `retry_s`, so that it has its routes soon after its return.
    `open_hold_s` bounds the wait for OPEN.
    """

    connect_retry_s: float = 10.0
    delay_open_s: float = 0.0
    damp: bool = True
    idle_hold_s: float = 1.0
    idle_hold_max_s: float = 60.0
    retry_s: float = 4.0
    passive: bool = False
    notification_without_open: bool = False
    open_hold_s: float = 240.0


@dataclass(frozen=True, slots=True)
class BFDAuthSettings:
    """RFC 5880 section 6.7: `kind` is the name of a pybal.bgp.bfd.auth.AuthType; the key, a secret,
    has up to 16 bytes, for SHA1 up to 20."""

    kind: str
    key_id: int
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class BFDSettings:
    """BFD of one peer: `interval_ms` is what we want to send and accept (10 or more); the peer
    takes us for down after `multiplier` (1 to 255) missed packets, as we do it after its own.
    `multihop`: the peer is not a neighbour (RFC 5883); then packets are taken whose TTL is at least
    `min_ttl`."""

    interval_ms: int = 300
    multiplier: int = 3
    multihop: bool = False
    min_ttl: int = 255
    auth: BFDAuthSettings | None = None


@dataclass(frozen=True, slots=True)
class ExportPolicy:
    """What one peer is told otherwise than the others. A value takes the place of the route's own;
    communities are added to the route's; None and nothing change nothing. `prepend`: how many times
    more our ASN stands at the head of the AS path, towards peers of another AS."""

    next_hop_ipv4: IPAddress | None = None
    next_hop_ipv6: IPv6Address | None = None
    med: int | None = None
    local_pref: int | None = None
    prepend: int = 0
    communities: tuple[int, ...] = ()
    large_communities: tuple[LargeCommunity, ...] = ()
    extended_communities: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Confederation:
    """RFC 5065: the AS number that the world sees, and the member ASes besides our own."""

    identifier: int
    members: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class AOSettings:
    """TCP-AO (RFC 5925) instead of MD5: the kernel's name of the algorithm, and the numbers, 0 to
    255, of the key in what we send and in what we receive. The key is the peer's password."""

    algorithm: str
    send_id: int
    receive_id: int


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """One router. `asn` None accepts any. Whether we connect, or wait for the peer to
    (`fsm.passive`), or take no connection of its (`connect_only`) is said for each.

    `role` is ours towards the peer (RFC 9234); strict: only a peer that says its own will do.
    `description` is the operator's, for people; `name` stands for the address where that is found
    out. `ttl` is that of what we send, None for the
    kernel's. `interface`: our connections are bound to it, which may be a VRF's.

    `hold_time_s` is what we propose: 0 or at least 3. `ttl_security_hops`: GTSM (RFC 5082),
    the number of hops the peer may be away, 1 for a neighbour; None turns it off.
    `password`: TCP MD5 (RFC 2385), 1 to 80 bytes, a secret. `restart_time_s`: graceful
    restart (RFC 4724), 1 to 4095; None does not announce it. `stale_time_s`: for so long after it
    the peer may keep our routes as a last choice (RFC 9494). `bfd` None: no BFD. `imports`: what
    the peer says of our own addresses is kept, for people to see; `shares`: that it prefers us and
    another director alike is meant.
    """

    address: IPAddress
    asn: int | None = None
    port: int = BGP_PORT
    local_address: IPAddress | None = None
    password: bytes | None = field(default=None, repr=False)
    ao: AOSettings | None = None
    ttl_security_hops: int | None = None
    hold_time_s: int = 180
    families: tuple[Family, ...] = SUPPORTED_FAMILIES
    restart_time_s: int | None = None
    stale_time_s: int = 0
    bfd: BFDSettings | None = None
    fsm: Options = Options()
    connect_only: bool = False
    ttl: int | None = None
    interface: str | None = None
    export: ExportPolicy = ExportPolicy()
    role: Role | None = None
    role_strict: bool = False
    description: str = ""
    name: str = ""
    imports: bool = False
    shares: bool = False

    @property
    def label(self) -> str:
        """What people and metrics call it."""
        return self.name or str(self.address)


@dataclass(frozen=True, slots=True)
class PeerGroup:
    """Peers that are not named one by one: whoever connects out of `network`, `limit` at a time.
    All are as `peer` is, but for its address."""

    network: IPNetwork
    peer: PeerSettings
    limit: int = 100


@dataclass(frozen=True, slots=True)
class InterfacePeer:
    """The router at the other end of a link, found by its router advertisements. It is as `peer`
    is, but for its address."""

    interface: str
    peer: PeerSettings


@dataclass(frozen=True, slots=True)
class SpeakerSettings:
    """The whole speaker. `listen_addresses` are bound as they are; none means no listener. In a
    confederation `local_asn` is our member AS, and every peer's ASN must be known. `next_hops` are
    those of what we announce: who sends us one of them says what we have said."""

    local_asn: int
    router_id: IPv4Address
    peers: tuple[PeerSettings, ...]
    listen_addresses: tuple[IPAddress, ...]
    listen_port: int = BGP_PORT
    confederation: Confederation | None = None
    groups: tuple[PeerGroup, ...] = ()
    interfaces: tuple[InterfacePeer, ...] = ()
    next_hops: tuple[IPAddress, ...] = ()

    @property
    def imports(self) -> bool:
        """Whether any peer is listened to."""
        found = (one.peer for one in self.groups), (one.peer for one in self.interfaces)
        return any(peer.imports for peer in chain(self.peers, *found))


@dataclass(frozen=True, slots=True)
class MaintenanceSettings:
    """How traffic is moved away: besides the GRACEFUL_SHUTDOWN community (RFC 8326) another MED,
    None for the same, and our ASN so many times more in the path; withdrawn after so many seconds,
    None for never."""

    med: int | None = None
    prepend: int = 0
    withdraw_after_s: float | None = 30.0


@dataclass(frozen=True, slots=True)
class FailoverSettings:
    """What is announced, besides the services' own wishes.

    `as_path` is the whole path as an external peer sees it. `extra_addresses` are announced
    from start to stop. `shutdown_delay_s`: before the withdrawals of a stop, so long as a last
    choice, as in maintenance; 0 for none.
    """

    speaker: SpeakerSettings
    as_path: tuple[int, ...]
    next_hop_ipv4: IPAddress | None = None
    next_hop_ipv6: IPv6Address | None = None
    med: int = 0
    local_pref: int | None = None
    communities: tuple[int, ...] = ()
    large_communities: tuple[LargeCommunity, ...] = ()
    extended_communities: tuple[bytes, ...] = ()
    extra_addresses: tuple[IPAddress, ...] = ()
    shutdown_delay_s: float = 0.0
    maintenance: MaintenanceSettings = MaintenanceSettings()
