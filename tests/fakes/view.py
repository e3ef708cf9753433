"""A StatusView that shows what a test puts in, and builders for its snapshots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from ipaddress import ip_address
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import Logger

from pybal.bgp.snapshot import BGPConnectionSnapshot, BGPSnapshot, PeerSnapshot
from pybal.config.snapshot import ConfigSnapshot
from pybal.history.ledger import Ledger
from pybal.instrumentation.alerts import Situation, general_alerts
from pybal.instrumentation.pending_alert import PendingAlert
from pybal.instrumentation.service_alerts import service_alerts
from pybal.ipvs.snapshot import IPVSSnapshot, MissingSnapshot
from pybal.model import (
    CheckResult,
    DaemonSnapshot,
    Decision,
    L4Protocol,
    MetricSample,
    MonitorSnapshot,
    ServerSnapshot,
    ServiceSnapshot,
    SourceSnapshot,
    Verdict,
)
from pybal.monitors.registry import BUILT_IN, metric_families
from pybal.override import Override
from pybal.runtime.pieces import Pieces, in_one_go
from pybal.runtime.time_slices import TimeSlices

NOON = 1_700_000_000.0
"""2023-11-14T22:13:20Z, the time at which everything in these fakes happened."""

MONITOR_FAMILIES = metric_families(BUILT_IN)
"""What the daemon hands to the instrumentation."""

NO_BGP = BGPSnapshot(enabled=False, local_asn=None, peers=())
CONFIG = ConfigSnapshot(
    path="/etc/pybal/pybal.conf",
    sha256="00ff",
    modified_at=NOON,
    loaded_at=NOON,
    is_last_good=False,
    needs_restart=(),
    differs_since=None,
    last_reload=None,
    last_success_at=NOON,
    last_error_at=0.0,
)
DAEMON = DaemonSnapshot("9.8.7", NOON, "/etc/pybal/pybal.conf", dry_run=False)


@dataclass
class FakeView:
    """Holds snapshots; a test may replace any of them at any time."""

    service_list: Sequence[ServiceSnapshot] = ()
    bgp_snapshot: BGPSnapshot = NO_BGP
    ipvs_snapshot: IPVSSnapshot = field(default_factory=lambda: ipvs())
    daemon_snapshot: DaemonSnapshot = DAEMON
    config_snapshot: ConfigSnapshot = CONFIG
    override_list: tuple[Override, ...] = ()
    refreshed: int = 0
    prepared: list[str | None] = field(default_factory=list)
    ledger: Ledger = field(default_factory=lambda: ledger())

    def history(self) -> Ledger:
        return self.ledger

    def preparing(self, name: str | None = None) -> Pieces[None]:
        self.prepared.append(name)
        yield

    def services(self) -> Sequence[ServiceSnapshot]:
        return self.service_list

    def service_names(self) -> list[str]:
        return [each.name for each in self.service_list]

    def service(self, name: str) -> ServiceSnapshot | None:
        return next((s for s in self.service_list if s.name == name), None)

    def bgp(self) -> BGPSnapshot:
        return self.bgp_snapshot

    def ipvs(self) -> IPVSSnapshot:
        return self.ipvs_snapshot

    def missing(self, name: str) -> MissingSnapshot | None:
        keys = {key for key, called in self.ipvs_snapshot.names if called == name}
        return next((m for m in self.ipvs_snapshot.missing if m.service in keys), None)

    def overrides(self) -> tuple[Override, ...]:
        return self.override_list

    async def refresh(self) -> None:
        self.refreshed += 1

    def daemon(self) -> DaemonSnapshot:
        return self.daemon_snapshot

    def config(self) -> ConfigSnapshot:
        return self.config_snapshot

    def config_text(self) -> str:
        return "[global]\nbgp-password = ***\n"


def ledger() -> Ledger:
    """An empty one, on a clock of its own."""
    clock = Clock()
    return Ledger(clock, lambda: NOON + clock.seconds(), TimeSlices(clock), Logger("history"))


def decision_inputs(verdict: str, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A decision as the ledger has it."""
    return {
        "verdict": verdict,
        "cause": "Ping reported down: silent",
        "configured": 4,
        "up": 3,
        "pooled": 3,
        "required": "2",
        "threshold": "1/2",
        "status": "enabled/down/not pooled",
        "weight": 10,
        "before": before,
    }


def ipvs() -> IPVSSnapshot:
    """A manager that has nothing to complain of."""
    return IPVSSnapshot(
        in_sync=True,
        dry_run=False,
        services=1,
        destinations=2,
        changes_total=3,
        errors_total=0,
        last_error=None,
    )


