"""A Coordinator's surroundings under the test's hand: names, monitors, clock, publications."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import cast

from twisted.internet.task import Clock

from pybal.config.settings import (
    FileSource,
    ListGuardSettings,
    MonitorSettings,
    ServiceBGP,
    ServiceSettings,
)
from pybal.ipvs.model import Forwarding, ServiceEntry
from pybal.ipvs.options import ServiceOptions
from pybal.kept_change import ListPast
from pybal.model import (
    CheckResult,
    HealthReport,
    IPAddress,
    L4Protocol,
    MonitorSnapshot,
    ServerSpec,
    ServiceSnapshot,
    SourceList,
    SourceSnapshot,
)
from pybal.monitors.base import Monitor, ReportReceiver
from pybal.monitors.idleconnection import IdleConnectionSettings
from pybal.monitors.proxyfetch import ProxyFetchSettings
from pybal.monitors.target import Target
from pybal.override import Action, Override
from pybal.pool.coordinator import Coordinator
from pybal.pool.events import Event, Notice
from pybal.pool.ports import BecauseOf, CoordinatorPorts, PolicyStep
from pybal.pool.withdrawal import Health
from pybal.runtime.slots import Slots
from pybal.runtime.time_slices import TimeSlices

IDLE = IdleConnectionSettings()
BY_DEFAULT = ListGuardSettings()
FETCH = ProxyFetchSettings(urls=("http://example.org/",))


class FakeWatch:
    """One watch; `answer` tells the watcher's client an address, as a resolver would."""

    def __init__(self, on_change: Callable[[IPAddress | None], None]) -> None:
        self.answer = on_change
        self.stopped = False

    def stop(self) -> None:
        self.stopped = True


class FakeNames:
    """Names that answer at once from a table, or, when not in it, when the test says so. To watch
    `broken` is a mistake."""

    def __init__(self, table: dict[str, str]) -> None:
        self.table = table
        self.watches: dict[str, FakeWatch] = {}
        self.last_run: dict[str, str] = {}
        self.broken = ""

    def watch(
        self,
        host: str,
        family: int,
        on_change: Callable[[IPAddress | None], None],
        service: str,
    ) -> FakeWatch:
        if host == self.broken:
            raise ZeroDivisionError("a mistake")
        watch = self.watches[host] = FakeWatch(on_change)
        if host in self.table:
            on_change(ip_address(self.table[host]))
        return watch

    def remembered(self, host: str, family: int) -> IPAddress | None:
        return ip_address(self.last_run[host]) if host in self.last_run else None


class FakeMonitor:
    """A monitor that says what the test makes it say."""

    def __init__(
        self, name: str, target: Target, receiver: ReportReceiver, first: bool | None
    ) -> None:
        self.name = name
        self.target = target
        self.running = False
        self.hurried = False
        self._receiver = receiver
        self._first = first

    def start(self) -> None:
        self.running = True
        if self._first is not None:
            self.say(self._first)

    def stop(self) -> None:
        self.running = False

    def check_soon(self) -> None:
        self.hurried = True

    def say(self, up: bool) -> None:
        assert self.running, "a stopped monitor does not report"
        target, result = self.target, CheckResult(up, "" if up else "no luck", 0.1, 5.0)
        self._receiver.receive(
            HealthReport(target.service, target.host, self.name, result, target.incarnation)
        )

    def snapshot(self) -> MonitorSnapshot:
        return MonitorSnapshot(self.name, up=None, since=None, last=None)


