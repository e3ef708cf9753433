"""The typed, frozen form of pybal.conf. Every value here has been validated. Pure.

Units are in the names; defaults are the contract's and live in the reader of each key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import ClassVar, Union

from pybal.history.settings import HistorySettings
from pybal.ipvs.options import ServiceOptions
from pybal.ipvs.settings import IPVSSettings
from pybal.model import IPAddress, L4Protocol

DEFAULT_CONCURRENCY = 20
"""How many commands of RunCommand may run at once."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """`file:///path`; JSON if the name ends in `.json`, else one dict literal a line."""

    path: Path


@dataclass(frozen=True, slots=True)
class HTTPSource:
    """`http://` or `https://`; the same two formats as a file."""

    url: str


@dataclass(frozen=True, slots=True)
class EtcdSource:
    """`etcd://host[:port]/key/`; `key` starts and ends with a slash."""

    host: str
    port: int
    key: str


@dataclass(frozen=True, slots=True, repr=False)
class KubernetesSource:
    """`k8s://TOKEN@host[:port]`. The token is a secret: repr() leaves it out."""

    host: str
    port: int
    token: str

    def __repr__(self) -> str:
        return f"KubernetesSource(host={self.host!r}, port={self.port})"


SourceSettings = Union[FileSource, HTTPSource, EtcdSource, KubernetesSource]


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorSettings:
    """What every monitor can be told. The state changes after `rise` results in a row that are
    up, or `fall` that are down. None: the service's port, whatever address the kernel picks.

    A monitor's own settings derive from this; `monitor` is its name in pybal.conf.
    """

    monitor: ClassVar[str]
    checks_by_tcp: ClassVar[bool] = False
    """Whether it connects to the server by TCP, at the port that the service's clients use."""
    has_beat: ClassVar[bool] = True
    """Whether it checks once every `interval_s`."""
    runs_commands: ClassVar[bool] = False
    """Whether `runcommand-concurrency` limits it."""

    rise: int = 1
    fall: int = 1
    interval_s: float = 10.0
    timeout_s: float = 5.0
    source_address: IPAddress | None = None
    port: int | None = None


LargeCommunity = tuple[int, int, int]
"""RFC 8092. A community of RFC 1997 is one number of 32 bits."""


IPNetwork = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class LinkBandwidth:
    """What the link bandwidth community says: so many bits a second, or, None, what the weights of
    the servers that are up amount to."""

    bits_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class ListGuardSettings:
    """What pool lists may take away (pybal/pool/list_guard.py says how): within `window_s` not so
    much that less than the share `floor` (None: the depool threshold) of the enabled servers is
    left. What is held is applied after `hold_s`; None: never."""

    floor: Fraction | None = None
    window_s: float = 900.0
    hold_s: float | None = None


@dataclass(frozen=True, slots=True)
class ServiceBGP:
    """How a service's address is announced. None: as [global] says; of `link_bandwidth`, for which
    that has been looked up: not at all. `withdraw_below`: the address is announced only while a
    server is up and the share of those that are is not below this; None: in any case."""

    announced: bool = True
    med: int | None = None
    communities: tuple[int, ...] | None = None
    large_communities: tuple[LargeCommunity, ...] | None = None
    extended_communities: tuple[bytes, ...] | None = None
    link_bandwidth: LinkBandwidth | None = None
    withdraw_below: Fraction | None = None
    aggregate: IPNetwork | None = None
    aggregate_only: bool = False


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """One section of pybal.conf that is a service. `port` is also the real servers' port.

    `drain_timeout_s`: how long a depooled server may keep its connections; None: not at all.
    `flap_damping`: a server that goes down again and again is pooled later each time.
    """

    name: str
    protocol: L4Protocol
    address: IPAddress
    port: int
    scheduler: str
    one_packet: bool
    source: SourceSettings
    depool_threshold: Fraction
    monitors: tuple[MonitorSettings, ...]
    bgp: ServiceBGP = ServiceBGP()
    drain_timeout_s: float | None = None
    ipvs: ServiceOptions = field(default_factory=ServiceOptions)
    list_guard: ListGuardSettings = ListGuardSettings()
    flap_damping: bool = True

    @property
    def list_floor(self) -> Fraction:
        """The share of the enabled servers that pool lists must leave."""
        floor = self.list_guard.floor
        return self.depool_threshold if floor is None else floor

    @property
    def server_version(self) -> int:
        """The IP version of the real servers' addresses."""
        return self.ipvs.server_version or self.address.version


@dataclass(frozen=True, slots=True)
class TCPAO:
    """TCP-AO instead of MD5: the algorithm by the kernel's name, and the numbers of the key."""

    algorithm: str
    send_id: int
    receive_id: int


@dataclass(frozen=True, slots=True)
class BFDAuth:
    """RFC 5880 section 6.7: `kind` as it is written, such as `keyed-sha1`."""

    kind: str
    key_id: int


