"""Self-health: stall detection, local faults, isolation and recoveries, put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from random import Random
from typing import Any, Protocol

from twisted.logger import Logger

from pybal.config.settings import IsolationSettings
from pybal.health.heartbeat import Heartbeat
from pybal.health.isolation import FEWEST_HOSTS, Phase
from pybal.health.isolation_guard import IsolationGuard, IsolationPorts, ReportDelivery
from pybal.health.local_faults import LocalFaults
from pybal.health.probe_round import ProbeTarget
from pybal.health.recoveries import Recoveries
from pybal.health.stalls import StallDetector
from pybal.model import HealthSnapshot
from pybal.net.port import Network
from pybal.runtime.turn_clock import lately

_TRIES = 10
"""So many draws are made for each target of a round of probes: many meet servers that are down, or
the same server again."""

_COUNT_EVERY_S = 10.0
"""The hosts are counted again after this time: there may be thousands."""


class ProbedService(Protocol):
    """The part of an LVS service that is needed to probe its servers."""

    @property
    def hosts(self) -> Iterable[str]:
        """Of all its servers."""

    def probe_target(self, source: Random) -> ProbeTarget | None:
        """One of its servers, at random; None if none can be probed."""


class DirectorHealth:
    """Owns the heartbeat and the guard from start() to stop().

    Monitors report to `reports`; what counts goes on to `router`. With `isolation` None every
    report counts. `services` are those that run, a live view; `together`: see
    IsolationPorts.
    """

    def __init__(
        self,
        *,
        reactor: Any,
        now: Callable[[], float],
        random: Random,
        network: Network,
        isolation: IsolationSettings | None,
        services: Mapping[str, ProbedService],
        router: ReportDelivery,
        log: Logger,
        phase_changed: Callable[[Phase, int], None],
        time_lost: Callable[[float], None],
        together: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.stall_detector = StallDetector(reactor.seconds, now, lately(reactor))
        self.recoveries = Recoveries(reactor.seconds)
        self.faults = LocalFaults(reactor.seconds, log)
        self._heartbeat = Heartbeat(reactor, self.stall_detector, log, time_lost)
        self._random = random
        self._services = services
        self._lately = lately(reactor)
        self._delayed_calls = reactor.getDelayedCalls
        self._counted_at_s = -_COUNT_EVERY_S
        self._counted = 0
        ports = IsolationPorts(
            clock=reactor,
            router=router,
            now=now,
            network=network,
            stall_meter=self.stall_detector,
            probe_targets=self._probe_targets,
            hosts=self._hosts,
            recheck_all=self.recoveries.recheck_all,
            recheck=self.recoveries.recheck,
            phase_changed=phase_changed,
            together=together,
        )
        self.reports = IsolationGuard(None, ports, log)
        self.reports.reconfigure(isolation)

    def start(self) -> None:
        """Start the heartbeat."""
        self._heartbeat.start()

    def stand_still(self, search: Callable[[], None]) -> None:
        """See Heartbeat."""
        self._heartbeat.stand_still(search)

    def reconfigure(self, isolation: IsolationSettings | None) -> None:
        """Other settings of isolation; None: it is off."""
        self.reports.reconfigure(isolation)

    def stop(self) -> None:
        """The guard delivers no report after this. Idempotent."""
        self._heartbeat.stop()
        self.reports.stop()

    def snapshot(self) -> HealthSnapshot:
        """All of it as it stands."""
        stall_detector = self.stall_detector
        return HealthSnapshot(
            gaps=stall_detector.gaps,
            longest_stall_s=stall_detector.longest_stall_s,
            stalls=tuple(stall_detector.stalls),
            stalls_sum_s=stall_detector.stalls_sum_s,
            local_fault=self.faults.current(),
            local_faults=tuple(self.faults.counts.items()),
            expedited_total=self.recoveries.expedited_total,
            delayed_calls=len(self._delayed_calls()),
            isolation=self.reports.snapshot(),
        )

    def _probe_targets(self, avoid: set[str], most: int) -> Sequence[ProbeTarget]:
        found = self._drawn(avoid, most)
        if len(found) < FEWEST_HOSTS:
            found |= self._drawn(set(), most)
        return list(found.values())[:most]

    def _drawn(self, avoid: set[str], most: int) -> dict[str, ProbeTarget]:
        """By host, each once."""
        services = tuple(self._services.values())
        found: dict[str, ProbeTarget] = {}
        for _ in range(most * _TRIES if services else 0):
            target = self._random.choice(services).probe_target(self._random)
            if target is not None and target.host not in avoid:
                found[target.host] = target
                if len(found) == most:
                    break
        return found

    def _hosts(self) -> int:
        now_s = self._lately()
        if now_s - self._counted_at_s >= _COUNT_EVERY_S:
            self._counted_at_s = now_s
            self._counted = len(
                {host for service in self._services.values() for host in service.hosts}
            )
        return self._counted
