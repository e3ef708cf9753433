"""A monitor that loops, whose checks the test ends."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from pybal.config.settings import MonitorSettings
from pybal.monitors.looping import CheckOutcome, LoopingMonitor
from tests.fakes.environment import MonitorBench

INTERVAL_S = 10.0


class ProbeSettings(MonitorSettings):
    monitor = "Probe"


class Probe(LoopingMonitor):
    """A check that the test ends."""

    def __init__(self, bench: MonitorBench, rise: int = 1, fall: int = 1) -> None:
        settings = ProbeSettings(rise=rise, fall=fall, interval_s=INTERVAL_S)
        super().__init__(settings, bench.target, bench.environment, bench.reports)
        self.began: list[float] = []
        self.answer: Deferred[CheckOutcome | None] = Deferred()

    async def _check(self) -> CheckOutcome | None:
        self.began.append(self._reactor.seconds())
        self.answer = Deferred()
        return await self.answer


def running_probe(bench: MonitorBench) -> Probe:
    """A probe whose second check, the first of its beat, has just begun."""
    probe = Probe(bench)
    probe.start()
    bench.clock.advance(0)
    probe.answer.callback(None)
    while len(probe.began) < 2:
        bench.clock.advance(bench.next_call_at - bench.clock.seconds())
    probe.began.pop(0)
    return probe