@dataclass(frozen=True, slots=True)
class BGPPeerOptions:
    """How one router is spoken to. `asn` None: whatever it says. `password` is a secret of 1 to
    80 bytes in UTF-8. `ttl_security_hops`: how far away it may be (RFC 5082); None: not checked.
    `multihop` is the TTL of what we send. From `nexthop_ipv4` on it is what this peer is told
    otherwise than all: None is as all are told, communities are added. `limit`: how many there may
    be at a time, of those out of a prefix. `imports`: `no`, `yes`, or `shared`, if it is meant that
    the router prefers several directors alike.
    """

    asn: int | None = None
    password: str | None = field(default=None, repr=False)
    ttl_security_hops: int | None = None
    hold_time_s: int = 180
    connect_retry_s: float = 10.0
    graceful_restart: bool = False
    graceful_restart_time_s: int = 120
    bfd: bool = False
    bfd_interval_ms: int = 300
    bfd_multiplier: int = 3
    bfd_multihop: bool = False
    bfd_auth: BFDAuth | None = None
    bfd_password: str | None = field(default=None, repr=False)
    description: str = ""
    source_address: IPAddress | None = None
    interface: str | None = None
    port: int = 179
    passive: bool = False
    connect_only: bool = False
    multihop: int | None = None
    families: tuple[int, ...] = (4, 6)
    prepend: int = 0
    tcp_ao: TCPAO | None = None
    long_lived_stale_s: int = 0
    role: str | None = None
    role_strict: bool = False
    nexthop_ipv4: IPAddress | None = None
    nexthop_ipv6: IPv6Address | None = None
    med: int | None = None
    local_pref: int | None = None
    communities: tuple[int, ...] = ()
    large_communities: tuple[LargeCommunity, ...] = ()
    extended_communities: tuple[bytes, ...] = ()
    limit: int = 100
    imports: str = "no"


@dataclass(frozen=True, slots=True)
class BGPPeer:
    """One router."""

    address: IPAddress
    options: BGPPeerOptions = BGPPeerOptions()


@dataclass(frozen=True, slots=True)
class BGPPeerGroup:
    """Whoever connects out of `network`."""

    network: IPNetwork
    options: BGPPeerOptions = BGPPeerOptions()


@dataclass(frozen=True, slots=True)
class BGPInterfacePeer:
    """The router at the other end of a link."""

    interface: str
    options: BGPPeerOptions = BGPPeerOptions()


@dataclass(frozen=True, slots=True)
class BGPSettings:
    """The BGP speaker's part of [global]; present only when `bgp = yes`.

    No `local_ips` means every address of the host. `router_id` None: an own address. In a
    confederation (RFC 5065) `local_asn` is our member AS, `confederation_id` the AS that the world
    sees, and `confederation_peers` are the other members. In maintenance everything is withdrawn
    after `maintenance_withdraw_s`; None: never.
    """

    local_asn: int
    peers: tuple[BGPPeer, ...]
    as_path: tuple[int, ...]
    nexthop_ipv4: IPAddress | None
    nexthop_ipv6: IPv6Address | None
    med: int
    local_ips: tuple[IPAddress, ...]
    local_port: int
    advertised_addresses: tuple[IPAddress, ...]
    router_id: IPv4Address | None = None
    communities: tuple[int, ...] = ()
    large_communities: tuple[LargeCommunity, ...] = ()
    extended_communities: tuple[bytes, ...] = ()
    link_bandwidth: LinkBandwidth | None = None
    local_pref: int = 100
    shutdown_delay_s: float = 0.0
    groups: tuple[BGPPeerGroup, ...] = ()
    interface_peers: tuple[BGPInterfacePeer, ...] = ()
    confederation_id: int | None = None
    confederation_peers: tuple[int, ...] = ()
    maintenance_med: int | None = None
    maintenance_prepend: int = 0
    maintenance_withdraw_s: float | None = 30.0

    @property
    def all_options(self) -> tuple[BGPPeerOptions, ...]:
        """Those of all routers, known by address or not."""
        return (
            *(one.options for one in self.peers),
            *(one.options for one in self.groups),
            *(one.options for one in self.interface_peers),
        )


@dataclass(frozen=True, slots=True)
class InstrumentationSettings:
    """Where the HTTP instrumentation listens; present only when `instrumentation = yes`."""

    addresses: tuple[IPAddress, ...]
    port: int


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """The control socket. Root may use it and, if one is named, a `group`. By default there is
    none in a dry run: then only one that is `asked_for` counts."""

    path: Path
    group: str | None = None
    asked_for: bool = True

    def __str__(self) -> str:
        who = "root" if self.group is None else f"root and the group {self.group}"
        return f"{self.path}, for {who}"


@dataclass(frozen=True, slots=True)
class IsolationSettings:
    """When this director takes itself for cut off (pybal/health/isolation.py says how): all servers
    that it asks are silent or, of several networks, more than `threshold` of them. Failures count
    together for `window_s`; after `hold_s` they are acted on all the same."""

    threshold: Fraction = Fraction(19, 20)
    window_s: float = 20.0
    hold_s: float = 120.0


@dataclass(frozen=True, slots=True)
class User:
    """A user of this host, as whom commands run; with all groups (monitors/command_user.py)."""

    name: str
    uid: int
    gid: int

    def __str__(self) -> str:
        return self.name


LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
"""The least important first."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A whole pybal.conf. `services` keeps the file's order. `dry_run_bgp`: a dry run speaks BGP
    all the same. `strict`: a start with errors in the file fails, whatever was good before.
    `handover`: connections are kept for the next process. `log_level`: the least important that is
    logged, one of LOG_LEVELS."""

    dry_run: bool
    state_directory: Path | None
    bgp: BGPSettings | None
    instrumentation: InstrumentationSettings | None
    services: tuple[ServiceSettings, ...]
    runcommand_concurrency: int = DEFAULT_CONCURRENCY
    runcommand_user: User | None = None
    isolation: IsolationSettings | None = IsolationSettings()
    control: ControlSettings | None = None
    strict: bool = False
    dry_run_bgp: bool = False
    handover: bool = True
    log_level: str = "info"
    ipvs: IPVSSettings = field(default_factory=IPVSSettings)
    history: HistorySettings = field(default_factory=HistorySettings)
    list_guard: ListGuardSettings = ListGuardSettings()
    """What services have that say nothing of their own."""
    flap_damping: bool = True
    """The same."""
