"""The services that run: how they end."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogEvent, Logger, capturedLogs

from pybal.reload.service_set import ServiceSet, ServiceSetPorts


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
    ports = ServiceSetPorts(none, none, none, clock, none)
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
    assert [(event["name"], str(event["log_failure"].value)) for event in logged] == [
        ("a", "at once"),
        ("b", "later"),
    ]


def test_who_has_not_ended_in_time_ends_with_the_process_which_is_no_fault() -> None:
    waiting = EndingService("a", Deferred())
    assert stopped(waiting, after_s=0.6) == (False, [])
    assert stopped(EndingService("a", Deferred()), after_s=0.7) == (True, [])
