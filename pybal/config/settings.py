"""The typed, frozen form of pybal.conf. Every value here has been validated. Pure.

Units are in the names; defaults are the contract's and live in the reader of each key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import ClassVar, Union

from pybal.ipvs.options import ServiceOptions
from pybal.ipvs.settings import IPVSSettings
from pybal.linear_regex import Pattern
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

    rise: int = 1
    fall: int = 1
    interval_s: float = 10.0
    timeout_s: float = 5.0
    source_address: IPAddress | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class IdleConnectionSettings(MonitorSettings):
    """Options of IdleConnection; all times in seconds. `interval_s` is the most between two
    results while `rise` or `fall` has not been reached, `timeout_s` is for connecting."""

    monitor = "IdleConnection"

    timeout_clean_reconnect_s: float = 3.0
    max_delay_s: float = 300.0
    keepalive: bool = True
    keepalive_retries: int = 3
    keepalive_idle_s: int = 10
    keepalive_interval_s: int = 30


@dataclass(frozen=True, slots=True)
class ProxyFetchSettings(MonitorSettings):
    """Options of ProxyFetch. `urls` holds at least one absolute http(s) URL; one of the statuses in
    `http_status` is healthy. `expect` is looked for in the body. `server_name` stands in for the
    URL's host in TLS. No more than `read_bytes` of the answer are read."""

    monitor = "ProxyFetch"

    urls: tuple[str, ...]
    http_status: tuple[range, ...] = (range(200, 201),)
    check_all: bool = False
    max_failures: int = 0
    user_agent: str = "Twisted PageGetter"
    tls_verify: bool = False
    ca_file: Path | None = None
    server_name: str | None = None
    min_certificate_days: int = 0
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    expect: Pattern | None = None
    read_bytes: int = 1 << 20


def status_text(statuses: tuple[range, ...]) -> str:
    """The statuses for a human: `200 or 300-399`."""
    words = [str(r.start) if len(r) == 1 else f"{r.start}-{r.stop - 1}" for r in statuses]
    return " or ".join(words)


@dataclass(frozen=True, slots=True)
class DNSQuerySettings(MonitorSettings):
    """Options of DNSQuery. `hostnames` holds at least one name."""

    monitor = "DNSQuery"

    hostnames: tuple[str, ...]
    fail_on_nxdomain: bool = False


@dataclass(frozen=True, slots=True)
class UDPSettings(MonitorSettings):
    """Options of UDP. `timeout_s` is how long an ICMP error, or the answer, may take to come.
    With `expect` only a datagram that matches it is up."""

    monitor = "UDP"

    timeout_s: float = field(default=1.0, kw_only=True)
    icmp_timeout_s: float = 20.0
    payload: bytes = b""
    expect: Pattern | None = None


@dataclass(frozen=True, slots=True)
class PingSettings(MonitorSettings):
    """Options of Ping."""

    monitor = "Ping"


@dataclass(frozen=True, slots=True)
class TCPCheckSettings(MonitorSettings):
    """Options of TCPCheck: what to send, and what to find in the first `read_bytes` that the
    server sends; without `expect` a connection is enough."""

    monitor = "TCPCheck"

    send: bytes = b""
    expect: Pattern | None = None
    read_bytes: int = 4096


class Argument:
    """One argument of RunCommand: a literal, or a word that names an attribute of the server."""


@dataclass(frozen=True, slots=True)
class LiteralArgument(Argument):
    """An argument passed on as it is written."""

    text: str


@dataclass(frozen=True, slots=True)
class ServerArgument(Argument):
    """`server.host`, `server.ip` or `server.port`; `attribute` is the part after the dot."""

    attribute: str


@dataclass(frozen=True, slots=True)
class RunCommandSettings(MonitorSettings):
    """Options of RunCommand. `command` is an absolute path; no shell is involved."""

    monitor = "RunCommand"

    command: Path
    arguments: tuple[Argument, ...] = ()
    interval_s: float = field(default=60.0, kw_only=True)
    timeout_s: float = field(default=20.0, kw_only=True)
    log_output: bool = True


LargeCommunity = tuple[int, int, int]
"""RFC 8092. A community of RFC 1997 is one number of 32 bits."""


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """One section of pybal.conf that is a service. `port` is also the real servers' port.

    `drain_timeout_s`: how long a depooled server may keep its connections; None: not at all.
    What of BGP is None is the global value. `bgp_withdraw_below`: the address is announced only
    while a server is up and the share of those that are is not below this; None: in any case.
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
    bgp: bool
    bgp_med: int | None
    bgp_communities: tuple[int, ...] | None = None
    bgp_large_communities: tuple[LargeCommunity, ...] | None = None
    bgp_withdraw_below: Fraction | None = None
    drain_timeout_s: float | None = None
    ipvs: ServiceOptions = field(default_factory=ServiceOptions)

    @property
    def server_version(self) -> int:
        """The IP version of the real servers' addresses."""
        return self.ipvs.server_version or self.address.version


@dataclass(frozen=True, slots=True)
class BGPPeerOptions:
    """How one router is spoken to. `asn` None: whatever it says. `password` is a secret of 1 to
    80 bytes in UTF-8. `ttl_security_hops`: how far away it may be (RFC 5082); None: not checked.
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


@dataclass(frozen=True, slots=True)
class BGPPeer:
    """One router."""

    address: IPAddress
    options: BGPPeerOptions = BGPPeerOptions()


@dataclass(frozen=True, slots=True)
class BGPSettings:
    """The BGP speaker's part of [global]; present only when `bgp = yes`.

    No `local_ips` means every address of the host. `router_id` None: an own address.
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
    local_pref: int = 100
    shutdown_delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class InstrumentationSettings:
    """Where the HTTP instrumentation listens; present only when `instrumentation = yes`."""

    addresses: tuple[IPAddress, ...]
    port: int


@dataclass(frozen=True, slots=True)
class IsolationSettings:
    """When this director takes itself for cut off (pybal/health/isolation.py says how): more than
    `threshold` of the servers that it asks are silent. Failures count together for `window_s`;
    after `hold_s` they are acted on all the same."""

    threshold: Fraction = Fraction(1, 2)
    window_s: float = 20.0
    hold_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Settings:
    """A whole pybal.conf. `services` keeps the file's order."""

    dry_run: bool
    state_directory: Path | None
    bgp: BGPSettings | None
    instrumentation: InstrumentationSettings | None
    services: tuple[ServiceSettings, ...]
    runcommand_concurrency: int = DEFAULT_CONCURRENCY
    isolation: IsolationSettings | None = IsolationSettings()
    ipvs: IPVSSettings = field(default_factory=IPVSSettings)
