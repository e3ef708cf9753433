"""What fails while a pool list is put in force is said and tried again; until then all that is in
the pool is checked, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from ipaddress import ip_address
from typing import Any, cast

import pytest
from twisted.internet.task import Clock, deferLater
from twisted.logger import Logger, capturedLogs
from twisted.python.failure import Failure

from pybal.config.settings import ListGuardSettings
from pybal.kept_change import ListPast
from pybal.model import ServerSpec, SourceList
from pybal.override import Action, Override
from pybal.pool import policy_steps
from pybal.pool.list_queue import TRY_AGAIN_MAX_S, TRY_AGAIN_S, ListQueue
from pybal.pool.new_servers import NewServers
from pybal.pool.policy import step
from pybal.pool.server import Server
from pybal.runtime.time_slices import TimeSlices
from tests.fakes.coordinator import Bench, FakeMonitor

NOT_CHANGED = "the pool, or what it is in the kernel, could not be changed"


class FullDisk(Bench):
    """The next list cannot be kept."""

    broken = False

    def in_force(self, servers: tuple[ServerSpec, ...], past: ListPast) -> None:
        if self.broken:
            self.broken = False
            raise ZeroDivisionError("a mistake")
        super().in_force(servers, past)


def test_after_a_fault_who_left_is_checked_no_longer_and_who_came_is() -> None:
    bench = FullDisk()
    bench.list("a", "b")
    bench.monitor("b").say(True)
    bench.broken = True
    with capturedLogs() as logged:
        bench.list("b", "c", "d")
    assert [event["log_format"] for event in logged if "log_failure" in event] == [
        "A pool list could not be applied"
    ]
    assert bench.running == {"b", "c", "d"} == set(bench.statuses())
    assert bench.names.watches["a"].stopped
    bench.monitor("c").say(True)
    bench.list("c", "d")
    assert bench.running == {"c", "d"} == set(bench.statuses())


def test_a_list_that_came_before_a_fault_of_the_one_before_is_put_in_force() -> None:
    bench = FullDisk()
    del bench.names.table["c"]
    bench.list("a", "b")
    bench.list("a", "b", "c")
    bench.list("a", "b", "d")
    bench.broken = True
    with capturedLogs() as logged:
        bench.names.watches["c"].answer(ip_address("10.0.0.3"))
    assert len([event for event in logged if "log_failure" in event]) == 1
    assert list(bench.statuses()) == ["a", "b", "d"]
    assert bench.running == {"a", "b", "d"}
    assert bench.names.watches["c"].stopped


def test_a_list_that_failed_is_said_and_tried_again_more_and_more_rarely() -> None:
    bench = Bench()
    bench.list("a", "b")
    bench.names.broken = "d"
    with capturedLogs() as logged:
        bench.list("b", "c", "d")
        assert bench.snapshot().list_error == "ZeroDivisionError: a mistake"
        assert set(bench.statuses()) == {"a", "b"}
        watch = bench.names.watches["c"]
        assert watch.stopped, "nobody waits for it"
        bench.clock.advance(TRY_AGAIN_S)
        bench.clock.advance(TRY_AGAIN_S)
        assert len([event for event in logged if "log_failure" in event]) == 2
        bench.names.broken = ""
        bench.clock.advance(TRY_AGAIN_S)
    assert bench.snapshot().list_error == ""
    assert bench.running == {"b", "c", "d"} == set(bench.statuses())
    assert not bench.names.watches["c"].stopped
    bench.clock.advance(10 * TRY_AGAIN_MAX_S)
    assert len([event for event in logged if "log_failure" in event]) == 2


def test_a_newer_list_takes_the_place_of_one_that_failed() -> None:
    bench = Bench()
    bench.list("a", "b")
    bench.names.broken = "d"
    with capturedLogs():
        bench.list("b", "c", "d")
    bench.list("a", "c")
    assert (bench.snapshot().list_error, set(bench.statuses())) == ("", {"a", "c"})
    bench.clock.advance(TRY_AGAIN_MAX_S)
    assert set(bench.statuses()) == {"a", "c"}


def test_after_a_first_list_that_failed_the_next_is_held_against_the_last_run_all_the_same() -> (
    None
):
    bench = Bench()
    bench.names.broken = "a"
    with capturedLogs():
        bench.list("a", "b", "c", last_run="abcd")
    bench.names.broken = ""
    bench.list("a")
    assert set(bench.statuses()) == {"a", "b", "c", "d"}, "the floor holds"


def test_what_an_override_could_not_change_is_tried_again() -> None:
    bench = FullDisk()
    bench.list("a", "b")
    bench.broken = True
    bench.overrides["a"] = Override("svc_80", "a", Action.DRAIN, "alice", "why", 0.0, 9e9)
    with capturedLogs():
        failed: list[Failure] = []
        bench.coordinator.overrides_changed().addErrback(failed.append)
        assert failed[0].check(ZeroDivisionError)
    assert bench.snapshot().list_error == "ZeroDivisionError: a mistake"
    bench.clock.advance(TRY_AGAIN_S)
    assert bench.snapshot().list_error == ""


def test_a_stop_forgets_a_list_that_failed() -> None:
    bench = Bench()
    bench.list("a", "b")
    bench.names.broken = "d"
    with capturedLogs():
        bench.list("a", "d")
        bench.coordinator.stop()
        bench.clock.advance(0)
        assert bench.clock.getDelayedCalls() == []


class Faulty:
    """What raises so many times; then it is the `real` one."""

    def __init__(self, real: Callable[..., Any], times: int = 1) -> None:
        self._real = real
        self.times = times

    def __call__(self, *args: Any, **kw: Any) -> Any:
        if self.times:
            self.times -= 1
            raise ZeroDivisionError("a mistake")
        return self._real(*args, **kw)


def test_a_list_that_the_policy_fails_to_take_is_not_in_force_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    bench.list("a", "b", "c")
    monkeypatch.setattr(policy_steps, "step", Faulty(step))
    with capturedLogs():
        bench.list("b", "c", "d")
    assert set(bench.statuses()) == bench.running == {"a", "b", "c"}
    assert bench.snapshot().list_error == NOT_CHANGED
    assert bench.in_force_lists[-1] == tuple(map(ServerSpec, "abc")), "what the next start finds"
    bench.clock.advance(TRY_AGAIN_S)
    assert set(bench.statuses()) == bench.running == {"b", "c", "d"}
    assert bench.snapshot().list_error == ""
    assert bench.names.watches["a"].stopped
    assert bench.in_force_lists[-1] == tuple(map(ServerSpec, "bcd"))


def test_after_a_list_that_the_policy_failed_to_take_another_one_is_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(list_guard=ListGuardSettings(floor=Fraction(0)))
    bench.list("a", "b")
    monkeypatch.setattr(policy_steps, "step", Faulty(step))
    with capturedLogs():
        bench.list("b", "d")
    bench.list("a", "c")
    assert set(bench.coordinator.hosts) == set(bench.statuses()) == bench.running == {"a", "c"}
    assert all(bench.names.watches[host].stopped for host in "bd")
    assert bench.snapshot().list_error == ""


def test_an_entry_that_could_not_be_handed_on_is_said_and_handed_on_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    bench.list("a", "b", "c")
    monkeypatch.setattr(bench, "set_desired", Faulty(bench.set_desired))
    with capturedLogs():
        bench.list("b", "c", "d")
    assert set(bench.destinations) == {"10.0.0.1", "10.0.0.2", "10.0.0.3"}
    assert set(bench.statuses()) == bench.running == {"b", "c", "d"}, "as the policy has it"
    assert bench.snapshot().list_error == NOT_CHANGED
    bench.clock.advance(TRY_AGAIN_S)
    assert set(bench.destinations) == {"10.0.0.2", "10.0.0.3", "10.0.0.4"}
    assert bench.snapshot().list_error == ""


def test_a_server_that_could_not_be_checked_is_named_and_checked_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    start = Faulty(FakeMonitor.start, 0)
    monkeypatch.setattr(FakeMonitor, "start", lambda monitor: start(monitor))
    bench.list("a")
    start.times = 1
    with capturedLogs():
        bench.list("a", "b", "c")
    assert bench.running == {"a", "c"}, "it keeps no other from being checked"
    assert bench.snapshot().list_error == "b cannot be checked"
    bench.clock.advance(TRY_AGAIN_S)
    assert bench.running == {"a", "b", "c"}
    assert bench.snapshot().list_error == ""


def test_a_fault_right_after_the_policy_has_a_list_leaves_nobody_unchecked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    bench.list("a", "b")
    monkeypatch.setattr(NewServers, "first_list_is_in_force", Faulty(lambda *_: None))
    with capturedLogs():
        bench.list("b", "c")
    assert set(bench.statuses()) == bench.running == {"b", "c"}
    assert bench.snapshot().list_error == "ZeroDivisionError: a mistake"
    bench.clock.advance(TRY_AGAIN_S)
    assert bench.snapshot().list_error == ""


def test_what_the_last_run_left_behind_does_not_come_with_a_list_that_is_tried_weeks_later() -> (
    None
):
    bench = FullDisk()
    bench.list("a", "b", last_run="abc", past=ListPast(0.0, unproven=("c",)))
    bench.clock.advance(14 * 86400)
    bench.broken = True
    with capturedLogs():
        bench.coordinator.overrides_changed().addErrback(lambda _: None)
    bench.clock.advance(TRY_AGAIN_S)
    assert bench.snapshot().list_error == ""
    bench.list("a", "b", "c")
    assert bench.coordinator.state.members["c"].up, "that it was down is long ago"


def test_more_faults_do_not_put_off_the_next_try() -> None:
    clock, applied = Clock(), []

    async def apply(found: SourceList) -> None:
        applied.append(clock.seconds())

    queue = ListQueue(clock, TimeSlices(clock), apply, lambda: None, Logger())
    queue.take(SourceList((ServerSpec("a"),)))
    clock.advance(0)
    for _ in range(int(TRY_AGAIN_S)):
        queue.try_again(Failure(ZeroDivisionError("a mistake")))
        clock.advance(1)
    clock.advance(0)
    assert applied == [0.0, TRY_AGAIN_S]
    assert queue.error == ""


def test_a_fault_amid_a_list_that_is_put_in_force_is_tried_again_after_it() -> None:
    clock, applied, faults = Clock(), [], [Failure(ZeroDivisionError("a mistake"))]

    async def apply(found: SourceList) -> None:
        applied.append(clock.seconds())
        if faults:
            queue.try_again(faults.pop())

    queue = ListQueue(clock, TimeSlices(clock), apply, lambda: None, Logger())
    queue.take(SourceList((ServerSpec("a"),)))
    clock.advance(0)
    assert (applied, queue.error) == ([0.0], "ZeroDivisionError: a mistake")
    clock.pump([TRY_AGAIN_S, 0, TRY_AGAIN_MAX_S])
    assert (applied, queue.error) == ([0.0, TRY_AGAIN_S], "")


def test_what_waits_while_the_first_list_comes_into_force_knows_no_last_run_either() -> None:
    clock, applied, faults = Clock(), [], [Failure(ZeroDivisionError("a mistake"))]

    async def apply(found: SourceList) -> None:
        applied.append(found)
        await deferLater(cast(Any, clock), 1)
        if faults:
            queue.try_again(faults.pop())
            queue.take(SourceList((ServerSpec("b"),)))
        queue.forget_last_run()

    queue = ListQueue(clock, TimeSlices(clock), apply, lambda: None, Logger())
    first = SourceList((ServerSpec("a"),), (ServerSpec("c"),), ListPast(0.0), other_source=True)
    queue.take(first)
    clock.pump([0, 1, 0])
    assert applied == [first, SourceList((ServerSpec("b"),))]


def test_an_override_that_fails_while_a_list_s_servers_begin_to_be_checked_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = FullDisk()
    bench.list("a", "b")
    start, failed = Server.start_monitors, list[Failure]()

    def amid(server: Server, *, at_once: bool = False) -> None:
        if not failed:
            bench.broken = True
            bench.overrides["a"] = Override("svc_80", "a", Action.DRAIN, "alice", "why", 0.0, 9e9)
            bench.coordinator.overrides_changed().addErrback(failed.append)
        start(server, at_once=at_once)

    monkeypatch.setattr(Server, "start_monitors", amid)
    with capturedLogs():
        bench.list("a", "b", "c")
    assert failed[0].check(ZeroDivisionError)
    assert bench.snapshot().list_error == "ZeroDivisionError: a mistake"
    bench.clock.advance(TRY_AGAIN_S)
    assert bench.snapshot().list_error == ""


def test_what_the_last_run_left_behind_counts_once_though_a_server_cannot_be_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    start = Faulty(FakeMonitor.start, 10**6)
    monkeypatch.setattr(FakeMonitor, "start", lambda monitor: start(monitor))
    with capturedLogs():
        bench.list("a", "b", last_run="abc", past=ListPast(0.0, unproven=("c",)))
        for _ in range(4):
            bench.clock.advance(TRY_AGAIN_MAX_S)
    assert bench.snapshot().list_error != ""
    start.times = 0
    bench.list("a", "b", "c")
    assert bench.coordinator.state.members["c"].up, "that it was down is long ago"


@pytest.mark.parametrize("gathered", [False, True])
def test_what_follows_from_a_report_and_could_not_be_handed_on_is_said_and_handed_on_later(
    monkeypatch: pytest.MonkeyPatch, gathered: bool
) -> None:
    bench = Bench()
    bench.list("a", "b", "c")
    monkeypatch.setattr(bench, "set_desired", Faulty(bench.set_desired))
    with capturedLogs():
        if gathered:
            bench.coordinator.gather()
        bench.monitor("a").say(False)
        bench.coordinator.act()
    assert set(bench.destinations) == {"10.0.0.1", "10.0.0.2", "10.0.0.3"}
    assert bench.snapshot().list_error == "ZeroDivisionError: a mistake"
    bench.clock.advance(TRY_AGAIN_S)
    assert set(bench.destinations) == {"10.0.0.2", "10.0.0.3"}
    assert bench.snapshot().list_error == ""
