"""Frozen values that all rooms share: specs, check results, snapshots; Unix seconds. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from pybal.kept_change import KeptSnapshot, ListPast
from pybal.override import LaidOver

IPAddress = IPv4Address | IPv6Address

DEFAULT_WEIGHT = 10


class L4Protocol(enum.Enum):
    """Transport protocol of an LVS service; the value is its name in pybal.conf."""

    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """What a pool source says of one real server; `enabled` is the operator's wish."""

    host: str
    weight: int = DEFAULT_WEIGHT
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class SourceList:
    """A pool list as a source publishes it; hosts are unique.

    If something in it could not be read, servers that it no longer names are still here as they
    were: see SourceSnapshot.damage. `last_run`: with the first list of a source, what was in force
    when the last run ended; empty if that is not known. `past`: what lists had taken away by then.
    `from_disk`: the source itself has said nothing yet. `other_source`: in the last run, whenever
    that was, the service had another one.
    """

    servers: tuple[ServerSpec, ...]
    last_run: tuple[ServerSpec, ...] = ()
    past: ListPast | None = None
    from_disk: bool = False
    other_source: bool = False


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome of one health check. `reason` is one line; it may be empty when up."""

    up: bool
    reason: str
    duration_s: float
    at: float


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """A metric that a monitor declares: `labels` are those beyond service, host and monitor. A
    name that ends in `_total` is a counter's, any other a gauge's."""

    name: str
    help: str
    labels: tuple[str, ...] = ()

    def sample(self, value: float, *labels: str) -> MetricSample:
        """A sample of it, with a value for each of its labels."""
        return MetricSample(self.name, tuple(zip(self.labels, labels, strict=True)), value)


@dataclass(frozen=True, slots=True)
class HealthReport:
    """A monitor's first result, or a change of its result.

    `incarnation` numbers the set of monitors that it belongs to. A server gets a new set when it
    is added and when its address changes; reports of an earlier set are void.
    """

    service: str
    host: str
    monitor: str
    result: CheckResult
    incarnation: int


@dataclass(frozen=True, slots=True)
class MetricSample:
    """One sample of a monitor's own metric.

    `labels` are those beyond service, host and monitor, in the metric's declared order.
    """

    metric: str
    labels: tuple[tuple[str, str], ...]
    value: float


class MonitorSnapshot(NamedTuple):
    """A monitor as it stands. `up`, dated by `since`, is None until there were `rise` results up
    or `fall` results down in a row; the last `in_a_row` results were all like `last`."""

    name: str
    up: bool | None
    since: float | None
    last: CheckResult | None
    up_transitions: int = 0
    down_transitions: int = 0
    up_results: int = 0
    down_results: int = 0
    in_a_row: int = 0
    rise: int = 1
    fall: int = 1
    samples: tuple[MetricSample, ...] = ()


class Verdict(enum.Enum):
    """What the pooling policy last decided of a server."""

    POOLED = "pooled"
    DRAINING = "pooled without new connections: its weight is 0"
    POOLED_UNPROVEN = "pooled before all its monitors have spoken"
    HELD = "kept pooled though down"
    DEPOOLED = "depooled"
    WAITING = "not pooled before its monitors are up"
    DISABLED = "not pooled: disabled by the operator"
    NOT_READY = "not pooled: its address is not known"
    REFUSED = "not pooled: the kernel refuses its address"


class Decision(NamedTuple):
    """Why a server is or is not pooled: the verdict, who asked, and the counts it rests on.

    `configured` is N, `up` the servers up, enabled and ready, `pooled` those pooled after
    the decision; `required` = N x threshold, exact. `cause` is the event, in words.
    """

    verdict: Verdict
    cause: str
    at: float
    configured: int
    up: int
    pooled: int
    required: Fraction


class HoldDown(NamedTuple):
    """A server that is up again is not pooled before `until`, as it went down so many times
    (`flaps`) within `window_s`."""

    flaps: int
    window_s: float
    until: float


class ServerSnapshot(NamedTuple):
    """A real server of one service as it stands."""

    host: str
    address: IPAddress | None
    weight: int
    enabled: bool
    ready: bool
    up: bool
    partially_up: bool
    pooled: bool
    monitors: tuple[MonitorSnapshot, ...]
    decision: Decision | None
    hold_down: HoldDown | None = None
    over: LaidOver | None = None
    """What an operator wants of it for a time."""

    @property
    def status(self) -> str:
        """`enabled|disabled/up|partially up|down/pooled|not pooled`, as consumers read it."""
        return status_text(
            enabled=self.enabled, up=self.up, partially_up=self.partially_up, pooled=self.pooled
        )


def status_text(*, enabled: bool, up: bool, partially_up: bool, pooled: bool) -> str:
    """The contract's status string of a server."""
    health = "up" if up else "partially up" if partially_up else "down"
    return "/".join(
        (
            "enabled" if enabled else "disabled",
            health,
            "pooled" if pooled else "not pooled",
        )
    )


