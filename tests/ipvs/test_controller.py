"""How the controller stops."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from pybal.ipvs.controller import IPVSController, IPVSPorts
from pybal.ipvs.kernel import OperationResult
from pybal.ipvs.model import ServiceEntry, Table
from pybal.ipvs.operations import Operation
from pybal.ipvs.settings import IPVSSettings
from tests.fakes.deferreds import result_of
from tests.fakes.kernel import FakeKernel
from tests.ipvs.clock import TURN_S, TurningClock
from tests.ipvs.examples import DNS, WEB, pool

STOP_S = 1.0


class SlowKernel(FakeKernel):
    """Each operation takes some time."""

    def __init__(self, table: Table, passes: Callable[[float], None], operation_s: float) -> None:
        super().__init__(table)
        self._passes = passes
        self._operation_s = operation_s

    def apply(self, operations: Sequence[Operation]) -> tuple[OperationResult, ...]:
        self._passes(len(operations) * self._operation_s)
        return super().apply(operations)


class StopTests(SynchronousTestCase):
    """A stop applies what it can in a short time."""

    def setUp(self) -> None:
        self.clock = TurningClock()
        self.lines: list[str] = []
        self.longest_s = 0.0
        observer = cast(ILogObserver, self._observe)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def _observe(self, event: LogEvent) -> None:
        self.lines.append(formatEvent(event))

    def passes(self, seconds: float) -> None:
        """Within a call: no timer fires."""
        self.clock.rightNow += seconds

    def start(self, *standing: ServiceEntry, operation_s: float) -> None:
        table = {entry.service.key: entry for entry in standing}
        self.kernel = SlowKernel(table, self.passes, operation_s)
        ports = IPVSPorts(
            clock=self.clock,
            kernel=self.kernel,
            now=self.clock.seconds,
            in_thread=lambda _: Deferred(),
        )
        self.controller = IPVSController(IPVSSettings(), ports, dry_run=False)
        self.controller.start()
        for entry in standing:
            self.controller.adopted(entry.service.key)

    def stop(self) -> float:
        begun_at = self.clock.seconds()
        settling = Deferred.fromCoroutine(self.controller.settle(STOP_S))
        for _ in range(10_000):
            if settling.called:
                break
            before_s = self.clock.seconds()
            self.clock.advance(TURN_S)
            self.longest_s = max(self.longest_s, self.clock.seconds() - before_s)
        result_of(settling)
        self.controller.stop()
        assert not self.kernel.is_open
        assert self.clock.getDelayedCalls() == []
        return self.clock.seconds() - begun_at

    @pytest.mark.slow
    def test_a_stop_amid_65000_commands_ends_in_time_and_says_what_is_left(self) -> None:
        self.start(operation_s=0.0005)
        for port in range(1000, 1065):
            self.controller.set_desired(
                pool(replace(WEB, port=port), *range(1, 250), *range(300, 550), *range(600, 1100)),
                None,
            )
        assert STOP_S <= self.stop() < STOP_S + 0.1
        assert self.longest_s < 0.1  # Everybody else has turns, too.
        [line] = [line for line in self.lines if "Stopped amid changes" in line]
        assert re.fullmatch(
            "Stopped amid changes: not as it should be, and left so: 6. services", line
        )
        assert 0 < sum(map(len, self.kernel.applied)) < 5000

    def test_a_depool_comes_before_the_loads_even_then(self) -> None:
        self.start(pool(DNS, 1, 2), operation_s=0.0005)
        for port in range(1000, 1020):
            self.controller.set_desired(pool(replace(WEB, port=port), *range(1, 251)), None)
        self.controller.set_desired(pool(DNS, 2), None)
        self.stop()
        assert self.kernel.read(DNS) == pool(DNS, 2)

    def test_who_does_not_wait_any_more_stops_at_once(self) -> None:
        self.start(operation_s=0.0005)
        self.controller.set_desired(pool(WEB, *range(1, 250)), None)
        settling = Deferred.fromCoroutine(self.controller.settle(STOP_S))
        settling.cancel()
        result_of(settling)
        self.controller.stop()
        assert any(line.endswith("and left so: 1 service") for line in self.lines)

    def test_a_stop_with_little_to_do_does_all_and_says_nothing(self) -> None:
        self.start(operation_s=0.0005)
        self.controller.set_desired(pool(WEB, *range(1, 251)), None)
        assert self.stop() < STOP_S
        assert self.kernel.read(WEB) == pool(WEB, *range(1, 251))
        assert not any("Stopped amid" in line for line in self.lines)
