"""Statistics are read in small pieces, and only when someone asks."""

from __future__ import annotations

import errno

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from pybal.errors import KernelError
from pybal.ipvs.model import ServiceEntry, ServiceKey
from pybal.ipvs.slices import Slices
from pybal.ipvs.snapshot import ServiceStatistics
from pybal.ipvs.statistics import MAX_AGE_S, SERVERS_READ_PER_TURN, StatisticsReader
from tests.fakes.kernel import FakeKernel
from tests.ipvs.clock import TurningClock
from tests.ipvs.examples import DNS, WEB, WEB6, pool, server


class Bench:
    """A reader of these services; `fired` counts who was told."""

    def __init__(self, *standing: ServiceEntry) -> None:
        self.clock = TurningClock()
        self.reads: list[ServiceKey] = []
        bench = self

        class Counting(FakeKernel):
            def counting(self, key: ServiceKey) -> Slices[ServiceStatistics | None]:
                bench.reads.append(key)
                if self.broken is not None:
                    raise self.broken
                return super().counting(key)

        self.kernel = Counting({each.service.key: each for each in standing})
        keys = [each.service.key for each in standing]
        self.reader = StatisticsReader(
            self.clock, self.kernel, lambda: 1000 + self.clock.seconds(), lambda: keys
        )
        self.fired = 0

    def refresh(self) -> Deferred[None]:
        asked = self.reader.refresh()
        asked.addCallback(self._count)
        return asked

    def _count(self, _: None) -> None:
        self.fired += 1

    def turn(self, count: int = 1) -> None:
        self.clock.turn(count)


def test_nothing_is_read_before_someone_asks() -> None:
    bench = Bench(pool(WEB, 1))
    bench.turn(5)
    assert bench.reads == []
    assert bench.reader.read_at is None


def test_who_asks_gets_every_service_and_its_servers() -> None:
    bench = Bench(pool(WEB, 1, 2), pool(DNS))
    bench.kernel.count(WEB, server(2), 3, 4)
    bench.refresh()
    bench.turn()
    assert bench.fired == 1
    web, dns = bench.reader.latest
    assert (web.service, dns.service, dns.destinations) == (str(WEB), str(DNS), ())
    assert [(each.active, each.inactive) for each in web.destinations] == [(0, 0), (3, 4)]


def test_a_large_table_is_read_over_many_turns_and_shown_whole() -> None:
    large = pool(WEB6, *range(1, SERVERS_READ_PER_TURN + 50))
    bench = Bench(large, pool(WEB, 1), pool(DNS, 1))
    bench.refresh()
    bench.turn()
    assert bench.reads == [WEB6]
    assert not bench.reader.latest
    bench.refresh()
    bench.turn()
    assert bench.reads == [WEB6, WEB, DNS]
    assert len(bench.reader.latest) == 3
    assert bench.fired == 2


def test_what_is_young_is_not_read_again() -> None:
    bench = Bench(pool(WEB, 1))
    bench.refresh()
    bench.turn()
    bench.clock.advance(MAX_AGE_S * 0.9)
    bench.refresh()
    assert bench.fired == 2
    assert len(bench.reads) == 1
    bench.clock.advance(MAX_AGE_S * 0.2)
    bench.refresh()
    bench.turn()
    assert len(bench.reads) == 2


def test_a_kernel_that_fails_leaves_no_one_waiting_and_is_asked_again() -> None:
    bench = Bench(pool(WEB, 1), pool(DNS, 1))
    bench.kernel.broken = KernelError("read the statistics", errno.ENOBUFS)
    bench.refresh()
    bench.turn()
    assert bench.fired == 1
    assert not bench.reader.latest
    bench.kernel.broken = None
    bench.clock.advance(MAX_AGE_S)
    bench.refresh()
    bench.turn()
    assert len(bench.reader.latest) == 2


def test_a_mistake_leaves_no_one_waiting_either_and_is_logged() -> None:
    bench = Bench(pool(WEB, 1))
    bench.kernel.broken = ValueError("a mistake")
    with capturedLogs() as logged:
        bench.refresh()
        bench.turn()
    assert (bench.fired, bench.reader.latest) == (1, ())
    assert [event["log_failure"].type for event in logged] == [ValueError]
    bench.kernel.broken = None
    bench.refresh()
    bench.turn()
    assert (bench.fired, len(bench.reader.latest)) == (2, 1)


def test_a_service_that_is_gone_is_left_out() -> None:
    bench = Bench(pool(WEB, 1))
    bench.reader = StatisticsReader(bench.clock, bench.kernel, lambda: 0.0, lambda: [DNS, WEB])
    bench.refresh()
    bench.turn()
    assert [each.service for each in bench.reader.latest] == [str(WEB)]


def test_a_stop_lets_go_of_who_waits() -> None:
    bench = Bench(pool(WEB, 1))
    bench.refresh()
    bench.reader.stop()
    bench.reader.stop()
    assert bench.fired == 1
    assert bench.clock.getDelayedCalls() == []
