"""The services that run: how they end."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any, cast

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogEvent, Logger, capturedLogs

from pybal.config.settings import ServiceSettings
from pybal.ipvs.model import ServiceKey
from pybal.pool.desired import service_key
from pybal.reload.service_set import ServiceSet, ServiceSetPorts
from pybal.runtime.time_slices import SLICE_S, TimeSlices
from tests.fakes.coordinator import Bench
from tests.fakes.deferreds import result_of
from tests.fakes.turns import Reactor

SETTINGS = Bench(threshold=Fraction(0)).settings


class EndingService:
    """A service of which only the end matters."""

    def __init__(self, name: str, ending: Deferred[None] | Exception) -> None:
        self.name = name
        self.ending = ending
        self.stopped = False

    def stop(self) -> Deferred[None]:
        self.stopped = True
        if isinstance(self.ending, Exception):
            raise self.ending
        return self.ending


def stopped(*services: EndingService, after_s: float = 0.0) -> tuple[bool, list[LogEvent]]:
    """Whether the set has stopped, and what it logged."""
    clock = Clock()
    none: Any = None
    ports = ServiceSetPorts(
        new_service=none, table=none, announcer=none, clock=clock, time_slices=none
    )
    services_set = ServiceSet(ports, Logger(namespace="pybal"))
    services_set.running.update((each.name, cast(Any, each)) for each in services)
    with capturedLogs() as logged:
        ending = Deferred.fromCoroutine(services_set.stop(0.7))
        clock.advance(after_s)
    return ending.called, [event for event in logged if event["log_namespace"] == "pybal"]


def test_all_end_and_nothing_is_said_of_it() -> None:
    services = [EndingService("a", succeed(None)), EndingService("b", succeed(None))]
    assert stopped(*services) == (True, [])
    assert all(each.stopped for each in services)


def test_what_fails_at_the_end_is_logged_and_keeps_no_other_from_ending() -> None:
    services = [
        EndingService("a", OSError("at once")),
        EndingService("b", fail(OSError("later"))),
        EndingService("c", succeed(None)),
    ]
    ended, logged = stopped(*services)
    assert ended
    assert all(each.stopped for each in services)
    assert [(event["what"], str(event["log_failure"].value)) for event in logged] == [
        ("service a", "at once"),
        ("service b", "later"),
    ]


def test_who_has_not_ended_in_time_ends_with_the_process_which_is_no_fault() -> None:
    waiting = EndingService("a", Deferred())
    assert stopped(waiting, after_s=0.6) == (False, [])
    assert stopped(EndingService("a", Deferred()), after_s=0.7) == (True, [])


class SlowService(EndingService):
    """To stop one takes half of a time slice."""

    def __init__(self, settings: ServiceSettings, reactor: Reactor) -> None:
        super().__init__(settings.name, succeed(None))
        self.key = service_key(settings)
        self.settings = settings
        self.reactor = reactor

    def stop(self) -> Deferred[None]:
        if not self.stopped:
            self.reactor.now_s += SLICE_S / 2
        return super().stop()


class Told:
    """The announcer and the table: what they were told of whom, in order."""

    speaks = False

    def __init__(self, services: dict[str, SlowService]) -> None:
        self.services = services
        self.replaced: list[str] = []
        self.withdrawn: list[ServiceKey] = []

    def replace(self, name: str) -> None:
        assert all(each.stopped for each in self.services.values())
        self.replaced.append(name)

    def forget(self, name: str) -> None:
        assert name in self.replaced

    def withdraw(self, key: ServiceKey) -> None:
        self.withdrawn.append(key)


class Leaving:
    """A hundred services of which ninety leave; others may come."""

    def __init__(self, *coming: ServiceSettings) -> None:
        self.reactor = Reactor()
        settings = [replace(SETTINGS, name=f"s{n}", port=n + 1) for n in range(100)]
        services = {each.name: SlowService(each, self.reactor) for each in settings}
        self.leave, self.stay = settings[:90], settings[90:]
        self.leaving = {each.name: services[each.name] for each in self.leave}
        self.told = told = Told(self.leaving)
        none: Any = None
        slices = TimeSlices(self.reactor)
        ports = ServiceSetPorts(
            new_service=none,
            table=cast(Any, told),
            announcer=cast(Any, told),
            clock=self.reactor,
            time_slices=slices,
        )
        self.set = ServiceSet(ports, Logger(namespace="pybal"))
        self.set.running.update(cast(Any, services))
        self.all_had_ended: list[bool] = []
        wanted = (*self.stay, *coming)
        self.done = Deferred.fromCoroutine(self.set.go_over(wanted, self.former_ended))

    def former_ended(self) -> None:
        self.all_had_ended.append(all(each.stopped for each in self.leaving.values()))

    def turn(self) -> None:
        before_s = self.reactor.now_s
        self.reactor.turn()
        assert self.reactor.now_s - before_s <= 2 * SLICE_S


def test_of_many_services_that_leave_some_end_in_each_turn() -> None:
    bench = Leaving()
    assert list(bench.set.running) == [each.name for each in bench.stay]
    while not bench.done.called:
        bench.turn()
    result_of(bench.done)
    assert bench.all_had_ended == [True]
    assert bench.told.replaced == [each.name for each in bench.leave]
    assert bench.told.withdrawn == [service_key(each) for each in bench.leave]
    assert not any(cast(Any, each).stopped for each in bench.set.running.values())


def test_a_stop_ends_those_that_are_about_to_leave_too() -> None:
    bench = Leaving()
    bench.turn()
    assert not all(each.stopped for each in bench.leaving.values())
    Deferred.fromCoroutine(bench.set.stop(0.0))
    assert all(each.stopped for each in bench.leaving.values())


def test_none_comes_that_nobody_would_stop() -> None:
    bench = Leaving(replace(SETTINGS, name="new", port=1000))
    bench.turn()
    Deferred.fromCoroutine(bench.set.stop(0.0))
    while not bench.done.called:
        bench.turn()
    with pytest.raises(CancelledError):
        result_of(bench.done)
