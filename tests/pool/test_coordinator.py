"""The Coordinator: what comes in, what is published, and the faults of the past."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from ipaddress import ip_address
from pathlib import Path
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import capturedLogs

from pybal.config.settings import ListGuardSettings
from pybal.health.probe_round import ProbeTarget
from pybal.ipvs.model import Destination, DestinationKey, Forwarding
from pybal.model import HealthReport, L4Protocol, ServerSpec, Verdict
from pybal.monitors.runcommand import RunCommandSettings
from pybal.override import Action
from pybal.pool.coordinator import FIRST_ANSWER_WAIT_S
from pybal.pool.events import MonitorReported, PooledChanged, ReportedDown
from tests.fakes.coordinator import ADDRESSES, FETCH, IDLE, Bench
from tests.pool.reference_entry import service_entry

A, B, C, D = ADDRESSES.values()


def test_nothing_is_published_before_the_first_list() -> None:
    assert Bench().published == []


def test_the_first_list_is_published_whole_and_its_monitors_start() -> None:
    bench = Bench()
    bench.list("a", ServerSpec("b", weight=0), ServerSpec("c", enabled=False))
    assert len(bench.published) == 1
    assert bench.destinations == {A: 10, B: 0}
    assert bench.running == {"a", "b", "c"}


def test_a_down_report_is_published_within_the_call() -> None:
    bench = Bench()
    bench.list("a", "b", "c")
    bench.monitor("a").say(False)
    assert bench.destinations == {B: 10, C: 10}


def test_reports_that_come_together_are_published_once_and_told_one_by_one() -> None:
    bench = Bench(threshold=Fraction(0))
    bench.list("a", "b", "c")
    before = len(bench.published)
    bench.steps.clear()
    bench.coordinator.gather()
    for host in "abc":
        bench.monitor(host).say(False)
    assert (len(bench.published), bench.steps) == (before, [])
    bench.coordinator.act()
    assert bench.destinations == {}
    assert len(bench.published) == before + 1
    assert [event for event, _, _ in bench.steps] == [
        MonitorReported(host, "IdleConnection", False, "no luck") for host in "abc"
    ]
    bench.coordinator.act()
    bench.monitor("a").say(True)
    assert bench.destinations == {A: 10}


def test_a_refused_depool_is_counted_and_publishes_nothing() -> None:
    bench = Bench()
    bench.list("a", "b", "c")
    bench.monitor("a").say(False)
    before = len(bench.published)
    bench.monitor("b").say(False)
    assert len(bench.published) == before
    assert bench.snapshot().could_not_depool_total == 1
    assert bench.statuses()["b"] == "enabled/down/pooled"


def test_each_event_is_told_once_with_all_that_a_person_should_hear_of_it() -> None:
    bench = Bench()
    bench.list("a", "b", "c")
    bench.clock.advance(7)
    bench.steps.clear()
    bench.monitor("a").say(False)
    bench.monitor("b").say(True)
    (down, notices, at), (up, none, _) = bench.steps
    assert down == MonitorReported("a", "IdleConnection", False, "no luck")
    assert notices == (
        ReportedDown("a", "enabled/up/pooled", "IdleConnection", "no luck"),
        PooledChanged("a", pooled=False, up=False),
    )
    assert at == 1007.0
    assert (up, none) == (MonitorReported("b", "IdleConnection", True, ""), ())


def test_reports_that_are_retracted_leave_the_pool_as_it_was() -> None:
    bench = Bench(monitors=(IDLE, FETCH))
    bench.list("a", "b", "c")
    bench.monitor("a").say(False)
    bench.monitor("a", "ProxyFetch").say(False)
    for report in reversed(bench.reports):
        bench.coordinator.retract(report)
    assert bench.destinations == {A: 10, B: 10, C: 10}
    bench.coordinator.deliver(bench.reports[0])
    assert bench.destinations == {B: 10, C: 10}


def late_down(bench: Bench) -> HealthReport:
    """The monitor of `a` has reported down, and the report is held on its way."""
    bench.list("a", "b", "c")
    bench.holds_reports = True
    bench.monitor("a").say(False)
    return bench.reports[-1]


def test_a_late_report_of_a_server_that_is_gone_is_void() -> None:
    bench = Bench()
    report = late_down(bench)
    bench.list("b", "c")
    bench.coordinator.deliver(report)
    bench.coordinator.retract(report)
    assert bench.statuses().keys() == {"b", "c"}


def test_a_late_report_of_a_server_that_was_removed_and_added_again_is_void() -> None:
    bench = Bench()
    report = late_down(bench)
    bench.list("b", "c")
    bench.list("a", "b", "c")
    bench.coordinator.deliver(report)
    assert bench.statuses()["a"] == "enabled/up/pooled"


def test_a_late_report_of_a_former_address_is_void() -> None:
    bench = Bench()
    report = late_down(bench)
    bench.names.watches["a"].answer(ip_address(D))
    at_new_address = bench.made[-1]
    at_new_address.say(True)
    bench.coordinator.deliver(report)
    assert bench.destinations == {D: 10, B: 10, C: 10}


def test_a_late_report_of_an_address_that_is_no_longer_known_is_void() -> None:
    bench = Bench()
    report = late_down(bench)
    bench.names.watches["a"].answer(None)
    bench.coordinator.deliver(report)
    assert bench.statuses()["a"] == "enabled/up/not pooled"


def test_what_a_former_monitor_reported_is_not_retracted_from_its_successor() -> None:
    bench = Bench()
    bench.list("a", "b", "c")
    bench.monitor("a").say(False)
    former = bench.reports[-1]
    bench.names.watches["a"].answer(ip_address(D))
    bench.monitor("a").say(False)
    bench.coordinator.retract(former)
    assert bench.destinations == {B: 10, C: 10}


def test_a_late_report_of_a_server_that_is_down_and_moved_is_void() -> None:
    bench = Bench()
    bench.list("a", "b", "c")
    bench.monitor("a").say(False)
    bench.holds_reports = True
    bench.monitor("a").say(True)
    bench.names.watches["a"].answer(ip_address(D))
    assert bench.monitor("a").target.address == ip_address(D)
    bench.coordinator.deliver(bench.reports[-1])
    assert bench.destinations == {B: 10, C: 10}


def test_only_what_was_delivered_is_retracted() -> None:
    bench = Bench()
    report = late_down(bench)
    steps = len(bench.steps)
    bench.coordinator.retract(report)
    assert len(bench.steps) == steps


def test_a_list_in_another_order_publishes_nothing() -> None:
    bench = Bench()
    bench.list("a", "b")
    bench.list("b", "a")
    assert len(bench.published) == 1


def test_a_weight_change_is_published_and_monitors_go_on() -> None:
    bench = Bench()
    bench.list("a", "b")
    running = bench.monitor("a")
    bench.list(ServerSpec("a", weight=0), "b")
    assert bench.destinations == {A: 0, B: 10}
    assert bench.monitor("a") is running


def test_an_equal_list_publishes_nothing() -> None:
    bench = Bench()
    bench.list("a", "b")
    bench.list("a", "b")
    assert len(bench.published) == 1


def test_a_removed_server_has_its_watch_and_monitors_stopped() -> None:
    bench = Bench()
    bench.list("a", "b")
    bench.list("b")
    assert bench.running == {"b"}
    assert bench.names.watches["a"].stopped
    assert bench.destinations == {B: 10}


def test_tunneling_is_published_as_such() -> None:
    bench = Bench(tunneling=True)
    bench.list("a")
    (destination,) = bench.published[-1].destinations.values()
    assert destination.forwarding is Forwarding.TUNNEL


def test_servers_that_share_an_address_are_one_destination() -> None:
    bench = Bench(names={"a": A, "b": A})
    bench.list(ServerSpec("a", weight=3), ServerSpec("b", weight=4))
    assert bench.destinations == {A: 3}
    bench.monitor("a").say(False)
    assert bench.destinations == {A: 4}


def test_stop_ends_everything_and_later_calls_do_nothing() -> None:
    bench = Bench(names={"a": A})
    bench.list("a")
    bench.list("a", "b")
    assert bench.running == {"a"}
    assert bench.names.watches.keys() == {"a", "b"}
    assert bench.clock.getDelayedCalls(), "it waits for the name of b"
    with capturedLogs() as logged:
        bench.coordinator.stop()
        bench.coordinator.stop()
    assert not [event for event in logged if "log_failure" in event]
    assert bench.running == set()
    assert all(watch.stopped for watch in bench.names.watches.values())
    before = len(bench.published)
    bench.list("c")
    bench.clock.advance(100)
    bench.wish(Action.DRAIN, "a", force=True)
    assert len(bench.published) == before
    assert bench.clock.getDelayedCalls() == []


def test_a_list_that_cannot_be_applied_is_said_and_the_next_one_counts() -> None:
    bench = Bench(names={"a": "no address at all", "b": B})
    with capturedLogs() as logged:
        bench.list("a", "b")
    assert [event["log_format"] for event in logged if "log_failure" in event] == [
        "A pool list could not be applied"
    ]
    bench.list("b")
    assert bench.destinations == {B: 10}


def test_an_override_before_the_first_list_publishes_nothing() -> None:
    bench = Bench()
    bench.wish(Action.DRAIN, "a", force=True)
    assert bench.published == []
    assert bench.steps == []


def test_an_override_that_has_to_wait_is_said() -> None:
    bench = Bench()
    bench.list("a", "b")
    bench.wish(Action.DRAIN, "a")
    with capturedLogs() as logged:
        bench.list("a", ServerSpec("b", enabled=False))
    said = [str(event.get("text")) for event in logged]
    assert len([text for text in said if text.startswith("a is not drained by alice")]) == 1


def test_monitors_that_report_while_they_start_are_heard_in_turn() -> None:
    bench = Bench(first_results={"a": False, "b": True})
    bench.list("a", "b", "c")
    assert bench.destinations == {B: 10, C: 10}
    assert bench.statuses()["a"] == "enabled/down/not pooled"


def test_a_monitor_that_cannot_be_made_leaves_all_others_at_work() -> None:
    bench = Bench(monitors=(FETCH, IDLE), broken=(FETCH,))
    with capturedLogs() as logged:
        bench.list("a", "b")
    failures = [event for event in logged if "log_failure" in event]
    assert [event["what"] for event in failures] == [
        "a (by ProxyFetch)",
        "b (by ProxyFetch)",
    ]
    bench.monitor("b").say(False)
    assert bench.destinations == {A: 10}


def test_a_server_is_up_again_only_with_all_its_monitors() -> None:
    bench = Bench(monitors=(IDLE, FETCH))
    bench.list("a", "b")
    bench.monitor("a", "ProxyFetch").say(False)
    bench.monitor("a", "ProxyFetch").say(True)
    assert bench.statuses()["a"] == "enabled/partially up/not pooled"
    bench.monitor("a", "IdleConnection").say(True)
    assert bench.statuses()["a"] == "enabled/up/pooled"


def test_a_witness_is_asked_as_its_monitor_checks_it() -> None:
    source = ip_address("192.0.2.9")
    by_command = RunCommandSettings(command=Path("/bin/true"))
    bench = Bench(monitors=(by_command, replace(IDLE, port=8080, source_address=source)))
    bench.list("a")
    probe_target = bench.coordinator.probe_target(Random(1))
    assert probe_target == ProbeTarget("a", ip_address(A), 8080, source)


def test_a_witness_without_a_tcp_check_is_asked_at_the_services_port() -> None:
    bench = Bench(monitors=(RunCommandSettings(command=Path("/bin/true")),))
    bench.list("a")
    assert bench.coordinator.probe_target(Random(1)) == ProbeTarget("a", ip_address(A), 80)


def test_only_a_server_that_takes_tcp_connections_is_a_witness() -> None:
    bench = Bench(protocol=L4Protocol.UDP)
    bench.list("a")
    assert bench.coordinator.probe_target(Random(1)) is None
    assert Bench().coordinator.probe_target(Random(1)) is None, "it has no servers yet"


def test_a_server_that_is_down_is_no_witness_though_it_stays_pooled() -> None:
    bench = Bench()
    bench.list("a")
    bench.monitor("a").say(False)
    assert bench.destinations == {A: 10}
    assert bench.coordinator.probe_target(Random(1)) is None


def test_the_snapshot_says_why() -> None:
    bench = Bench()
    bench.list("a", "b", "c")
    bench.monitor("a").say(False)
    server = bench.snapshot().servers[0]
    assert server.decision is not None
    assert server.decision.verdict is Verdict.DEPOOLED
    assert server.decision.cause == "IdleConnection reported down: no luck"
    assert server.decision.required == Fraction(3, 2)
    assert server.decision.at == 1000.0


def test_the_entry_has_the_service_attributes() -> None:
    bench = Bench()
    bench.list("a")
    service = bench.published[0].service
    assert (str(service.key.address), service.key.port) == ("192.0.2.1", 80)
    assert (service.scheduler, service.one_packet) == ("wrr", False)
    key = DestinationKey(ip_address(A), 80)
    assert bench.published[0].destinations[key] == Destination(key, 10, Forwarding.DIRECT)


actions = st.one_of(
    st.tuples(st.just("list"), st.sets(st.sampled_from("abcd"))),
    st.tuples(st.just("answer"), st.tuples(st.sampled_from("abcd"), st.booleans())),
    st.tuples(st.just("say"), st.tuples(st.sampled_from("abcd"), st.booleans())),
    st.tuples(st.just("wait"), st.floats(0, 10)),
)


@given(st.lists(actions, max_size=30))
def test_after_any_history_the_monitors_are_those_of_the_newest_list(
    history: list[tuple[str, object]],
) -> None:
    bench = Bench(names={"a": A}, list_guard=ListGuardSettings(Fraction(0)))
    newest: set[str] = set()
    for action, value in history:
        match action, value:
            case "list", set():
                newest = set(map(str, value)) or newest
                bench.list(*sorted(map(str, value)))
            case "answer", (str(host), bool(found)):
                if host in bench.names.watches:
                    bench.names.watches[host].answer(ip_address(ADDRESSES[host]) if found else None)
            case "say", (str(host), bool(up)):
                for monitor in [m for m in bench.made if m.running and m.target.host == host]:
                    monitor.say(up)
            case "wait", float(seconds):
                bench.clock.advance(seconds)
    for _ in range(2):
        bench.clock.advance(FIRST_ANSWER_WAIT_S)
    snapshot = bench.snapshot()
    if bench.published:
        assert {s.host for s in snapshot.servers} == newest
    assert bench.running == {s.host for s in snapshot.servers if s.address is not None}
    if bench.published:
        pooled = {str(s.address) for s in snapshot.servers if s.pooled}
        assert set(bench.destinations) == pooled


def test_a_server_left_with_weight_0_by_a_drain_waits_for_its_monitors() -> None:
    probe = Bench()
    adopted = service_entry(
        probe.settings, [(ip_address(A), 0), (ip_address(B), 10), (ip_address(C), 0)]
    )
    bench = Bench(adopted=adopted)
    bench.list("a", "b", ServerSpec("c", weight=0))
    # A weight of 0 that is the server's own says nothing.
    assert bench.destinations == {B: 10, C: 0}
    bench.monitor("a").say(True)
    assert bench.destinations == {A: 10, B: 10, C: 0}