class Bench:
    """A Coordinator on a bench. The `broken` of its `monitors` cannot be made."""

    def __init__(
        self,
        *,
        threshold: Fraction = Fraction(1, 2),
        monitors: tuple[MonitorSettings, ...] = (IDLE,),
        names: dict[str, str] | None = None,
        adopted: ServiceEntry | None = None,
        tunneling: bool = False,
        first_results: dict[str, bool] | None = None,
        withdraw_below: Fraction | None = None,
        broken: tuple[MonitorSettings, ...] = (),
        list_guard: ListGuardSettings = BY_DEFAULT,
        protocol: L4Protocol = L4Protocol.TCP,
        clock: Clock | None = None,
        first_lists: Slots | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self.time_slices = TimeSlices(self.clock)
        self.names = FakeNames(names if names is not None else {h: ADDRESSES[h] for h in "abcd"})
        self.published: list[ServiceEntry] = []
        self.healths: list[Health] = []
        self.steps: list[tuple[Event, tuple[Notice, ...], float]] = []
        self.own_addresses: set[IPAddress] = set()
        self.made: list[FakeMonitor] = []
        self._made_for: dict[tuple[str, str], list[FakeMonitor]] = {}
        self.reports: list[HealthReport] = []
        self.overrides: dict[str, Override] = {}
        self.because: str | None = None
        self.causes: list[str | None] = []
        """Why each of the steps was taken."""
        self.holds_reports = False
        self.first_results = first_results or {}
        self.cannot_make = broken
        self.settings = ServiceSettings(
            name="svc_80",
            protocol=protocol,
            address=ip_address("192.0.2.1"),
            port=80,
            scheduler="wrr",
            one_packet=False,
            ipvs=ServiceOptions(Forwarding.TUNNEL if tunneling else Forwarding.DIRECT),
            source=FileSource(Path("/etc/pybal/svc")),
            depool_threshold=threshold,
            monitors=monitors,
            bgp=ServiceBGP(withdraw_below=withdraw_below),
            list_guard=list_guard,
        )
        ports = CoordinatorPorts(
            clock=self.clock,
            time_slices=self.time_slices,
            first_lists=first_lists or Slots(self.clock, 1),
            now=lambda: 1000.0 + self.clock.seconds(),
            addresses=self.names,
            create_monitor=self._create_monitor,
            table=self,
            is_own_address=lambda address: address in self.own_addresses,
            servers_changed=lambda _, health: self.healths.append(health),
            overrides=lambda _: self.overrides,
            stepped=self._stepped,
            cause=self._cause,
        )
        self.coordinator = Coordinator(self.settings, ports, adopted, self)
        self.in_force_lists: list[tuple[ServerSpec, ...]] = []
        self.past: ListPast | None = None

    def set_desired(self, entry: ServiceEntry, drain_timeout_s: float | None) -> None:
        assert drain_timeout_s is self.settings.drain_timeout_s
        self.published.append(entry)

    def _stepped(self, service: str, step: PolicyStep) -> None:
        assert service == self.settings.name
        self.steps.append((step.event, step.notices, step.at))
        self.causes.append(self.because)

    def _cause(self) -> BecauseOf | None:
        return None if self.because is None else partial(self._because_of, self.because)

    @contextmanager
    def _because_of(self, cause: str) -> Iterator[None]:
        before, self.because = self.because, cause
        yield
        self.because = before

    def _create_monitor(
        self, settings: MonitorSettings, target: Target, receiver: ReportReceiver | None = None
    ) -> Monitor:
        if settings in self.cannot_make:
            raise ZeroDivisionError("a plugin's mistake")
        first = self.first_results.get(target.host)
        monitor = FakeMonitor(settings.monitor, target, receiver or self, first)
        self.made.append(monitor)
        self._made_for.setdefault((target.host, monitor.name), []).append(monitor)
        return cast(Monitor, monitor)

    def receive(self, report: HealthReport) -> None:
        self.reports.append(report)
        if not self.holds_reports:
            self.coordinator.deliver(report)

    def in_force(self, servers: tuple[ServerSpec, ...], past: ListPast) -> None:
        self.in_force_lists.append(servers)
        self.past = past

    def list(
        self, *specs: ServerSpec | str, last_run: Iterable[str] = "", past: ListPast | None = None
    ) -> None:
        servers = tuple(ServerSpec(spec) if isinstance(spec, str) else spec for spec in specs)
        before = tuple(ServerSpec(host) for host in last_run)
        self.coordinator.pool_list(SourceList(servers, before, past))

    def wish(self, action: Action, host: str, *, force: bool = False) -> str:
        """An operator's override, if nothing speaks against it; else what does."""
        since = 1000.0 + self.clock.seconds() + len(self.overrides)
        override = Override("svc_80", host, action, "alice", "why", since, since + 3600, force)
        objection = "" if force else self.coordinator.override_objection(override)
        if not objection:
            self.overrides[host] = override
            self.coordinator.overrides_changed()
        return objection

    def undo(self, host: str) -> None:
        """It is over."""
        del self.overrides[host]
        self.coordinator.overrides_changed()

    def monitor(self, host: str, name: str = "IdleConnection") -> FakeMonitor:
        (found,) = [m for m in self._made_for.get((host, name), ()) if m.running]
        return found

    @property
    def running(self) -> set[str]:
        return {m.target.host for m in self.made if m.running}

    @property
    def destinations(self) -> dict[str, int]:
        """Address -> weight, as last published."""
        entry = self.published[-1]
        return {str(d.key.address): d.weight for d in entry.destinations.values()}

    def snapshot(self) -> ServiceSnapshot:
        return self.coordinator.snapshot(SourceSnapshot("file:///x", False, None, None))

    def statuses(self) -> dict[str, str]:
        return {server.host: server.status for server in self.snapshot().servers}


ADDRESSES = {"a": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.3", "d": "10.0.0.4"}
