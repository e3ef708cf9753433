"""A server whose checks fail to begin: all of them begin later, and where its name is counts."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from pybal.model import ServerSpec, SourceList
from pybal.pool.coordinator import FIRST_ANSWER_WAIT_S
from pybal.pool.list_queue import TRY_AGAIN_MAX_S, TRY_AGAIN_S
from tests.fakes.coordinator import ADDRESSES, FETCH, IDLE, Bench, FakeMonitor
from tests.fakes.log import format_line
from tests.pool.reference_entry import service_entry

A, B, C, D = ADDRESSES.values()
X, Y = "10.0.0.98", "10.0.0.99"


class Broken:
    """A method of the monitors of one name that are at one address: it fails while `at` is set."""

    def __init__(self, patch: pytest.MonkeyPatch, method: str, name: str, at: str) -> None:
        self.at = at
        real = getattr(FakeMonitor, method)

        def broken(monitor: FakeMonitor) -> None:
            if (monitor.name, str(monitor.target.address)) == (name, self.at):
                raise ZeroDivisionError("a mistake")
            real(monitor)

        patch.setattr(FakeMonitor, method, broken)


def checks(bench: Bench) -> list[tuple[str, str]]:
    """Those that run."""
    running = [each for each in bench.made if each.running]
    return sorted((each.name, str(each.target.address)) for each in running)


def moved(name_now: str) -> Bench:
    """A process that begins with a server that stood at A, and whose name is elsewhere now."""
    adopted = service_entry(Bench().settings, [(ip_address(A), 10)])
    bench = Bench(names={"a": name_now}, adopted=adopted)
    bench.names.last_run = {"a": A}
    found = (ServerSpec("a"),)
    with capturedLogs():
        bench.coordinator.pool_list(SourceList(found, found))
    return bench


@pytest.mark.parametrize("method", ["start", "check_soon"])
def test_none_of_several_is_left_out(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    bench = Bench(monitors=(IDLE, FETCH))
    bench.list("a", "b")
    bench.monitor("b").say(False)
    bench.list("a")
    broken = Broken(monkeypatch, method, "IdleConnection", B)
    with capturedLogs():
        bench.list("a", "b")
    assert bench.snapshot().list_error == "b cannot be checked"
    broken.at = ""
    bench.clock.advance(TRY_AGAIN_S)
    assert bench.snapshot().list_error == ""
    at_b = [each for each in checks(bench) if each[1] == B]
    assert at_b == [("IdleConnection", B), ("ProxyFetch", B)]


def test_where_its_name_has_moved_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Broken(monkeypatch, "start", "IdleConnection", X)
    bench = moved(X)
    assert bench.snapshot().list_error == "a cannot be checked"
    broken.at = ""
    bench.clock.advance(TRY_AGAIN_S)
    assert bench.snapshot().list_error == ""
    assert checks(bench) == [("IdleConnection", A), ("IdleConnection", X)]


def test_where_its_name_is_by_then_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Broken(monkeypatch, "start", "IdleConnection", A)
    bench = moved(X)
    assert checks(bench) == []
    bench.names.watches["a"].answer(ip_address(Y))
    broken.at = ""
    bench.clock.advance(TRY_AGAIN_S)
    assert checks(bench) == [("IdleConnection", A), ("IdleConnection", Y)]


def answers_later(monkeypatch: pytest.MonkeyPatch) -> tuple[Bench, Broken]:
    """A server without an address; its checks cannot begin at A."""
    bench = Bench(names={"b": B})
    bench.list("a", "b")
    bench.clock.advance(FIRST_ANSWER_WAIT_S)
    return bench, Broken(monkeypatch, "start", "IdleConnection", A)


def test_those_of_a_name_that_answers_later_begin_later(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, broken = answers_later(monkeypatch)
    with capturedLogs() as events:
        bench.names.watches["a"].answer(ip_address(A))
    assert "a cannot be checked" in " ".join(map(format_line, events))
    assert bench.running == {"b"}
    assert bench.snapshot().list_error == "a cannot be checked"
    with capturedLogs():
        bench.clock.advance(TRY_AGAIN_S)
    assert bench.running == {"b"}
    broken.at = ""
    bench.clock.advance(TRY_AGAIN_S)
    assert bench.running == {"b"}, "it is tried less and less often"
    bench.clock.advance(TRY_AGAIN_S)
    assert bench.running == {"a", "b"}
    assert bench.snapshot().list_error == ""


def test_those_of_a_server_that_has_gone_are_tried_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench, _ = answers_later(monkeypatch)
    with capturedLogs():
        bench.names.watches["a"].answer(ip_address(A))
    bench.list("b")
    assert bench.snapshot().list_error == ""
    with capturedLogs() as events:
        bench.clock.advance(TRY_AGAIN_MAX_S)
    assert events == []


def test_those_of_a_trial_begin_later(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.list("a")
    bench.monitor("a").say(True)
    broken = Broken(monkeypatch, "start", "IdleConnection", X)
    with capturedLogs():
        bench.names.watches["a"].answer(ip_address(X))
    assert bench.snapshot().list_error == "a cannot be checked"
    broken.at = ""
    bench.clock.advance(TRY_AGAIN_S)
    assert checks(bench) == [("IdleConnection", A), ("IdleConnection", X)]
    assert bench.snapshot().list_error == ""


def test_those_where_a_server_was_found_up_begin_later(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.list("a")
    bench.monitor("a").say(True)
    bench.names.watches["a"].answer(ip_address(X))
    broken = Broken(monkeypatch, "start", "IdleConnection", X)
    trial = bench.made[-1]
    with capturedLogs():
        trial.say(True)
    assert checks(bench) == []
    assert bench.destinations == {X: 10}
    assert bench.snapshot().list_error == "a cannot be checked"
    broken.at = ""
    bench.clock.advance(TRY_AGAIN_S)
    assert checks(bench) == [("IdleConnection", X)]
    assert bench.snapshot().list_error == ""


def test_those_that_other_settings_bring_begin_later(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.list("a", "b")
    bench.names.watches["b"].answer(ip_address(X))
    broken = Broken(monkeypatch, "start", "ProxyFetch", B)
    with capturedLogs():
        settings = replace(bench.settings, monitors=(IDLE, FETCH))
        Deferred.fromCoroutine(bench.coordinator.reconfigure(settings))
        bench.clock.advance(0)
    assert checks(bench) == [("IdleConnection", A), ("ProxyFetch", A)]
    assert bench.snapshot().list_error == "b cannot be checked"
    broken.at = ""
    bench.clock.advance(TRY_AGAIN_S)
    both = ("IdleConnection", "ProxyFetch")
    assert checks(bench) == [(name, at) for name in both for at in sorted((A, B, X))]
    assert bench.snapshot().list_error == ""


def test_what_cannot_be_made_is_made_later_and_others_check_meanwhile() -> None:
    bench = Bench(monitors=(FETCH, IDLE), broken=(FETCH,))
    with capturedLogs() as events:
        bench.list("a", "b")
    assert "a (by ProxyFetch) cannot be checked" in " ".join(map(format_line, events))
    error = "a (by ProxyFetch), b (by ProxyFetch) cannot be checked"
    assert bench.snapshot().list_error == error
    assert checks(bench) == [("IdleConnection", A), ("IdleConnection", B)]
    at_first = [each for each in bench.made if each.running]
    bench.cannot_make = ()
    bench.clock.advance(TRY_AGAIN_S)
    assert bench.snapshot().list_error == ""
    assert checks(bench) == [
        (name, at) for name in ("IdleConnection", "ProxyFetch") for at in (A, B)
    ]
    assert all(each.running for each in at_first), "those that check go on"


def test_a_server_that_nothing_checks_is_told_of_and_checked_later() -> None:
    bench = Bench(monitors=(FETCH,), broken=(FETCH,))
    with capturedLogs():
        bench.list("a")
        bench.clock.advance(TRY_AGAIN_S)
    assert bench.snapshot().list_error == "a (by ProxyFetch) cannot be checked"
    bench.cannot_make = ()
    bench.clock.advance(2 * TRY_AGAIN_S)
    assert checks(bench) == [("ProxyFetch", A)]
    bench.monitor("a", "ProxyFetch").say(False)
    assert bench.snapshot().servers[0].up is False