class SourceSnapshot(NamedTuple):
    """Where a pool list comes from and how that goes.

    `url` holds no secrets. `stale` is true while the list in force comes from the on-disk
    cache, or the source has failed since or has not been read for long; `last_good_at` dates the
    list in force: it is when the last good reading began. `damage` is what of it could not be read,
    one line each; `kept` are the servers that it no longer names and that stay for that reason.
    """

    url: str
    stale: bool
    last_good_at: float | None
    last_error: str | None
    damage: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


class ServiceSnapshot(NamedTuple):
    """One LVS service as it stands, `servers` in the list's order; `held` are the changes of its
    list that are kept, held or waiting; `held_total` counts those that were held,
    `hold_downs_total` how often a server that flapped was not pooled at once. `standing` are
    addresses that get connections as they did before the daemon started, and are no server that is
    known. `list_error` is why the pool is not as its list and operators want it, by a fault of our
    own."""

    name: str
    protocol: L4Protocol
    address: IPAddress
    port: int
    scheduler: str
    depool_threshold: Fraction
    can_depool: bool
    could_not_depool_total: int
    source: SourceSnapshot
    servers: tuple[ServerSnapshot, ...]
    held: tuple[KeptSnapshot, ...] = ()
    held_total: int = 0
    hold_downs_total: int = 0
    standing: tuple[str, ...] = ()
    list_error: str = ""


class IsolationSnapshot(NamedTuple):
    """Whether this director seems to be cut off from its servers. `since` is set while it is;
    `total` counts how often it was; `reports_kept` are not acted on yet."""

    phase: str
    since: float | None = None
    total: int = 0
    reports_kept: int = 0


class HealthSnapshot(NamedTuple):
    """What the director knows of itself: time it lost, checks it could not make.

    `stalls` counts heartbeats by lateness (stall_detector.STALL_BUCKETS_S, and the rest);
    `local_fault` is the fault of our own that is there now, in words; `local_faults` are
    (errno's name, count); `expedited_total` counts checks made soon since their host came up;
    `delayed_calls` are the timers that run.
    """

    gaps: int = 0
    longest_stall_s: float = 0.0
    stalls: tuple[int, ...] = ()
    stalls_sum_s: float = 0.0
    local_fault: str = ""
    local_faults: tuple[tuple[str, int], ...] = ()
    expedited_total: int = 0
    delayed_calls: int = 0
    isolation: IsolationSnapshot = IsolationSnapshot("off")


class Severity(enum.Enum):
    """How bad an alert is; the value is the word in JSON, in text it is upper-case."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"


class Alert(NamedTuple):
    """Something that an operator must look at, in words without a full stop. `id` is that of all
    alerts of its kind, and their section in docs/operating.md; `service` is the one concerned."""

    id: str
    severity: Severity
    service: str | None
    text: str


class DaemonSnapshot(NamedTuple):
    """The process itself, on `host`; `alerts` are those that its parts raise themselves,
    `unwritten` files of the state directory whose newest content is not there, and why."""

    version: str
    started_at: float
    config_path: str
    dry_run: bool
    health: HealthSnapshot = HealthSnapshot()
    alerts: tuple[Alert, ...] = ()
    host: str = ""
    unwritten: tuple[tuple[str, str], ...] = ()
