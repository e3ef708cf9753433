"""A director, its servers and the network between them, in simulated time: who is pooled when.

Each host is checked every INTERVAL_S; a check of a silent host fails after TIMEOUT_S, of one that
refuses at once. The isolation guard and the pooling policy are the real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from heapq import heappop, heappush
from ipaddress import ip_address
from itertools import count
from random import Random
from typing import cast

from twisted.internet.task import Clock
from twisted.logger import Logger

from pybal.config.settings import IsolationSettings
from pybal.health.isolation_guard import IsolationGuard, IsolationPorts
from pybal.health.probe_round import ProbeTarget
from pybal.model import CheckResult, HealthReport, IPAddress, ServerSpec
from pybal.net.port import Keepalive, Network, TCPEvents
from pybal.pool.events import Candidate, ListChanged, MonitorReported, ReportRetracted
from pybal.pool.policy import step
from pybal.pool.pool_state import PoolState
from tests.fakes.environment import FakeAttention

INTERVAL_S, TIMEOUT_S, STEP_S = 10.0, 5.0, 0.1
MONITOR = "ProxyFetch"


@dataclass(frozen=True)
class Scene:
    """`hosts` in so many `networks`; of them `silent` stop answering at time 0 (or refuse), or the
    director itself is cut off for so many seconds."""

    hosts: int
    silent: int = 0
    networks: int = 1
    threshold: Fraction = Fraction(1, 2)
    refuses: bool = False
    cut_off_s: float = 0.0
    flaps_every_s: float = 0.0
    sent_again_s: tuple[float, ...] = ()
    """So long after what was lost it is sent again, as TCP does after 1 and 3 s. Without it a
    packet that is lost fails its check, which is harder than the world is."""
    seed: int = 1


@dataclass(frozen=True)
class Outcome:
    """`dead_out_s`: when the last of the dead that may go was out; None: they never were.
    `healthy_out_s`: seconds in which some healthy server was out."""

    dead_out_s: float | None
    healthy_out_s: float


class Simulation:
    """One scene. `settings` None: without the rule of isolation."""

    def __init__(self, scene: Scene, settings: IsolationSettings | None) -> None:
        self.scene, self.clock = scene, Clock()
        self.to_come: list[tuple[float, int, Callable[[], object]]] = []
        """What the world does, by its time. The clock, which sorts all it has again and again, is
        for the guard."""
        self.number = count()
        self.random = Random(scene.seed)
        self.names = [f"h{n}" for n in range(scene.hosts)]
        self.dead = set(self.random.sample(self.names, scene.silent))
        self.begun = False
        self.said: dict[str, bool] = {}
        self.before: dict[str, tuple[bool | None, bool]] = {}
        self.state = PoolState(scene.threshold, (MONITOR,))
        candidates = tuple(Candidate(ServerSpec(name), ready=True) for name in self.names)
        self.state, _ = step(self.state, ListChanged(candidates), 0.0)
        ports = IsolationPorts(
            clock=self.clock,
            router=self,
            now=self.clock.seconds,
            network=cast(Network, self),
            stall_meter=FakeAttention(),
            probe_targets=self._targets,
            hosts=lambda: scene.hosts,
            recheck_all=self._recheck,
            recheck=self._recheck_hosts,
        )
        self.guard = IsolationGuard(None, ports, Logger())
        self.guard.reconfigure(settings)
        for number, name in enumerate(self.names):
            self._later(INTERVAL_S * number / scene.hosts, partial(self._check, name))

    # -- the world ------------------------------------------------------------------------

    def reaches(self, name: str) -> bool:
        """Whether a packet and its answer get through now."""
        if not self.begun:
            return True
        since_s = self.clock.seconds() - self.at_s
        if since_s < self.scene.cut_off_s:
            flaps = self.scene.flaps_every_s
            # Time goes in steps: none of them is to fall just where the link changes.
            return bool(flaps) and int((since_s + STEP_S / 2) / flaps) % 2 == 1
        return name not in self.dead or self.scene.refuses

    def address(self, name: str) -> IPAddress:
        number = int(name[1:])
        return ip_address(f"10.0.{number % self.scene.networks}.{number + 1}")

    def connect_tcp(
        self,
        address: IPAddress,
        port: int,
        events: TCPEvents,
        *,
        source: IPAddress | None = None,
        keepalive: Keepalive | None = None,
    ) -> _Channel:
        name = f"h{int(str(address).rsplit('.', 1)[1]) - 1}"
        channel = _Channel()
        if self.reaches(name):
            self._later(0.001, partial(channel.connect, events))
        return channel

    def _targets(self, avoid: set[str], most: int) -> Sequence[ProbeTarget]:
        up = [n for n in self.names if self.state.members[n].up]
        found = [n for n in up if n not in avoid]
        found = found if len(found) >= 3 else up
        chosen = self.random.sample(found, min(most, len(found)))
        return [ProbeTarget(name, self.address(name), 80) for name in chosen]

    def _later(self, delay_s: float, happens: Callable[[], object]) -> None:
        heappush(self.to_come, (self.clock.seconds() + delay_s, next(self.number), happens))

    def _go_on(self) -> None:
        """A step of time."""
        self.clock.advance(STEP_S)
        while self.to_come[0][0] <= self.clock.seconds():
            heappop(self.to_come)[2]()

    # -- checks ---------------------------------------------------------------------------

    def _check(self, name: str, *, again: bool = True) -> None:
        self._send(name, self.clock.seconds(), self.scene.sent_again_s)
        if again:
            self._later(INTERVAL_S, partial(self._check, name))

    def _send(self, name: str, began_s: float, again_s: tuple[float, ...]) -> None:
        took_s = self.clock.seconds() - began_s
        if self.reaches(name):
            fails = self.begun and name in self.dead
            self._later(0.01, partial(self._conclude, name, not fails, took_s + 0.01))
        elif again_s:
            self._later(again_s[0] - took_s, partial(self._send, name, began_s, again_s[1:]))
        else:
            self._later(TIMEOUT_S - took_s, partial(self._conclude, name, False, TIMEOUT_S))

    def _conclude(self, name: str, up: bool, duration_s: float) -> None:
        if self.said.get(name) is not up:
            self.said[name] = up
            result = CheckResult(up, "", duration_s, self.clock.seconds())
            self.guard.receive(HealthReport("svc", name, MONITOR, result, 1))

    def _recheck(self, within_s: float) -> None:
        for name, up in self.said.items():
            if not up:
                delay_s = self.random.uniform(0, within_s)
                self._later(delay_s, partial(self._check, name, again=False))

    def _recheck_hosts(self, hosts: Collection[str], within_s: float) -> None:
        for name in sorted(hosts):
            delay_s = self.random.uniform(0, within_s)
            self._later(delay_s, partial(self._check, name, again=False))

    # -- the policy -----------------------------------------------------------------------

    def deliver(self, report: HealthReport) -> None:
        member = self.state.members[report.host]
        self.before[report.host] = member.results[MONITOR], member.up
        self._step(MonitorReported(report.host, MONITOR, report.result.up, ""))

    def retract(self, report: HealthReport) -> None:
        said, up = self.before[report.host]
        self._step(ReportRetracted(report.host, MONITOR, said, up))

    def _step(self, event: MonitorReported | ReportRetracted) -> None:
        self.state, _ = step(self.state, event, self.clock.seconds())

    def run(self, for_s: float = 60.0) -> Outcome:
        """All is well for a while; then what the scene says happens."""
        while self.clock.seconds() < 3 * INTERVAL_S:
            self._go_on()
        self.begun, self.at_s = True, self.clock.seconds()
        may_go, healthy_out_s = self._may_go(), 0.0
        dead_out_s: float | None = None
        state: PoolState | None = None
        while self.clock.seconds() - self.at_s < for_s:
            self._go_on()
            if self.state is not state:
                state = self.state
                out = {n for n, m in state.members.items() if not m.pooled}
            healthy_out_s += STEP_S * bool(out - self.dead)
            if len(out & self.dead) < may_go:
                dead_out_s = None
            elif dead_out_s is None:
                dead_out_s = self.clock.seconds() - self.at_s
        return Outcome(dead_out_s, round(healthy_out_s, 1))

    def _may_go(self) -> int:
        """How many of the dead the threshold lets go: one more while enough are up."""
        hosts, required = self.scene.hosts, self.scene.hosts * self.scene.threshold
        gone = 0
        while gone < len(self.dead) and hosts - gone - 1 >= required:
            gone += 1
        return gone


class _Channel:
    def __init__(self) -> None:
        self.open = True

    def connect(self, events: TCPEvents) -> None:
        if self.open:
            events.connected()

    def close(self) -> None:
        self.open = False