def bgp(*peers: tuple[str, bool], local_asn: int = 64600) -> BGPSnapshot:
    """A speaker with these peers, each (address, established)."""
    return BGPSnapshot(
        enabled=True,
        local_asn=local_asn,
        peers=tuple(peer(address, "Established" if up else "Active") for address, up in peers),
    )


def peer(address: str, state: str) -> PeerSnapshot:
    """A peer with the connection that we open to it."""
    connection = BGPConnectionSnapshot(state, "active", "", address)
    return PeerSnapshot(address, state, state == "Established", connections=(connection,))


def monitor(
    name: str = "IdleConnection",
    up: bool | None = True,
    reason: str = "",
    samples: tuple[MetricSample, ...] = (),
) -> MonitorSnapshot:
    """A monitor that has spoken once, or (`up` None) never."""
    if up is None:
        return MonitorSnapshot(name, None, None, None, samples=samples)
    return MonitorSnapshot(
        name,
        up,
        NOON,
        CheckResult(up, reason, 0.25, NOON),
        up_transitions=int(up),
        down_transitions=int(not up),
        up_results=int(up),
        down_results=int(not up),
        samples=samples,
    )


def server(
    host: str,
    *,
    enabled: bool = True,
    up: bool = True,
    partially_up: bool = False,
    pooled: bool | None = None,
    weight: int = 10,
    monitors: tuple[MonitorSnapshot, ...] = (),
    decision: Decision | None = None,
) -> ServerSnapshot:
    """A real server; unless told otherwise it is pooled if it is enabled and up."""
    return ServerSnapshot(
        host=host,
        address=ip_address("192.0.2.10"),
        weight=weight,
        enabled=enabled,
        ready=True,
        up=up,
        partially_up=partially_up,
        pooled=enabled and up if pooled is None else pooled,
        monitors=monitors,
        decision=decision,
    )


def service(
    name: str,
    servers: Sequence[ServerSnapshot] = (),
    *,
    threshold: str = "1/2",
    address: str = "198.51.100.1",
    port: int = 443,
    source: SourceSnapshot | None = None,
) -> ServiceSnapshot:
    """An LVS service with these servers."""
    return ServiceSnapshot(
        name=name,
        protocol=L4Protocol.TCP,
        address=ip_address(address),
        port=port,
        scheduler="wrr",
        depool_threshold=Fraction(threshold),
        can_depool=True,
        could_not_depool_total=0,
        source=source or SourceSnapshot("file:///etc/pybal/" + name, False, NOON, None),
        servers=tuple(servers),
    )


def held(cause: str) -> Decision:
    """The decision to keep a server pooled though it is down."""
    return Decision(
        Verdict.HELD, cause, NOON, configured=4, up=2, pooled=3, required=Fraction("2.64")
    )


def large_view() -> FakeView:
    """The largest real shape: 116 services, 11,095 servers, 11,538 monitors."""
    sizes = [240] * 44 + [7] * 71 + [38]
    extra_monitors = 11_538 - sum(sizes)
    services = []
    for number, size in enumerate(sizes):
        idle = max(0, min(size, extra_monitors))
        extra_monitors -= idle
        servers = [_busy_server(n, with_idle=n < idle) for n in range(size)]
        services.append(service(f"service-{number}_443", servers))
    return FakeView(service_list=services, bgp_snapshot=bgp(("192.0.2.1", True)))


def _busy_server(number: int, *, with_idle: bool) -> ServerSnapshot:
    duration = MetricSample(
        "pybal_monitor_proxyfetch_request_duration_seconds",
        (("result", "successful"), ("url", "http://en.example.org/wiki/Special:BlankPage")),
        0.0125,
    )
    lost = MetricSample(
        "pybal_monitor_idleconnection_connections_lost_total", (("reason", "ConnectionLost"),), 1
    )
    monitors = [monitor("ProxyFetch", samples=(duration,))]
    if with_idle:
        monitors.append(monitor("IdleConnection", samples=(lost,)))
    return server(f"host{number}.example.org", monitors=tuple(monitors))


def pending_alerts(situation: Situation) -> Iterator[PendingAlert]:
    """All alerts that there may be in a situation, as AlertWatch puts them together."""
    yield from general_alerts(situation)
    for each in situation.services:
        yield from alerts_of(each)


def alerts_of(service: ServiceSnapshot) -> tuple[PendingAlert, ...]:
    """Those of one service."""
    return in_one_go(service_alerts(service))
