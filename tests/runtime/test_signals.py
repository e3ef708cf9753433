"""Signals: in order the first time, at once the second; and none kills by surprise."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from pybal.runtime.signals import SignalHandling
from tests.fakes.log import FakeLog


class FakeReactor:
    """Calls at once what the real one would call later; `stop` begins the shutdown."""

    def __init__(self) -> None:
        self.before_shutdown: Callable[[], Deferred[None]] | None = None
        self.stops = 0

    def addSystemEventTrigger(  # noqa: N802
        self, phase: str, event: str, call: Callable[[], Deferred[None]]
    ) -> None:
        assert (phase, event) == ("before", "shutdown")
        self.before_shutdown = call

    def callWhenRunning(self, call: Callable[..., None], *arguments: object) -> None:
        call(*arguments)

    def callFromThread(self, call: Callable[[], None]) -> None:
        call()

    def stop(self) -> None:
        self.stops += 1
        assert self.stops == 1, "the real one raises ReactorNotRunning"
        assert self.before_shutdown is not None
        self.before_shutdown()


class FakeDaemon:
    """Waits for routers, then does the rest."""

    def __init__(self) -> None:
        self.routers: Deferred[None] = Deferred()
        self.told: list[str] = []
        self.hides_cancelling = True

    def reload(self) -> None:
        self.told.append("reload")

    async def stop(self, *, for_restart: bool = False) -> None:
        self.told.append("restart" if for_restart else "stop")
        with suppress(*(CancelledError,) * self.hides_cancelling):
            await self.routers
        self.told.append("stopped")


class Bench:
    def __init__(self, *, becomes_the_next: bool = False) -> None:
        self.daemon = FakeDaemon()
        self.handlers: dict[int, Any] = {}
        self.log = FakeLog()
        self.asked: list[Deferred[tuple[str, ...]]] = []
        self.ends = 0
        self.signals = SignalHandling(
            FakeReactor(),
            self.daemon,
            self.log.logger("pybal"),
            self.handlers.__setitem__,
            self._ask if becomes_the_next else None,
            self._ended,
        )
        self.signals.arrange()

    def _ended(self) -> None:
        self.ends += 1

    def _ask(self) -> Deferred[tuple[str, ...]]:
        self.asked.append(Deferred())
        return self.asked[-1]

    def send(self, number: int) -> None:
        self.handlers[number](number, None)


def test_what_ends_the_process_comes_after_the_stop_in_order_or_not() -> None:
    for fails in (False, True):
        bench = Bench()
        bench.send(signal.SIGTERM)
        assert bench.ends == 0
        if fails:
            bench.daemon.routers.errback(ValueError("a mistake"))
        else:
            bench.daemon.routers.callback(None)
        assert bench.ends == 1
        assert any("Could not stop in order" in line for line in bench.log.lines) == fails


def test_a_second_one_that_ends_what_does_not_end_its_waits_itself_is_no_mistake() -> None:
    bench = Bench()
    bench.daemon.hides_cancelling = False
    bench.send(signal.SIGTERM)
    bench.send(signal.SIGTERM)
    assert bench.ends == 1
    assert bench.daemon.told == ["stop"]
    assert not any("Could not stop in order" in line for line in bench.log.lines)


def test_each_of_term_and_int_stops_in_order() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        bench = Bench()
        bench.send(number)
        assert bench.daemon.told == ["stop"]
        bench.daemon.routers.callback(None)
        assert bench.daemon.told == ["stop", "stopped"]


def test_the_second_signal_does_not_wait_and_the_third_does_nothing() -> None:
    bench = Bench()
    for _ in range(3):
        bench.send(signal.SIGTERM)
    assert bench.daemon.told == ["stop", "stopped"]


def test_usr2_stops_for_a_restart_but_does_not_turn_a_stop_into_one() -> None:
    bench = Bench()
    bench.send(signal.SIGUSR2)
    assert bench.daemon.told == ["restart"]
    bench = Bench()
    bench.send(signal.SIGTERM)
    bench.send(signal.SIGUSR2)
    assert bench.daemon.told == ["stop", "stopped"]


def test_usr2_without_a_manager_asks_the_next_one_first_and_once() -> None:
    bench = Bench(becomes_the_next=True)
    bench.send(signal.SIGUSR2)
    bench.send(signal.SIGUSR2)
    assert bench.daemon.told == []
    (asked,) = bench.asked
    asked.callback(())
    assert bench.daemon.told == ["restart"]
    assert bench.signals.for_restart and bench.signals.left_to_the_next == ()
    bench.send(signal.SIGUSR2)
    assert bench.daemon.told == ["restart", "stopped"]
    assert bench.signals.for_restart and bench.signals.left_to_the_next == ()


def test_a_next_one_that_could_not_start_is_not_started_and_may_be_asked_again() -> None:
    bench = Bench(becomes_the_next=True)
    bench.send(signal.SIGUSR2)
    bench.asked[0].callback(("/etc/pybal/pybal.conf:3: wrong",))
    assert bench.daemon.told == []
    assert bench.log.lines[-2:] == [
        "[pybal] ERROR: /etc/pybal/pybal.conf:3: wrong",
        "[pybal] CRITICAL: No restart, as the next one could not start (see above)",
    ]
    bench.send(signal.SIGUSR2)
    bench.asked[1].errback(OSError("no thread"))
    assert bench.daemon.told == [] and not bench.signals.for_restart
    bench.send(signal.SIGUSR2)
    bench.asked[2].callback(())
    assert bench.daemon.told == ["restart"]


def test_an_end_goes_before_a_restart_that_is_only_asked_for() -> None:
    bench = Bench(becomes_the_next=True)
    bench.send(signal.SIGUSR2)
    bench.send(signal.SIGTERM)
    bench.asked[0].callback(())
    assert bench.daemon.told == ["stop"]
    assert not bench.signals.for_restart


def test_an_end_during_a_restart_is_left_to_the_next_one() -> None:
    bench = Bench(becomes_the_next=True)
    bench.send(signal.SIGUSR2)
    bench.asked[0].callback(())
    bench.send(signal.SIGTERM)
    assert bench.daemon.told == ["restart"], "all is left to it as it would be without"
    bench.send(signal.SIGTERM)
    assert bench.daemon.told == ["restart", "stopped"]
    assert bench.signals.for_restart and bench.signals.left_to_the_next == (signal.SIGTERM,)


def test_hup_has_the_configuration_read_again_unless_the_end_has_begun() -> None:
    bench = Bench()
    bench.send(signal.SIGHUP)
    assert bench.daemon.told == ["reload"]
    bench.send(signal.SIGTERM)
    bench.send(signal.SIGHUP)
    assert bench.daemon.told == ["reload", "stop"]


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGUSR1,
        signal.SIGALRM,
        signal.SIGPROF,
        signal.SIGSTKFLT,
        signal.SIGXCPU,
        signal.SIGRTMIN,
        signal.SIGRTMAX,
    ],
)
def test_what_would_kill_is_a_line_in_the_log_and_nothing_else(number: int) -> None:
    bench = Bench()
    bench.send(number)
    assert bench.daemon.told == []
    assert len(bench.log.lines) == 1
