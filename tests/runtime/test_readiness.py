"""READY when all is there, or after a bound; a status; a watchdog fed by the event loop."""

from __future__ import annotations

from twisted.internet.task import Clock

from pybal.runtime.readiness import READY_WAIT_S, Readiness


class FakeManager:
    def __init__(self, watchdog_s: float = 0.0) -> None:
        self.watchdog_s = watchdog_s
        self.ready_at: list[float] = []
        self.alive_at: list[float] = []
        self.said: list[str] = []
        self.reloads: list[float] = []
        self.clock = Clock()

    def ready(self) -> None:
        self.ready_at.append(self.clock.seconds())

    def reloading(self, monotonic_s: float) -> None:
        self.reloads.append(monotonic_s)

    def status(self, text: str) -> None:
        self.said.append(text)

    def alive(self) -> None:
        self.alive_at.append(self.clock.seconds())


class Bench:
    def __init__(self, *missing: str, watchdog_s: float = 0.0, began_s: float = 0.0) -> None:
        self.missing = list(missing)
        self.manager = FakeManager(watchdog_s)
        self.clock = self.manager.clock
        self.clock.advance(began_s)
        self.readiness = Readiness(
            self.clock, self.manager, lambda: self.missing, lambda: "2 services"
        )
        self.readiness.start()

    def run(self, seconds: float) -> None:
        self.clock.pump([0.1] * round(seconds * 10))


def test_ready_is_said_once_when_nothing_is_missing_any_more() -> None:
    bench = Bench("web_80", "dns_53")
    assert bench.manager.said[-1] == "2 services; waiting for web_80, dns_53"
    bench.run(1)
    assert bench.manager.ready_at == []
    bench.missing.clear()
    bench.run(20)
    assert len(bench.manager.ready_at) == 1
    assert bench.manager.said[-1] == "2 services"


def test_ready_is_said_after_a_bound_with_what_is_missing() -> None:
    bench = Bench("a", "b", "c", "d", "e")
    bench.run(READY_WAIT_S + 1)
    assert len(bench.manager.ready_at) == 1
    assert bench.manager.said[-1] == "2 services; waiting for a, b, c and 2 more"


def test_the_bound_is_a_minute_from_the_start() -> None:
    bench = Bench("a", began_s=1000.0)
    bench.clock.advance(59.0)
    assert bench.manager.ready_at == []
    bench.clock.advance(1.0)
    assert bench.manager.ready_at == [1060.0]


def test_it_is_looked_every_fifth_of_a_second_and_then_every_five_seconds() -> None:
    bench = Bench("a")
    bench.missing.clear()
    bench.clock.advance(0.2)
    assert bench.manager.ready_at == [0.2]
    assert bench.manager.said == ["2 services; waiting for a", "2 services"]
    bench.clock.advance(4.9)
    assert len(bench.manager.said) == 2
    bench.clock.advance(0.1)
    assert len(bench.manager.said) == 3


def test_a_watchdog_of_a_second_is_fed() -> None:
    bench = Bench(watchdog_s=1.0)
    bench.clock.advance(0.25)
    assert bench.manager.alive_at == [0.0, 0.25]


def test_the_watchdog_is_fed_four_times_as_often_as_it_asks() -> None:
    bench = Bench(watchdog_s=20.0)
    bench.run(21)
    assert len(bench.manager.alive_at) == 5
    bench.readiness.stop()
    bench.readiness.stop()
    bench.run(60)
    assert len(bench.manager.alive_at) == 5
    assert not bench.clock.getDelayedCalls()


def test_without_a_watchdog_nothing_is_fed() -> None:
    bench = Bench()
    bench.run(60)
    assert bench.manager.alive_at == []


def test_a_reload_during_the_start_is_no_end_of_the_start() -> None:
    bench = Bench("one")
    bench.readiness.reloading(5.0)
    bench.manager.said.clear()
    bench.readiness.ready()
    assert bench.manager.reloads == bench.manager.ready_at == []
    assert bench.manager.said == ["2 services; waiting for one"]


def test_the_end_of_a_reload_is_told_with_what_came_of_it() -> None:
    bench = Bench()
    bench.readiness.reloading(5.0)
    bench.manager.said.clear()
    bench.readiness.ready()
    assert bench.manager.reloads == [5.0]
    assert bench.manager.said == ["2 services"]
    assert len(bench.manager.ready_at) == 2
